"""Which of this machine's images a job means."""

import json
from typing import Any

from ..containers.engine import ImageError, find_image
from ..images.ecr import ECR, named_in_ecr


class NoImage(Exception):
    """The words are those of the job's FailureReason."""


def local_image(name: str, ecr_in: Any, client: Any) -> str:
    """The Docker engine's name for an image of ECR; any other name is looked up in the engine itself, as no account would.

    ecr_in: a function that makes a client of ECR for a region.
    """
    host, _, rest = name.partition("/")
    registry = ECR.fullmatch(host)
    try:
        local = _in_ecr(name, registry[1], rest, ecr_in(registry[2])) if registry else name
        return str(find_image(client, local, pull=False).id)
    except ImageError as error:
        raise NoImage(f"ClientError: The image '{name}' does not exist: {error.message}") from None


def _in_ecr(name: str, account: str, rest: str, ecr: Any) -> str:
    from botocore.exceptions import ClientError

    repository, which = named_in_ecr(rest)
    try:
        found = ecr.batch_get_image(registryId=account, repositoryName=repository, imageIds=[which])["images"]
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "RepositoryNotFoundException":
            raise NoImage(
                f"ClientError: Cannot find repository: {repository} in registry ID: {account} "
                f"Please check if your ECR repository and image exist: the image '{name}' does not exist"
            ) from None
        raise NoImage(f"ClientError: The image '{name}' can't be pulled: {said['Message']}") from None
    if not found:
        raise NoImage(f"ClientError: The image '{name}' does not exist.")
    # the manifest's configuration is what Docker names an image by
    return str(json.loads(found[0]["imageManifest"])["config"]["digest"])
