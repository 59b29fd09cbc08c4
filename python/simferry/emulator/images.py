"""Finds the local image of a job."""

import json
from typing import Any

from ..containers.engine import ImageError, find_image
from ..images.ecr import ECR, named_in_ecr
from ..images.framework import is_framework, not_here, own_image
from .machine import Machine


class ImageNotFound(Exception):
    """There is no such image. The message becomes the job's FailureReason."""


def local_image(name: str, ecr_in: Any, machine: Machine, pull: bool = False) -> str:
    """The Docker engine's id of an image. A name in ECR is looked up in the emulated ECR, any other name in the engine.

    ecr_in: makes an ECR client for a region. pull: an image of another registry that is not in the engine is pulled.
    """
    client = machine.client
    name = own_image(name)
    host, _, rest = name.partition("/")
    registry = ECR.fullmatch(host)
    if is_framework(name):
        raise ImageNotFound(f"ClientError: {not_here(name, 'the emulator runs images of this machine')}")
    try:
        here = name
        if registry:
            repository, reference, here = _in_ecr(name, registry[1], rest, ecr_in(registry[2]))
        elif host == machine.registry:
            repository, which = named_in_ecr(rest)
            reference = next(iter(which.values()))
        else:
            return str(find_image(client, name, pull).id)
        try:
            return str(find_image(client, here, pull=False).id)
        except ImageError:  # it was removed since it was pushed
            if not (here := machine.bring_back(repository, reference)):
                raise
            return str(find_image(client, here, pull=False).id)
    except ImageError as error:
        raise ImageNotFound(f"ClientError: The image '{name}' does not exist: {error.message}") from None


def _in_ecr(name: str, account: str, rest: str, ecr: Any) -> tuple[str, str, str]:
    """Repository, digest, and the engine's id, which is the digest of the image's configuration; an index of images has none."""
    from botocore.exceptions import ClientError

    repository, which = named_in_ecr(rest)
    try:
        found = ecr.batch_get_image(registryId=account, repositoryName=repository, imageIds=[which])["images"]
    except ClientError as error:
        answer = error.response["Error"]
        if answer["Code"] == "RepositoryNotFoundException":
            raise ImageNotFound(
                f"ClientError: Cannot find repository: {repository} in registry ID: {account} "
                f"Please check if your ECR repository and image exist: the image '{name}' does not exist"
            ) from None
        raise ImageNotFound(f"ClientError: The image '{name}' can't be pulled: {answer['Message']}") from None
    if not found:
        raise ImageNotFound(f"ClientError: The image '{name}' does not exist.")
    content = json.loads(found[0]["imageManifest"])
    return repository, str(found[0]["imageId"]["imageDigest"]), str(content.get("config", {}).get("digest", ""))
