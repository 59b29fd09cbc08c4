"""The ECR of an account: address, image names, repositories, login."""

import base64
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..aws.session import asking
from ..aws.session import client as aws_client
from ..aws.tags import MADE_BY
from ..containers.engine import repository_of

ECR = re.compile(r"(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
ATTEMPTS = 3  # few, because a user waits for the answer
KEPT_IMAGES = 30
Progress = Callable[[str], None]


@dataclass(frozen=True)
class InRepository:
    """An image in a repository of ECR. pushed: when. gigabytes: compressed, as ECR counts it; images share layers. kind: the media type of
    its manifest."""

    repository: str
    tags: tuple[str, ...]
    digest: str
    pushed: datetime
    gigabytes: float
    kind: str = ""

    @property
    def name(self) -> str:
        """repository:tag, or with the beginning of its digest if it has no tag."""
        return f"{self.repository}:{self.tags[0]}" if self.tags else f"{self.repository}@{self.digest[:19]}"


def images_in(repository: str) -> list[InRepository]:
    """The images of a repository, the newest first. Raises AwsError."""
    with asking(f"repository {repository}"):
        pages = aws_client("ecr").get_paginator("describe_images").paginate(repositoryName=repository)
        found = [
            InRepository(
                repository, tuple(one.get("imageTags", ())), one["imageDigest"], one["imagePushedAt"],
                one.get("imageSizeInBytes", 0) / 1e9, one.get("imageManifestMediaType", ""),
            )
            for page in pages
            for one in page["imageDetails"]
        ]  # fmt: skip
    return sorted(found, key=lambda one: (one.pushed, one.digest), reverse=True)


def ecr_host(account: str, region: str) -> str:
    """The address of an account's ECR; in China it has another domain."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def named_in_ecr(name: str) -> tuple[str, dict[str, str]]:
    """The repository of an image name without host, and the tag or digest as an ImageIdentifier of ECR."""
    repository = repository_of(name)
    tag, _, digest = name[len(repository) :].lstrip(":").partition("@")
    return repository, {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}


def client_of(region: str) -> Any:
    return aws_client("ecr", region, ATTEMPTS)


def make_where_missing(account: str, region: str, repository: str, on_progress: Progress) -> None:
    """Create the repository if it is missing. Raises AwsError."""
    with asking(f"ECR of account {account} in {region}"):
        ecr = client_of(region)
        try:
            ecr.describe_repositories(registryId=account, repositoryNames=[repository])
        except ecr.exceptions.RepositoryNotFoundException:
            on_progress(f"making repository {repository}")
            _make_repository(ecr, account, repository)


def ecr_login(account: str, region: str) -> dict[str, str]:
    """User and password of the registry. Raises AwsError."""
    with asking(f"ECR of account {account} in {region}"):
        token = client_of(region).get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return {"username": user, "password": password}


def _make_repository(ecr: Any, account: str, repository: str) -> None:
    """Create a repository with immutable tags, scans, and a rule that keeps the newest images. After an error there is none."""
    from botocore.exceptions import ClientError

    try:
        ecr.create_repository(
            registryId=account, repositoryName=repository, imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True}, tags=[{"Key": key, "Value": value} for key, value in MADE_BY.items()],
        )  # fmt: skip
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return  # another process has created it
    rule = {
        "rulePriority": 1,
        "description": f"keep the newest {KEPT_IMAGES} images",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    try:
        ecr.put_lifecycle_policy(
            registryId=account, repositoryName=repository, lifecyclePolicyText=json.dumps({"rules": [rule]})
        )
    except ClientError:
        with contextlib.suppress(ClientError):  # no repository without its rule
            ecr.delete_repository(registryId=account, repositoryName=repository)
        raise
