"""Lists all that simferry has made in an account, found by tags: also what no stack has made, and what a deleted one has left."""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..aws import session, stacks
from ..aws.buckets import default_name
from ..aws.endpoints import Served, of_simferry
from ..aws.logs import GROUP, TRAINING_GROUP
from ..aws.session import AwsError, CredentialsError, asking, client
from ..aws.tags import IN_STACK, Tagged, made_by_simferry
from ..errors import ServiceError
from ..hints import Command, Shell, Words
from ..images.ecr import InRepository, images_in
from ..words import counted
from .contents import StoredRun, contents
from .inventory import DOLLARS_PER_GB

JOBS_LOGS = (GROUP, TRAINING_GROUP)  # SageMaker makes them, and writes the logs of all its jobs there
_FOLDER = "simferry/"  # of runs in the default bucket, which is not simferry's alone
_GONE = ("NoSuchBucket", "RepositoryNotFoundException", "404")  # tags are found for a while after a deletion


@dataclass(frozen=True)
class ListedStack:
    """status: in CloudFormation's words; DELETED where it is gone and something is left; empty if it may not be looked at. stack: the name
    that `infra deploy` was given."""

    name: str
    status: str
    stack: str


@dataclass(frozen=True)
class ListedBucket:
    """folder: the only part that was looked at; empty for all of it. stack: that it belongs to; empty if none. complete: False if only
    the first objects were counted."""

    name: str
    folder: str
    stack: str
    objects: int
    gigabytes: float
    complete: bool = True


@dataclass(frozen=True)
class ListedRepository:
    """gigabytes: the sum of its images. Layers that they share are paid once: it is at most that."""

    name: str
    stack: str
    images: int
    gigabytes: float


@dataclass(frozen=True)
class ListedLog:
    """A group of logs. days_kept: None if for ever."""

    name: str
    stack: str
    gigabytes: float
    days_kept: int | None


@dataclass(frozen=True)
class ListedResource:
    """Another resource with simferry's tag. kind: such as ec2:vpc."""

    arn: str
    kind: str
    stack: str


@dataclass(frozen=True)
class Listing:
    """What simferry has made in one region of an account.

    stacks, buckets, runs, repositories, images, logs: each with its name and size. endpoints: models that answer requests, which cost by
    the hour. others: what else has simferry's tag. unseen: what could not be looked at, with the reasons.
    """

    region: str
    account: str
    stacks: list[ListedStack] = field(default_factory=list)
    buckets: list[ListedBucket] = field(default_factory=list)
    runs: list[StoredRun] = field(default_factory=list)
    repositories: list[ListedRepository] = field(default_factory=list)
    images: list[InRepository] = field(default_factory=list)
    logs: list[ListedLog] = field(default_factory=list)
    endpoints: list[Served] = field(default_factory=list)
    others: list[ListedResource] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    @property
    def dollars_a_month(self) -> float:
        """For storage, by the sizes that are listed."""
        kinds: Mapping[str, Iterable[ListedBucket | ListedRepository | ListedLog]]
        kinds = {"bucket": self.buckets, "images": self.repositories, "logs": self.logs}
        return sum(one.gigabytes * DOLLARS_PER_GB[kind] for kind, some in kinds.items() for one in some)

    @property
    def dollars_an_hour(self) -> float:
        """Of endpoints, while nothing is asked; those whose price is not known count nothing."""
        return sum(one.dollars_an_hour or 0.0 for one in self.endpoints)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def list_all() -> Listing:
    """All that simferry has made in the configured region: stacks, buckets and the runs in them, repositories and their images, logs,
    endpoints.

    What has simferry's tag is found, and also the default bucket of SageMaker, the store of SIMFERRY_STORE and the logs of SageMaker's
    processing jobs. It changes nothing. Where access is denied the rest is listed, and `unseen` says what is missing.

    Raises AwsError if the account can't be asked at all, as without credentials.
    """
    found = Listing(session.region(), session.account())
    tagged: list[Tagged] = []
    with _noting(found):
        tagged = made_by_simferry()
    known = _stacks(found, tagged)
    for bucket, folder, stack in _buckets(found, tagged, known):
        with _noting(found):
            inside = contents(bucket, folder)
            if inside.objects or not folder:
                one = ListedBucket(bucket, folder, stack, inside.objects, inside.gigabytes, inside.complete)
                found.buckets.append(one)
                found.runs.extend(inside.runs)
    for repository, stack in _named("ecr:repository", tagged, known, "Repository").items():
        with _noting(found):
            images = images_in(repository)
            found.repositories.append(
                ListedRepository(repository, stack, len(images), sum(one.gigabytes for one in images))
            )
            found.images.extend(images)
    with _noting(found):
        found.logs.extend(_logs(_named("logs:log-group", tagged, known, "LogGroup")))
    with _noting(found):
        found.endpoints.extend(of_simferry(tagged))
    shown = ("cloudformation:stack", "ecr:repository", "logs:log-group", "s3", "sagemaker:endpoint")
    found.others.extend(ListedResource(one.arn, one.kind, one.stack) for one in tagged if one.kind not in shown)
    return found


@contextlib.contextmanager
def _noting(found: Listing) -> Iterator[None]:
    """Within the block an error is noted in `unseen`: the rest is still listed. What is gone is not missed."""
    try:
        yield
    except CredentialsError:
        raise
    except ServiceError as error:
        if not (isinstance(error, AwsError) and error.service_code in _GONE):
            found.unseen.append(str(error.message))


def _stacks(found: Listing, tagged: Sequence[Tagged]) -> list[stacks.Stack]:
    """The stacks that are there. Where no tags may be read, that of the default name."""
    arns = {one.arn: one.name.partition("/")[0] for one in tagged if one.kind == "cloudformation:stack"}
    arns |= {one.tags[f"{IN_STACK}id"]: one.tags[f"{IN_STACK}name"] for one in tagged if f"{IN_STACK}id" in one.tags}
    own = {one.arn: one.stack or one.name.partition("/")[0] for one in tagged if one.kind == "cloudformation:stack"}
    there = []
    if not arns and found.unseen:
        arns[stacks.default_name()] = stacks.default_name()
    for arn, name in arns.items():
        status = ""
        with _noting(found):
            stack = stacks.find(arn)
            if stack is None and arn == name:  # it was only looked for
                continue
            if stack is None or stack.status == "DELETE_COMPLETE":
                status = "DELETED"
            else:
                status = stack.status
                there.append(stack)
        found.stacks.append(ListedStack(name, status, own.get(arn, name)))
    found.stacks.sort(key=lambda one: (one.name, one.status))
    return there


def _named(kind: str, tagged: Sequence[Tagged], known: Sequence[stacks.Stack], output: str) -> dict[str, str]:
    """The names of all resources of a kind, with the names of their stacks. output: of stacks, which names one."""
    names = {one.name: one.stack for one in tagged if one.kind == kind}
    for stack in known:
        if value := stack.outputs.get(output):
            names.setdefault(value.partition("/")[2] if kind == "ecr:repository" else value, stack.name)
    return names


def _buckets(found: Listing, tagged: Sequence[Tagged], known: Sequence[stacks.Stack]) -> Iterator[tuple[str, str, str]]:
    """Buckets, the folder in them that simferry uses, and their stacks."""
    whole = _named("s3", tagged, known, "Bucket")
    default = default_name(found.region, found.account)
    yield from ((name, "", stack) for name, stack in whole.items() if name != default)
    yield default, _FOLDER, ""
    store = os.environ.get("SIMFERRY_STORE", "")
    own, _, folder = store.removeprefix("s3://").partition("/")
    folder = f"{folder.rstrip('/')}/".lstrip("/")
    seen = own in whole or (own == default and folder.startswith(_FOLDER))
    if store.startswith("s3://") and not seen:
        yield own, folder, ""


def _logs(groups: Mapping[str, str]) -> Iterator[ListedLog]:
    """The log groups with these names, and those of SageMaker's jobs. A request each: an account may have thousands of others."""
    for name, stack in {**dict.fromkeys(JOBS_LOGS, ""), **groups}.items():
        with asking("the log groups"):
            found = client("logs").describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]
        for one in found:  # they are sorted by name
            if one["logGroupName"] == name:
                yield ListedLog(name, stack, one.get("storedBytes", 0) / 1e9, one.get("retentionInDays"))


# ---- in words ----


def _lines(found: Listing) -> Iterator[str]:
    there = {one.stack for one in found.stacks if one.status != "DELETED"}
    seen = not found.unseen  # what is gone is known only where all could be looked at

    def of(stack: str) -> str:
        gone = ", which is deleted" if stack not in there and seen else ""
        return f"  (stack {stack}{gone})" if stack else ""

    yield f"{found.region}, account {found.account} (other regions are not looked at)"
    for stack in found.stacks:
        yield f"stack {stack.name:24} {stack.status or 'may not be looked at'}"
    for bucket in found.buckets:
        least = "" if bucket.complete else "at least "
        name = f"{bucket.name}/{bucket.folder}" if bucket.folder else bucket.name
        yield f"bucket {name}  {least}{_size(bucket.gigabytes)} in {counted(bucket.objects, 'object')}{of(bucket.stack)}"
        inside = f"s3://{bucket.name}/{bucket.folder}"
        yield from (f"  {_run(one)}" for one in found.runs if one.address.startswith(inside))
    for repository in found.repositories:
        most = "at most " if repository.images > 1 else ""
        size = f"{most}{_size(repository.gigabytes)} in {counted(repository.images, 'image')}"
        yield f"repository {repository.name}  {size}{of(repository.stack)}"
        for image in [one for one in found.images if one.repository == repository.name]:
            yield f"  {image.name.removeprefix(repository.name)[1:]}  {_size(image.gigabytes)}, {image.pushed:%Y-%m-%d}"
    for log in found.logs:
        shared = "; of all of SageMaker's jobs" if log.name in JOBS_LOGS else ""
        kept = f"kept {counted(log.days_kept, 'day')}" if log.days_kept else "kept for ever"
        yield f"logs {log.name}  {_size(log.gigabytes)}, {kept}{shared}{of(log.stack)}"
    yield from (f"{one}{of(one.stack)}" for one in found.endpoints)
    yield from (f"{one.kind} {one.arn.split(':', 5)[-1]}{of(one.stack)}" for one in found.others)
    if not (found.endpoints or found.buckets or found.repositories or found.logs or found.stacks or found.others):
        yield "nothing of simferry was found"
    if found.endpoints:
        least = "at least " if any(one.dollars_an_hour is None for one in found.endpoints) else ""
        yield f"runs now: {counted(len(found.endpoints), 'endpoint')}, {least}${found.dollars_an_hour:.2f} an hour"
    least = "" if all(one.complete for one in found.buckets) and not found.unseen else "at least "
    yield f"storage: {least}${found.dollars_a_month:,.2f} a month"
    yield from (f"not seen: {reason}" for reason in found.unseen)
    yield from map(str, _ways_out(found))


def _size(gigabytes: float) -> str:
    return f"{gigabytes:,.3f} GB"


def _run(one: StoredRun) -> str:
    left = "" if one.whole else ", left by an interrupted deletion"
    if not one.objects:
        return f"{one.address}  not counted"
    least = "" if one.complete else "at least "
    return f"{one.address}  {least}{_size(one.gigabytes)} in {counted(one.objects, 'object')}, {one.changed:%Y-%m-%d}{left}"


def _ways_out(found: Listing) -> Iterator[Words]:
    """What removes what is listed."""
    if found.endpoints:
        yield Command("endpoint delete", found.endpoints[0].name) + "  deletes an endpoint"
    if found.runs:
        yield Command("delete", found.runs[0].address) + "  deletes a run"
    if found.images:
        yield Command("image prune") + "  deletes images that no run uses"
    for log in found.logs:
        if log.gigabytes and not log.days_kept:
            days = Shell(
                "aws", "logs", "put-retention-policy", "--log-group-name", log.name, "--retention-in-days", "90"
            )
            yield days + "  deletes logs that are older"
    parts: list[Sequence[ListedStack | ListedBucket | ListedRepository | ListedLog | ListedResource]]  # those of stacks
    parts = [found.stacks, found.buckets, found.repositories, found.logs, found.others]
    for name in sorted({one.stack for part in parts for one in part} - {""}):
        yield stacks.on_stack("infra delete", name, data=True) + f"  deletes all of stack {name}"
