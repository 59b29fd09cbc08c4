"""Finds the local image of a job."""

import json
from typing import Any

from ..containers.engine import ImageError, find_image
from ..images.ecr import ECR, named_in_ecr
from ..images.framework import is_framework, not_here, own_image


class ImageNotFound(Exception):
    """There is no such image. The message becomes the job's FailureReason."""


def local_image(name: str, ecr_in: Any, client: Any) -> str:
    """The Docker engine's id of an image. A name in ECR is looked up in the emulated ECR, any other name in the engine.

    ecr_in: makes an ECR client for a region.
    """
    name = own_image(name)
    host, _, rest = name.partition("/")
    registry = ECR.fullmatch(host)
    if is_framework(name):
        raise ImageNotFound(f"ClientError: {not_here(name, 'the emulator runs images of this machine')}")
    try:
        local = _in_ecr(name, registry[1], rest, ecr_in(registry[2])) if registry else name
        return str(find_image(client, local, pull=False).id)
    except ImageError as error:
        raise ImageNotFound(f"ClientError: The image '{name}' does not exist: {error.message}") from None


def _in_ecr(name: str, account: str, rest: str, ecr: Any) -> str:
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
    # Docker's id of an image is the digest of its configuration
    return str(json.loads(found[0]["imageManifest"])["config"]["digest"])
