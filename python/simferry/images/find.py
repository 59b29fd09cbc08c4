"""Finds images in ECR, where SageMaker can run them; a local image is pushed there first."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..aws.session import account, asking, client, region
from ..errors import UsageError
from ..hints import Command, MakesImage, Variable, Words
from .ecr import ECR, ecr_host, named_in_ecr
from .registry import digests_of, place_in, push, tag_of


@dataclass(frozen=True)
class Image:
    """An image in ECR.

    uri: its address with the digest, so that later pushes change nothing. digest: identifies the content. local: its name on this
    machine, if it is here.
    """

    uri: str
    digest: str
    local: str | None = None


def find_or_push(name: str, on_progress: Callable[[str], None] = lambda _: None, into: str = "") -> Image:
    """An image by its address in ECR, or by its local name; a local image is pushed to ECR. Raises UsageError if there is none.

    into: the address of a repository that takes all images, whose tags then begin with their names; else each has one of its own.
    """
    from ..containers.engine import EngineError, ImageError, connect, find_image

    host, _, rest = name.partition("/")
    if ecr := ECR.fullmatch(host):
        repository, which = named_in_ecr(rest)
        if ecr[2] != region():  # SageMaker refuses it
            raise UsageError(
                f"the image {name} is in {ecr[2]}, and jobs run in the configured region, {region()}",
                Command("image push", repository.rpartition("/")[2], to=ecr_host(ecr[1], region()))
                + "  brings it there; or "
                + Variable("AWS_DEFAULT_REGION", ecr[2]),
            )
        digest = _found(ecr[1], ecr[2], repository, which, name)
        if not digest:
            hint = Command("image push", repository.rpartition("/")[2], to=host) + "  brings one there."
            raise UsageError(f"there is no image {name} in ECR", hint)
        return Image(f"{host}/{repository}@{digest}", digest)
    try:
        here = find_image(connect(), name, pull=False)
    except EngineError as error:
        return _only_in_ecr(name, f"Docker does not run here ({error.message})", into, error.hint)
    except (ImageError, UsageError) as error:
        is_none = str(error.message).startswith("there is no image")
        return _only_in_ecr(name, "it is not here either" if is_none else str(error.message), into, MakesImage(name))
    registry = ecr_host(account(), region())
    repository, tag = place_in(into, name, tag_of(here))
    digest = _found(account(), region(), repository, {"imageTag": tag}, name)
    if digest not in digests_of(here):  # another machine may have pushed its image of the same recipe
        digest = push(name, registry, on_progress, into).digest
    return Image(f"{registry}/{repository}@{digest}", str(here.id), name)


def on_this_machine(name: str) -> Image | None:
    """An image by its local name, which is not pushed: it has no uri. None if Docker does not run here, or has none of this name."""
    from ..containers.engine import EngineError, ImageError, connect, find_image

    if ECR.fullmatch(name.partition("/")[0]):
        return None
    try:
        return Image("", str(find_image(connect(), name, pull=False).id), name)
    except (EngineError, ImageError, UsageError):
        return None


def _found(owner: str, where: str, repository: str, which: dict[str, str], name: str) -> str:
    """The digest of an image in ECR; empty if there is none."""
    ecr = client("ecr", where)
    with asking(f"image {name}"):
        try:
            found = ecr.describe_images(registryId=owner, repositoryName=repository, imageIds=[which])
        except _absent(ecr):
            return ""
    return str(found["imageDetails"][0]["imageDigest"])


def _only_in_ecr(name: str, why: str, into: str, hint: Words) -> Image:
    """The image of this name and tag in the account's ECR; without a tag, the newest that has one."""
    own, which = named_in_ecr(name)
    repository, tag = place_in(into, own, "" if name == own else which.get("imageTag", ""))
    if name == own:
        digest = _newest(repository, tag)
    else:
        digest = _found(account(), region(), repository, {"imageTag": tag} if "imageTag" in which else which, name)
    if not digest:
        raise UsageError(
            f"there is no image {name} in this account's ECR, and {why}",
            hint,
        )
    return Image(f"{ecr_host(account(), region())}/{repository}@{digest}", digest)


def _newest(repository: str, begin: str) -> str:
    """The digest of the newest image with a tag that begins so. Images without a tag are parts of others, or were replaced."""
    ecr = client("ecr")
    with asking(f"image {repository}"):
        try:
            pages = ecr.get_paginator("describe_images")
            asked = pages.paginate(repositoryName=repository, filter={"tagStatus": "TAGGED"})
            found = [
                one
                for page in asked
                for one in page["imageDetails"]
                if any(tag.startswith(begin) for tag in one["imageTags"])
            ]
        except _absent(ecr):
            return ""
    return str(max(found, key=lambda one: one["imagePushedAt"])["imageDigest"]) if found else ""


def _absent(ecr: Any) -> tuple[type[Exception], ...]:
    """ECR's errors for an image that does not exist, or whose name is not valid."""
    names = ("RepositoryNotFoundException", "ImageNotFoundException", "InvalidParameterException")
    return tuple(getattr(ecr.exceptions, name) for name in names)
