"""Images that SageMaker can run: those in ECR. One that is here is pushed there."""

from dataclasses import dataclass

from ..errors import UsageError
from ..registry import ECR, push
from .session import account, asking, client, region


@dataclass(frozen=True)
class Image:
    """uri: its address in ECR. digest: what decides its content. local: its name here, where it is here."""

    uri: str
    digest: str
    local: str | None = None


def find_or_push(name: str) -> Image:
    """An image by its address in ECR, or by its name here: it is pushed to the account's ECR. Raises where it is in neither."""
    from ..engine import EngineError, ImageError, connect, find_image

    host, _, rest = name.partition("/")
    ecr = ECR.fullmatch(host)
    if ecr:
        repository, tag = (
            (rest.split("@") if "@" in rest else rest.rsplit(":", 1))
            if "@" in rest or ":" in rest
            else (rest, "latest")
        )
        return Image(name, _digest_in_ecr(ecr[1], ecr[2], repository, tag, name))
    try:
        here = find_image(connect(), name, pull=False)
    except EngineError as error:
        return _newest_in_ecr(name, f"Docker does not run here ({error.message})")
    except (ImageError, UsageError):
        return _newest_in_ecr(name, "it is not here either")
    pushed = push(name, f"{account()}.dkr.ecr.{region()}.amazonaws.com")
    return Image(pushed.uri, str(here.id), name)


def _digest_in_ecr(registry: str, where: str, repository: str, tag: str, name: str) -> str:
    ecr = client("ecr", where)
    image_id = {"imageDigest": tag} if tag.startswith("sha256:") else {"imageTag": tag}
    with asking(f"image {name}"):
        try:
            found = ecr.describe_images(registryId=registry, repositoryName=repository, imageIds=[image_id])
        except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
            raise UsageError(
                f"there is no image {name} in ECR",
                f"simferry image push {repository.rpartition('/')[2]} --to {name.partition('/')[0]}  brings one there.",
            ) from None
    return str(found["imageDetails"][0]["imageDigest"])


def _newest_in_ecr(name: str, why: str) -> Image:
    """The image of that name that was pushed last."""
    ecr = client("ecr")
    repository = name.partition(":")[0]
    with asking(f"image {name}"):
        try:
            pages = ecr.get_paginator("describe_images").paginate(repositoryName=repository)
            found = [one for page in pages for one in page["imageDetails"]]
        except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.InvalidParameterException):
            found = []
    if not found:
        raise UsageError(
            f"there is no image {name} in this account's ECR, and {why}",
            "simferry image build containers/r  makes one.",
        )
    newest = max(found, key=lambda one: one["imagePushedAt"])
    uri = f"{account()}.dkr.ecr.{region()}.amazonaws.com/{repository}@{newest['imageDigest']}"
    return Image(uri, str(newest["imageDigest"]))
