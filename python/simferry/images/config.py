"""What an image says of itself, on this machine or in ECR: its entry point and architecture; and what it is able to do."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..aws.contracts import batch as contract
from ..aws.session import AwsError, asking
from ..containers.engine import EngineError, ImageError, connect, find_image, run_once
from ..errors import UsageError
from .ecr import ECR, client_of, named_in_ecr

_ANSWER = 42  # the exit code of what was really run
# whether Python is new enough, knows whom to trust, and can make the job's folders
_CAN_CARRY = f"""
import os, ssl, sys
os.makedirs({contract.ROOT!r}, exist_ok=True)
known = ssl.get_default_verify_paths()
trusts = known.cafile or known.capath and os.listdir(known.capath)
sys.exit({_ANSWER} if sys.version_info >= (3, 8) and trusts and os.access({contract.ROOT!r}, os.W_OK) else 1)
"""
_SECONDS = 60  # for an entry point that starts something else
_MANIFESTS = [
    "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json",
]  # fmt: skip


@dataclass(frozen=True)
class ImageConfig:
    """entrypoint: its words; none if there is no entry point. architecture: such as amd64. carries: whether it can bring and send a
    job's files itself. runs: whether its entry point runs what it is given; where it was not tried, whether that can be true.
    volumes: folders that it declares as such."""

    entrypoint: tuple[str, ...]
    architecture: str
    carries: bool
    runs: bool
    volumes: tuple[str, ...] = ()


def config_here(image: str) -> ImageConfig | None:
    """The configuration of an image on this machine, which is started to see what it is able to do. None if Docker does not run here,
    or does not have the image.

    image: its name or id.
    """
    try:
        client = connect()
        found = find_image(client, image, pull=False)
    except (EngineError, ImageError, UsageError):
        return None
    entrypoint = _words(found.attrs.get("Config") or {})

    def answers(command: list[str]) -> bool:
        given = contract.after_entrypoint(entrypoint, command)
        try:
            return given is not None and run_once(client, image, [*entrypoint, *given], _SECONDS)[0] == _ANSWER
        except (ImageError, TimeoutError):  # it has no such program, or starts something else
            return False

    carries = answers(["python3", "-I", "-c", _CAN_CARRY])
    runs = carries or not entrypoint or answers(["sh", "-c", f"exit {_ANSWER}"])
    return ImageConfig(
        entrypoint, str(found.attrs["Architecture"]), carries, runs, _volumes(found.attrs.get("Config") or {})
    )


def entrypoint_of(image: str) -> tuple[str, ...]:
    """The entry point of an image on this machine, or in ECR; none is assumed for one that is elsewhere."""
    try:
        return _words(find_image(connect(), image, pull=False).attrs.get("Config") or {})
    except (EngineError, ImageError, UsageError):
        in_ecr = ECR.fullmatch(image.partition("/")[0])
        return config_in_ecr(image, contract.ARCHITECTURE).entrypoint if in_ecr else ()


def config_in_ecr(address: str, architecture: str) -> ImageConfig:
    """The configuration of an image in ECR. Of several for different machines, that of this architecture, if there is one.

    Raises AwsError.
    """
    host, _, rest = address.partition("/")
    repository, which = named_in_ecr(rest)
    found = ECR.fullmatch(host)
    assert found is not None
    content = _manifest(found, repository, which, address)
    if "manifests" in content:
        images = [one for one in content["manifests"] if one.get("platform", {}).get("os") == "linux"]
        fitting = [one for one in images if one["platform"].get("architecture") == architecture]
        if not images:
            raise AwsError(f"the image {address} has no part for Linux")
        content = _manifest(found, repository, {"imageDigest": (fitting or images)[0]["digest"]}, address)
    digest = content["config"]["digest"]
    with asking(f"image {address}"):
        url = client_of(found[2]).get_download_url_for_layer(
            registryId=found[1], repositoryName=repository, layerDigest=digest
        )["downloadUrl"]
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            config = json.loads(answer.read())
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise AwsError(f"the configuration of the image {address} can't be read ({error})") from None
    entrypoint = _words(config.get("config") or {})
    runs = contract.after_entrypoint(entrypoint, ["sh"]) is not None
    return ImageConfig(
        entrypoint, str(config.get("architecture", "")), False, runs, _volumes(config.get("config") or {})
    )


def _manifest(found: Any, repository: str, which: Mapping[str, str], address: str) -> dict[str, Any]:
    with asking(f"image {address}"):
        images = client_of(found[2]).batch_get_image(
            registryId=found[1], repositoryName=repository, imageIds=[which], acceptedMediaTypes=_MANIFESTS
        )["images"]
    if not images:
        raise AwsError(f"there is no image {address} in ECR")
    return dict(json.loads(images[0]["imageManifest"]))


def _volumes(config: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(config.get("Volumes") or {}))


def _words(config: Mapping[str, Any]) -> tuple[str, ...]:
    given = config.get("Entrypoint") or ()
    return (given,) if isinstance(given, str) else tuple(map(str, given))
