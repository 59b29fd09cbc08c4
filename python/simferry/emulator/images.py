"""Which of this machine's images a job means."""

import json
import re
from typing import Any

from ..engine import ImageError, find_image

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:.+))?"
)


class NoImage(Exception):
    """The words are those of the job's FailureReason."""


def local_image(name: str, ecr_in: Any, client: Any) -> str:
    """The Docker engine's name for an image of ECR; any other name is looked up in the engine itself, as no account would.

    ecr_in: a function that makes a client of ECR for a region.
    """
    address = _ECR.fullmatch(name)
    try:
        local = _in_ecr(name, address, ecr_in(address["region"])) if address else name
        return str(find_image(client, local, pull=False).id)
    except ImageError as error:
        raise NoImage(f"ClientError: The image '{name}' does not exist: {error.message}") from None


def _in_ecr(name: str, address: Any, ecr: Any) -> str:
    from botocore.exceptions import ClientError

    which = {"imageDigest": address["digest"]} if address["digest"] else {"imageTag": address["tag"] or "latest"}
    try:
        found = ecr.batch_get_image(
            registryId=address["account"], repositoryName=address["repository"], imageIds=[which]
        )["images"]
    except ClientError as error:
        said = error.response["Error"]
        if said["Code"] == "RepositoryNotFoundException":
            raise NoImage(
                f"ClientError: Cannot find repository: {address['repository']} in registry ID: {address['account']} "
                f"Please check if your ECR repository and image exist: the image '{name}' does not exist"
            ) from None
        raise NoImage(f"ClientError: The image '{name}' can't be pulled: {said['Message']}") from None
    if not found:
        raise NoImage(f"ClientError: The image '{name}' does not exist.")
    # the manifest's configuration is what Docker names an image by
    return str(json.loads(found[0]["imageManifest"])["config"]["digest"])
