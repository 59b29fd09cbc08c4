"""Pushes images to ECR, where a missing repository is created, or to any other registry."""

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

from ..aws import stacks
from ..aws.session import account, asking, is_loopback, region
from ..containers.engine import ImageError, connect, find_image, repository_of
from ..errors import SimferryError, UsageError
from ..hints import Command, Option
from .ecr import ECR, Progress, client_of, ecr_host, ecr_login, make_where_missing
from .recipes import LABEL

_HOST = re.compile(r"(?=.*[.:]|localhost)[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?")
_PART = r"[a-z0-9]+(?:(?:[._-]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?:{_PART}/)*{_PART}")
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
PUSH_SECONDS = 600  # a registry may be silent for so long while it checks an upload


class RegistryError(SimferryError):
    """A registry refuses the login or the image, or can't be reached. Errors of AWS itself are AwsErrors."""

    code = "registry"


@dataclass
class Pushed:
    """The result of `push`. uri: with the tag. digest: that of the registry. skipped: whether the registry had the image already."""

    uri: str
    digest: str
    skipped: bool


def push(name: str, to: str | None = None, on_progress: Progress = lambda _: None, into: str = "") -> Pushed:
    """Push a local image. to: a registry (host[:port], perhaps with a path), or an account's ECR host; None: the repository of the stack
    of `simferry infra`. into: the address of a repository there that takes all images; their tags then begin with their names.

    The tag comes from the recipe's hash, so a tag never names another image. Raises RegistryError, and for ECR AwsError; the local
    name that a push needs is then removed.
    """
    import docker.errors

    if to is None:
        into = into or repository_of_stack()
        to = ecr_host(account(), region())
    host, _, path = to.removeprefix("https://").rstrip("/").partition("/")
    base = place_in(into, name, "")[0]
    repository = f"{path}/{base}" if path else base
    ecr = ECR.fullmatch(host)
    check_names(host, repository, bool(ecr))
    client = connect(PUSH_SECONDS)
    image = find_image(client, name, pull=False)
    if ecr and not into:
        make_where_missing(ecr[1], ecr[2], repository, on_progress)
    tag = place_in(into, name, tag_of(image))[1]
    uri = f"{host}/{repository}:{tag}"
    if ecr and is_loopback(client_of(ecr[2]).meta.endpoint_url):
        return _put_in_emulator(client_of(ecr[2]), ecr[1], repository, tag, image, uri)
    credentials = ecr_login(ecr[1], ecr[2]) if ecr else None
    there = _digest_there(client, uri, credentials)
    if there and there in digests_of(image):
        return Pushed(uri, there, True)
    had_name = uri in image.tags
    try:
        image.tag(f"{host}/{repository}", tag)
        digest = _push(client, f"{host}/{repository}", tag, credentials, on_progress)
    except BaseException:
        if not had_name:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(uri, noprune=True)
        raise
    return Pushed(uri, digest or _digest_there(client, uri, credentials) or "", False)


def repository_of_stack() -> str:
    """The address of the repository of the stack. Raises UsageError if there is no stack."""
    into = stacks.outputs(None).get("Repository")
    if not into:
        raise UsageError(
            f"there is no stack {stacks.default_name()} whose repository takes the image",
            Command("infra deploy") + "  makes one; or " + Option("to", "123456789012.dkr.ecr.us-west-2.amazonaws.com"),
        )
    return into


def place_in(into: str, name: str, tag: str) -> tuple[str, str]:
    """Repository and tag of an image: those of its own, or, with the address of a repository that takes all images, there."""
    base = repository_of(name).rpartition("/")[2]
    return (into.partition("/")[2], f"{base}-{tag}") if into else (base, tag)


def digests_of(image: Any) -> set[str]:
    """The digests under which registries know this image: those it was pulled from or pushed to, and the emulator's ECR."""
    here = {digest.rpartition("@")[2] for digest in image.attrs.get("RepoDigests", [])}
    return here | {_emulators_manifest(image)[1]}


def _emulators_manifest(image: Any) -> tuple[str, str]:
    """The manifest of an image in the emulator's ECR, and its digest."""
    config = {"mediaType": "application/vnd.docker.container.image.v1+json", "size": 0, "digest": image.id}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": []})
    return manifest, f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"


def _put_in_emulator(ecr: Any, account: str, repository: str, tag: str, image: Any, uri: str) -> Pushed:
    """Register the image in the emulator's ECR. No layers are sent: its jobs run in the engine that has the image."""
    manifest, digest = _emulators_manifest(image)
    name = {"registryId": account, "repositoryName": repository}
    with asking(f"image {uri}"):
        there = ecr.batch_get_image(**name, imageIds=[{"imageTag": tag}])["images"]
        if any(one["imageId"]["imageDigest"] == digest for one in there):
            return Pushed(uri, digest, True)
        try:
            ecr.put_image(**name, imageManifest=manifest, imageTag=tag, imageDigest=digest)
        except (ecr.exceptions.ImageTagAlreadyExistsException, ecr.exceptions.ImageAlreadyExistsException) as error:
            raise _refused(uri.rpartition(":")[0], f"immutable: {error}") from None
    return Pushed(uri, digest, False)


def check_names(host: str, repository: str, ecr: bool) -> None:
    """Raise ImageError for a name that registries, or ECR, do not accept."""
    if not _HOST.fullmatch(host):
        raise ImageError(
            f"{host!r} is no registry's name", "It is a host, such as 123456789012.dkr.ecr.us-west-2.amazonaws.com."
        )
    if not ecr and ("amazonaws" in host or ".dkr.ecr" in host):
        raise ImageError(
            f"{host} looks like ECR's, but is not of the form ACCOUNT.dkr.ecr.REGION.amazonaws.com",
            "ACCOUNT is the account's number, with 12 digits.",
        )
    if not _NAME.fullmatch(repository) or not 2 <= len(repository) <= (256 if ecr else 255):
        raise ImageError(
            f"{'ECR' if ecr else host} does not take the repository name {repository!r}",
            "Names have 2 to 256 characters: lower case letters, digits, and - _ . / between them.",
        )


def tag_of(image: Any) -> str:
    made_of = (image.labels or {}).get(LABEL)
    return str(made_of)[:12] if made_of else str(image.id).removeprefix("sha256:")[:12]


def _push(client: Any, repository: str, tag: str, credentials: dict[str, str] | None, on_progress: Progress) -> str:
    import docker.errors
    import requests

    digest = ""
    shown: dict[str, str] = {}
    try:
        for event in client.api.push(repository, tag=tag, stream=True, decode=True, auth_config=credentials):
            if "error" in event:
                raise _refused(repository, event["error"])
            digest = event.get("aux", {}).get("Digest", digest)
            text = _progress(event)
            if text and text != shown.get(event["id"]):
                shown[event["id"]] = text
                on_progress(f"{event['id']}: {text}")
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise _refused(repository, str(error)) from None
    return digest


def _progress(event: dict[str, Any]) -> str:
    """The state of a layer in an event of the engine; while it is sent, with the share that was sent, in steps of 10 %."""
    if "id" not in event or "status" not in event:
        return ""
    sent = event.get("progressDetail") or {}
    if not sent.get("total"):
        return str(event["status"])
    tenths = min(10, 10 * sent.get("current", 0) // sent["total"])
    return f"{event['status']} {10 * tenths} % of {sent['total'] / 1e6:.1f} MB"


_LOGIN = ("no basic auth", "unauthorized", "denied", "authentication required", "forbidden", "token has expired")
_AWAY = ("refused", "no such host", "timeout", "i/o", "unreachable", "server gave http response", "certificate")


def _refused(repository: str, text: str) -> RegistryError:
    host = repository.partition("/")[0]
    low = text.lower()
    if "immutable" in low:
        return RegistryError(
            f"{repository} has another image of this tag, and its tags are immutable",
            "It was built of the same recipe, elsewhere or earlier. To use that one, give its address there as the image.",
        )
    if any(word in low for word in _LOGIN):
        hint = f"docker login {host}"
        if ECR.fullmatch(host):
            hint = "Whoever pushes needs ecr:PutImage, and the other rights of AmazonEC2ContainerRegistryPowerUser."
        return RegistryError(f"{host} refuses the login: {text.strip()}", hint)
    if any(word in low for word in _AWAY):
        return RegistryError(f"{host} can't be reached: {text.strip()}", "Is the name right, and the registry running?")
    return RegistryError(f"{repository} did not take the image: {text.strip()}")


def _digest_there(client: Any, uri: str, credentials: dict[str, str] | None) -> str | None:
    """The registry's digest of this tag; None if it has no such tag, or does not answer."""
    import docker.errors

    try:
        return str(client.images.get_registry_data(uri, auth_config=credentials).id)
    except docker.errors.DockerException:
        return None
