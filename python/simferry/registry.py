"""Pushing images: to ECR, whose repository is made where it is missing, or to any registry Docker knows."""

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .engine import ImageError, connect, find_image
from .errors import SimferryError

_ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_ECR_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
KEPT_IMAGES = 30
Progress = Callable[[str], None]


class RegistryError(SimferryError):
    """A registry that refuses the login or the image, or can't be reached."""

    code = "registry"


@dataclass
class Pushed:
    """uri: with the tag; digest: by which the registry knows it; skipped: it had it already."""

    uri: str
    digest: str
    skipped: bool


def push(name: str, to: str, on_progress: Progress = lambda _: None) -> Pushed:
    """Push a local image. to: a registry (host[:port], perhaps with a path), or an account's ECR host.

    The tag is that of the recipe's hash, so that a tag never changes its meaning. Raises RegistryError.
    """
    client = connect()
    image = find_image(client, name, pull=False)
    tag = _tag_of(image, name)
    base = name.partition(":")[0].rpartition("/")[2]
    host, _, path = to.removeprefix("https://").rstrip("/").partition("/")
    repository = f"{path}/{base}" if path else base
    credentials = None
    if ecr := _ECR.fullmatch(host):
        _check_ecr_name(repository)
        credentials = _ecr_login(ecr[1], ecr[2], repository, on_progress)
    uri = f"{host}/{repository}:{tag}"
    there = _digest_there(client, uri, credentials)
    if there and there in {d.rpartition("@")[2] for d in image.attrs.get("RepoDigests", [])}:
        return Pushed(uri, there, True)
    image.tag(f"{host}/{repository}", tag)
    return Pushed(uri, _push(client, f"{host}/{repository}", tag, credentials, on_progress), False)


def _tag_of(image: Any, name: str) -> str:
    from .images import LABEL

    made_of = (image.labels or {}).get(LABEL)
    if made_of:
        return str(made_of)[:12]
    return str(image.id).removeprefix("sha256:")[:12]


def _check_ecr_name(name: str) -> None:
    if not _ECR_NAME.fullmatch(name) or not 2 <= len(name) <= 256:
        raise ImageError(
            f"ECR does not take the repository name {name!r}",
            "Names have 2 to 256 characters: lower case letters, digits, and - _ . / between them.",
        )


def _push(client: Any, repository: str, tag: str, credentials: dict[str, str] | None, on_progress: Progress) -> str:
    import docker.errors
    import requests

    digest = ""
    layers: dict[str, str] = {}
    try:
        for event in client.api.push(repository, tag=tag, stream=True, decode=True, auth_config=credentials):
            if "error" in event:
                raise _refused(repository, event["error"])
            digest = event.get("aux", {}).get("Digest", digest)
            if "id" in event and event.get("status") != layers.get(event["id"]):
                layers[event["id"]] = event["status"]
                on_progress(f"{event['id']}: {event['status']}")
    except (docker.errors.APIError, requests.exceptions.RequestException) as error:
        raise _refused(repository, str(error)) from None
    return digest


def _refused(repository: str, text: str) -> RegistryError:
    host = repository.partition("/")[0]
    low = text.lower()
    if (
        "no basic auth" in low
        or "unauthorized" in low
        or "denied" in low
        or "authentication required" in low
        or "401" in low
    ):
        return RegistryError(f"{host} refuses the login: {text}", f"docker login {host}")
    if "immutable" in low:
        return RegistryError(f"{repository} has another image of this tag, and its tags are immutable")
    if "refused" in low or "no such host" in low or "timeout" in low:
        return RegistryError(f"{host} can't be reached: {text}", "Is the name right, and the registry running?")
    return RegistryError(f"{repository} did not take the image: {text}")


def _digest_there(client: Any, uri: str, credentials: dict[str, str] | None) -> str | None:
    """The digest under which the registry has this tag; None where it has not, or does not say."""
    import docker.errors

    try:
        return str(client.images.get_registry_data(uri, auth_config=credentials).id)
    except docker.errors.APIError:
        return None


def _ecr_login(account: str, region: str, repository: str, on_progress: Progress) -> dict[str, str]:
    """Make the repository where it is missing; user and password for this registry."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        ecr = boto3.session.Session(region_name=region).client("ecr")
        try:
            ecr.describe_repositories(registryId=account, repositoryNames=[repository])
        except ecr.exceptions.RepositoryNotFoundException:
            on_progress(f"making repository {repository}")
            ecr.create_repository(
                registryId=account, repositoryName=repository, imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True}, tags=[{"Key": "made-by", "Value": "simferry"}],
            )  # fmt: skip
            rule = {
                "rulePriority": 1,
                "description": f"keep the newest {KEPT_IMAGES} images",
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
                "action": {"type": "expire"},
            }
            ecr.put_lifecycle_policy(
                registryId=account, repositoryName=repository, lifecyclePolicyText=json.dumps({"rules": [rule]})
            )
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    except NoCredentialsError:
        raise RegistryError(
            f"there are no AWS credentials for {account} in {region}", "aws configure, aws sso login, or AWS_PROFILE."
        ) from None
    except (ClientError, BotoCoreError) as error:
        raise RegistryError(f"ECR of account {account} in {region} refuses: {error}") from None
    user, _, password = base64.b64decode(token).decode().partition(":")
    return {"username": user, "password": password}
