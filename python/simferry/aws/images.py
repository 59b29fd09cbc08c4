"""Images that SageMaker can run: those in ECR. One that is here is pushed there."""

from dataclasses import dataclass

from ..errors import UsageError
from ..registry import ECR, push, tag_of
from .session import account, asking, client, region


@dataclass(frozen=True)
class Image:
    """uri: its address in ECR. digest: what decides its content. local: its name here, where it is here."""

    uri: str
    digest: str
    local: str | None = None


def find_or_push(name: str) -> Image:
    """An image by its address in ECR, or by its name here: it is pushed to the account's ECR. Raises where it is in neither."""
    from ..engine import EngineError, ImageError, connect, find_image, repository_of

    host, _, rest = name.partition("/")
    if ecr := ECR.fullmatch(host):
        repository, _, tag = rest.partition("@" if "@" in rest else ":")
        digest = _found(ecr[1], ecr[2], repository, tag or "latest", name)
        if not digest:
            hint = f"simferry image push {repository.rpartition('/')[2]} --to {host}  brings one there."
            raise UsageError(f"there is no image {name} in ECR", hint)
        return Image(name, digest)
    try:
        here = find_image(connect(), name, pull=False)
    except EngineError as error:
        return _newest_in_ecr(name, f"Docker does not run here ({error.message})")
    except (ImageError, UsageError):
        return _newest_in_ecr(name, "it is not here either")
    registry = f"{account()}.dkr.ecr.{region()}.amazonaws.com"
    repository, tag = repository_of(name).rpartition("/")[2], tag_of(here)
    if _found(account(), region(), repository, tag, name):  # a tag there never changes its meaning
        return Image(f"{registry}/{repository}:{tag}", str(here.id), name)
    return Image(push(name, registry).uri, str(here.id), name)


def _found(owner: str, where: str, repository: str, tag: str, name: str) -> str:
    """The digest of an image in ECR; empty where there is none."""
    ecr = client("ecr", where)
    image_id = {"imageDigest": tag} if tag.startswith("sha256:") else {"imageTag": tag}
    with asking(f"image {name}"):
        try:
            found = ecr.describe_images(registryId=owner, repositoryName=repository, imageIds=[image_id])
        except (ecr.exceptions.RepositoryNotFoundException, ecr.exceptions.ImageNotFoundException):
            return ""
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
