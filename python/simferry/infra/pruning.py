"""Deletes images from ECR that nothing uses any more."""

import datetime
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..aws import session, stacks
from ..aws.session import asking, client
from ..aws.tags import Tagged, made_by_simferry
from ..errors import UsageError, nearest
from ..hints import Option, Shell
from ..images.ecr import InRepository
from ..system.dialogue import Confirm, Tell, ask, print_line
from ..words import counted
from .images_in_use import Uses, in_use, uses
from .inventory import DOLLARS_PER_GB, images_there

AT_ONCE = 100  # images that a request deletes, or reads
_LISTS = ("manifest.list", "image.index")  # in the media types of images for several architectures


@dataclass(frozen=True)
class Pruned:
    """images: those that were deleted. repositories: those that were deleted, since no stack has them and nothing was left in them."""

    images: list[InRepository]
    repositories: list[str]

    @property
    def gigabytes(self) -> float:
        """The sum of the images' sizes. Images share layers: what is saved may be less."""
        return sum(one.gigabytes for one in self.images)


def prune_images(
    repository: str | None = None,
    *,
    keep: int = 1,
    older_than: float = 0,
    used: bool = False,
    store: str | Sequence[str] = (),
    yes: bool = False,
    tell: Tell = print_line,
    confirm: Confirm = ask,
) -> Pruned | None:
    """Delete images from ECR that no run uses which is still kept, and no job that runs.

    repository: the name of one that simferry has made [those of the stack, SIMFERRY_STACK or "simferry", and of no stack that is there].
    keep: so many of the newest images of each name stay in any case, 0 or more. older_than: days; only images that were pushed before.
    used: also those that kept runs use: resuming or replaying these runs will then fail. Those of jobs that run stay. store: further
    stores whose runs count. yes: do not ask. tell: called with each line of the report. confirm: asks a question.

    Runs are looked for in simferry's buckets of this region, in SageMaker's default bucket, in SIMFERRY_STORE and ./simferry-runs.

    Returns what was deleted; None if the answer was no. Raises UsageError for a wrong repository or number, AwsError, and StoreError if
    a run can't be read: then nothing is deleted.
    """
    _check_numbers(keep, older_than)
    made = made_by_simferry(("ecr:repository", "s3"))
    names = _repositories(made, repository)
    tell(f"{session.region()}, account {session.account()}:")
    if not names:
        tell("simferry has made no repository here")
        return Pruned([], [])
    stores = [store] if isinstance(store, str) else store
    found = uses([one.name for one in made if one.service == "s3"], stores)
    for address, count in found.looked_at.items():
        tell(f"  {counted(count, 'run')} in {address}")
    every = {name: images_there(name) for name in names}
    going = {name: _going(images, found, keep, older_than, used, tell) for name, images in every.items()}
    # an empty one may be waiting for its first image
    emptied = [name for name, own in names.items() if not (own or keep) and len(going[name]) == len(every[name])]
    images = [one for some in going.values() for one in some]
    for line in _told(images, emptied):
        tell(line)
    if not images and not emptied:
        return Pruned([], [])
    if not yes and not confirm(f"Delete {counted(len(images), 'image')}?"):
        tell("nothing is deleted")
        return None
    gone = [one for name, some in going.items() for one in _deleted(name, some, every[name], tell)]
    return Pruned(gone, [name for name in emptied if _repository_deleted(name, tell)])


def _check_numbers(keep: int, older_than: float) -> None:
    if keep != int(keep) or keep < 0:
        raise UsageError(f"keep is {keep}; it is how many of the newest images of each name stay, 0 or more")
    if not older_than >= 0:
        raise UsageError(f"older_than is {older_than}; it is in days, 0 or more")


def _repositories(made: Sequence[Tagged], wanted: str | None) -> dict[str, str]:
    """The names of the repositories to look at, with their stacks, as far as these are there."""
    known = {one.name: one.stack for one in made if one.kind == "ecr:repository"}
    there = {stack: bool(stack and stacks.find(stack)) for stack in set(known.values())}
    known = {name: stack if there[stack] else "" for name, stack in known.items()}
    if wanted is None:
        return {name: stack for name, stack in known.items() if stack in ("", stacks.default_name())}
    name = wanted.partition("/")[2] if ".dkr.ecr" in wanted.partition("/")[0] else wanted
    if name not in known:
        by_hand = Shell("aws", "ecr", "batch-delete-image", "--repository-name", name, "--image-ids", "imageTag=TAG")
        raise UsageError(
            f"simferry has made no repository {name} in {session.region()}",
            nearest(name, known) or by_hand + "  deletes an image of another.",
        )
    return {name: known[name]}


# ---- which ones ----


def _going(
    images: Sequence[InRepository], found: Uses, keep: int, older_than: float, used: bool, tell: Tell
) -> list[InRepository]:
    """The images to delete, the newest first."""
    parts = _parts(images)
    whole = [one for one in images if one.digest not in parts]
    newest = {one.digest for some in _by_name(whole).values() for one in some[: int(keep)]}
    kept: dict[str, list[InRepository]] = {}
    going = []
    for one in whole:
        own = [one, *(part for part in images if one.digest in parts.get(part.digest, ()))]
        if any(in_use(part, found.jobs) for part in own):
            kept.setdefault("in use by jobs", []).append(one)
        elif any(in_use(part, found.runs) for part in own) and not used:
            kept.setdefault("in use by runs that are kept", []).append(one)
        elif one.digest in newest:
            kept.setdefault("the newest of their name", []).append(one)
        elif not _is_older(one, older_than):
            kept.setdefault(f"pushed in the last {older_than:g} days", []).append(one)
        else:
            going += [part for part in own if part not in going]
    gone = {one.digest for one in going}
    going = [one for one in going if parts.get(one.digest, set()) <= gone]  # a part may be of several
    for why, some in kept.items():
        tell(f"  = {counted(len(some), 'image')} of {some[0].repository}: {why}")
    return going


def _is_older(image: InRepository, days: float) -> bool:
    return datetime.datetime.now(datetime.timezone.utc) - image.pushed >= datetime.timedelta(days=days)


def _by_name(images: Iterable[InRepository]) -> dict[str, list[InRepository]]:
    """Images by the names under which they were pushed: NAME-HASH in a repository for all images, the repository's own otherwise."""
    out: dict[str, list[InRepository]] = {}
    for one in images:
        for name in {tag.rpartition("-")[0] for tag in one.tags}:
            out.setdefault(name, []).append(one)
    return out


def _has_parts(image: InRepository) -> bool:
    """Whether it is one for several architectures."""
    return any(word in image.kind for word in _LISTS)


def _parts(images: Sequence[InRepository]) -> dict[str, set[str]]:
    """Of images for several architectures, the digests of their parts with those of the wholes: ECR lists each part as an image, too."""
    lists = [one for one in images if _has_parts(one)]
    out: dict[str, set[str]] = {}
    for start in range(0, len(lists), AT_ONCE):
        some = lists[start : start + AT_ONCE]
        name = some[0].repository
        with asking(f"repository {name}"):
            answer = client("ecr").batch_get_image(
                repositoryName=name,
                imageIds=[{"imageDigest": one.digest} for one in some],
                acceptedMediaTypes=sorted({one.kind for one in some}),
            )
        for one in answer["images"]:
            for part in json.loads(one["imageManifest"]).get("manifests", []):
                out.setdefault(part["digest"], set()).add(one["imageId"]["imageDigest"])
    return {digest: wholes for digest, wholes in out.items() if digest not in wholes}


def _told(images: Sequence[InRepository], emptied: Sequence[str]) -> Iterable[str]:
    for one in images:
        yield f"  - {one.name}  {one.gigabytes:,.3f} GB, pushed {one.pushed:%Y-%m-%d}"
    for name in emptied:
        yield f"  - repository {name}, which no stack has"
    if images:
        size = sum(one.gigabytes for one in images)
        yield f"{counted(len(images), 'image')}, at most {size:,.3f} GB, ${size * DOLLARS_PER_GB['images']:,.2f} a month"
        yield f"runs elsewhere are not known; {Option('store', 's3://my-bucket/simferry')}  looks there, too"
    elif not emptied:
        yield "there is no image to delete"


# ---- deletion ----


def _deleted(
    repository: str, going: Sequence[InRepository], every: Sequence[InRepository], tell: Tell
) -> list[InRepository]:
    """Delete images, those for several architectures before their parts. Returns those that are gone."""
    failed: dict[str, str] = {}
    first = [one for one in going if _has_parts(one)]
    rest = [one for one in going if not _has_parts(one)]
    ecr = client("ecr")
    for some in (first, rest):
        for start in range(0, len(some), AT_ONCE):
            ids = [{"imageDigest": one.digest} for one in some[start : start + AT_ONCE]]
            with asking(f"repository {repository}"):
                answer = ecr.batch_delete_image(repositoryName=repository, imageIds=ids)
            failed |= {
                one["imageId"].get("imageDigest", ""): str(one.get("failureReason") or one.get("failureCode"))
                for one in answer.get("failures", [])
                if one.get("failureCode") != "ImageNotFound"  # somebody was faster
            }
    for one in going:
        if one.digest in failed:
            tell(f"  {one.name} stays: {failed[one.digest]}")
    return [one for one in going if one.digest not in failed]


def _repository_deleted(name: str, tell: Tell) -> bool:
    """Delete an empty repository. False if it is not empty any more."""
    ecr = client("ecr")
    with asking(f"repository {name}"):
        try:
            ecr.delete_repository(repositoryName=name)
        except ecr.exceptions.RepositoryNotEmptyException:
            tell(f"  repository {name} stays: it is not empty")
            return False
        except ecr.exceptions.RepositoryNotFoundException:
            pass
    return True
