"""What the stacks of an account have, what runs now, and what that costs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..aws import machines, session, stacks
from ..aws.endpoints import Served, of_simferry
from ..aws.machines import Machine
from ..aws.prices import prices
from ..aws.running import running_jobs
from ..aws.session import AccessDenied, AwsError, asking, client
from ..aws.stacks import Stack
from ..errors import UsageError
from ..hints import Option, Text, Variable
from ..images.ecr import InRepository, images_in
from ..system.dialogue import Tell, print_line
from ..words import counted
from .computing import Queue, queues_of
from .contents import contents
from .costs import WARNING, Costs
from .costs import costs as asked
from .templates import SUFFIX, checked, stack_of

# US dollars per GB and month in us-east-1, November 2026 (public price lists of S3 Standard, ECR, CloudWatch Logs)
DOLLARS_PER_GB = {"bucket": 0.023, "images": 0.10, "logs": 0.03, "disk": machines.DISK}
DESCRIBED = 100  # jobs whose instances are asked for, a request each
JOB = re.compile(r"-\d{8}-[0-9a-f]{8}-[0-9a-f]{10}-\d{4}-\d{4}$")  # the end of a job's name: see backends/names.py


@dataclass(frozen=True)
class Stored:
    """What one kind of storage has. what: "bucket", "images" or "disk". complete: False if only its beginning was counted."""

    what: str
    name: str
    things: int
    gigabytes: float
    complete: bool = True

    @property
    def dollars_a_month(self) -> float:
        return self.gigabytes * DOLLARS_PER_GB[self.what]


@dataclass(frozen=True)
class Job:
    """A job that runs now. role: its role's ARN. dollars_an_hour: by on-demand prices; None if they are not known."""

    name: str
    role: str
    instance_type: str
    instances: int
    dollars_an_hour: float | None


@dataclass(frozen=True)
class Infrastructure:
    """The stacks of a name in one region.

    stacks: their states. outputs: Bucket, Store, Repository, JobRole ... stored, images: what costs by the month. jobs: those of
    simferry's runs on SageMaker in this account and region that run now, whatever their role. more_jobs: how many were not looked at.
    queues: of Batch. rstudio: its machine. endpoints: those that simferry has made in this account and region.
    """

    name: str
    region: str
    stacks: Mapping[str, str]
    outputs: Mapping[str, str]
    stored: Sequence[Stored] = field(default_factory=list)
    images: Sequence[str] = field(default_factory=list)
    jobs: Sequence[Job] = field(default_factory=list)
    more_jobs: int = 0
    costs: Costs | None = None
    rstudio: Machine | None = None
    queues: Sequence[Queue] = field(default_factory=list)
    endpoints: Sequence[Served] = field(default_factory=list)

    @property
    def instances(self) -> int:
        """Of SageMaker and RStudio. Of Batch its vCPUs are known."""
        return (
            sum(one.instances for one in self.jobs)
            + sum(one.instances for one in self.endpoints)
            + bool(self.rstudio and self.rstudio.runs)
        )

    @property
    def dollars_an_hour(self) -> float:
        """Of what runs now."""
        return sum(one or 0.0 for one in self._costs)

    @property
    def _costs(self) -> list[float | None]:
        """Of each job, endpoint and queue, and of RStudio, an hour; None where the price is not known."""
        of_batch = [one.dollars_an_hour for one in self.queues]
        of_rstudio = [self.rstudio.dollars_an_hour] if self.rstudio else []
        of_sagemaker = [*(one.dollars_an_hour for one in self.jobs), *(one.dollars_an_hour for one in self.endpoints)]
        return [*of_sagemaker, *of_batch, *of_rstudio]

    @property
    def dollars_a_month(self) -> float:
        """Of storage."""
        return sum(one.dollars_a_month for one in self.stored)

    def __str__(self) -> str:
        lines = [f"stack {stack:24} {state}" for stack, state in self.stacks.items()]
        lines += [f"  {key:22} {value}" for key, value in self.outputs.items()]
        unknown = self.more_jobs or None in self._costs
        number = len(self.jobs) + self.more_jobs + sum(one.running for one in self.queues)
        jobs = f", {counted(number, 'job')}" if number else ""
        vcpus = sum(one.vcpus for one in self.queues)
        batch = f", {vcpus:g} vCPUs of Batch" if vcpus else ""
        lines.append(
            f"runs now: {counted(self.instances, 'instance')}{batch}{jobs}, {'at least ' if unknown else ''}"
            f"${self.dollars_an_hour:.2f} an hour"
        )
        for one in self.jobs:
            price = "price not known" if one.dollars_an_hour is None else f"${one.dollars_an_hour:.2f} an hour"
            lines.append(f"  {one.name}  {one.instances} x {one.instance_type}, {price}")
        lines += [f"  {one}" for one in self.endpoints]
        lines += [f"  {one}" for one in self.queues if one.vcpus or one.jobs or one.trouble]
        if self.rstudio:
            lines.append(f"  RStudio: {in_words(self.rstudio)}")
        for kept in self.stored:
            least = "" if kept.complete else "at least "
            held = {"bucket": "object", "images": "image"}.get(kept.what)
            lines.append(
                f"storage: {kept.what:8} {least}{kept.gigabytes:,.3f} GB{f' in {counted(kept.things, held)}' if held else ''}, "
                f"{least}${kept.dollars_a_month:,.2f} a month  ({kept.name})"
            )
        lines += [str(self.costs)] if self.costs else []
        return "\n".join(lines)


def show(name: str | None = None, *, costs: bool = False, tell: Tell = print_line) -> Infrastructure:
    """What is there of a stack in the configured region, what runs now, and what that costs.

    name: of the stack [SIMFERRY_STACK, or "simferry"]. costs: ask Cost Explorer what this month has cost, by service, for the resources
    with the stack's tag and the jobs of its runs. AWS charges 0.01 dollars for that. tell: called with the line that says so.

    Raises UsageError if there is no such stack, AwsError if AWS can't be asked.
    """
    name = checked(name)
    there = [stack for stack in stacks_of(name) if stack.status != "REVIEW_IN_PROGRESS"]
    if not there:
        raise missing(name)
    outputs = {key: value for stack in there for key, value in stack.outputs.items()}
    images = images_of(outputs)
    jobs, more = running()
    if costs:
        tell(WARNING)
    rstudio = next((machine_of(stack) for stack in there if stack.name == stack_of(name, "rstudio")), None)
    return Infrastructure(
        name, session.region(), {stack.name: stack.status for stack in there}, outputs,
        list(_stored(outputs, images, rstudio)), [one.name for one in images], jobs, more,
        asked(name) if costs else None, rstudio, queues_of(outputs), of_simferry(),
    )  # fmt: skip


def machine_of(stack: Stack) -> Machine | None:
    """The machine of a stack with RStudio; None if it has none yet, or any more."""
    instance = stack.outputs.get("RStudioInstance")
    return machines.describe(instance, float(stack.parameters.get("DiskGB", 0))) if instance else None


def in_words(machine: Machine) -> str:
    price = machine.dollars_an_hour
    cost = "price not known" if price is None else f"${price:.2f} an hour"
    return f"{machine.id}, {machine.instance_type}, {machine.state}, {cost}"


def stacks_of(name: str) -> list[Stack]:
    """The stacks of a name that are there. Raises UsageError for the name of a stack that belongs to another name."""
    found = {one: stacks.find(stack_of(name, one)) for one in SUFFIX}
    if found["base"]:
        check_owner(found["base"], name)
    return [stack for stack in found.values() if stack and owner(stack, name) == name]


def owner(stack: Stack, name: str) -> str:
    """The name to which a stack belongs. NAME-batch may be the second stack of NAME, or the first one of another name."""
    return stack.tags.get(stacks.TAG, name)


def check_owner(stack: Stack, name: str) -> None:
    if (other := owner(stack, name)) != name:
        raise UsageError(
            f"the stack {stack.name} in {session.region()} belongs to that of the name {other}",
            Option("name", other) + "  is that one; others need another name.",
        )


def missing(name: str) -> UsageError:
    """The error where there is no stack of a name."""
    others = elsewhere(name)
    hint = stacks.on_stack("infra deploy", name) + "  makes it."
    if others:
        hint = Text(f"There is one in {' and '.join(others)}: ", Variable("AWS_DEFAULT_REGION", others[0]), "; ", hint)
    return UsageError(f"there is no stack {name} in {session.region()}", hint)


def elsewhere(name: str) -> list[str]:
    """The other regions in which buckets of stacks of this name are; none if buckets may not be listed."""
    try:
        return sorted({region for _, region in buckets_of(name)} - {session.region()})
    except AccessDenied:
        return []


def buckets_of(name: str, named: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The buckets that stacks of this name have made, with their regions, also those of stacks that are gone. named: others that are
    taken if they exist."""
    s3, found = client("s3"), []
    with asking("S3"):
        every = [one["Name"] for one in s3.list_buckets()["Buckets"]]
        for bucket in every:
            if bucket in named or bucket.startswith(f"{name.lower()}-"):  # as CloudFormation names them
                region = s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] or "us-east-1"
                region = "eu-west-1" if region == "EU" else region  # as buckets of before 2010 have it
                if bucket in named or _tag(bucket, region) == name:
                    found.append((bucket, region))
    return found


def _tag(bucket: str, region: str) -> str:
    from botocore.exceptions import ClientError

    try:
        tags = client("s3", region).get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("NoSuchTagSet", "NoSuchBucket", "AccessDenied"):
            raise
        return ""
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == stacks.TAG), "")


def _stored(outputs: Mapping[str, str], images: Sequence[InRepository], rstudio: Machine | None) -> Iterator[Stored]:
    if bucket := outputs.get("Bucket"):
        yield size_of(bucket)
    if repository := outputs.get("Repository"):
        yield Stored("images", repository, len(images), sum(one.gigabytes for one in images))
    if rstudio:
        yield Stored("disk", f"RStudio, {rstudio.id}", 1, rstudio.gigabytes)


def size_of(bucket: str) -> Stored:
    """Number and size of the objects in a bucket; of the first ones if there are very many."""
    found = contents(bucket)
    return Stored("bucket", bucket, found.objects, found.gigabytes, found.complete)


def images_of(outputs: Mapping[str, str]) -> list[InRepository]:
    """The images of the stack's repository."""
    repository = outputs.get("Repository", "").partition("/")[2]
    return images_there(repository) if repository else []


def images_there(repository: str) -> list[InRepository]:
    """The images of a repository; none if it is gone: its tags are found for a while, and a deletion that failed may have removed it."""
    try:
        return images_in(repository)
    except AwsError as error:
        if error.service_code == "RepositoryNotFoundException":
            return []
        raise


def running() -> tuple[list[Job], int]:
    """The jobs of simferry's runs that run now in SageMaker, and how many there are beyond the first DESCRIBED."""
    known = prices(session.region()).dollars_per_hour
    found = [(name, describe) for name, describe in running_jobs() if JOB.search(name)]
    jobs = [_job(name, describe(), known) for name, describe in found[:DESCRIBED]]
    return jobs, len(found) - len(jobs)


def _job(name: str, described: Mapping[str, Any], known: Mapping[str, float]) -> Job:
    cluster = described["cluster"]
    kind = cluster.get("InstanceType") or cluster["InstancePreferences"][0]["InstanceType"]
    count = cluster["InstanceCount"]
    cost = known[kind] * count if kind in known else None
    return Job(name, described["role"], kind, count, cost)
