"""What the stacks of an account have, what runs now, and what that costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..aws import session, stacks
from ..aws.session import asking, client
from ..errors import UsageError
from ..hints import Command
from ..words import counted

# US dollars per GB and month in us-east-1, November 2026 (public price lists of S3 Standard, ECR and CloudWatch Logs)
DOLLARS_PER_GB = {"bucket": 0.023, "images": 0.10, "logs": 0.03}
LOOKED_AT = 100_000  # objects of a bucket whose sizes are added: 100 requests


@dataclass(frozen=True)
class Stored:
    """What one kind of storage has. complete: False if only its beginning was counted."""

    what: str
    name: str
    things: int
    gigabytes: float
    complete: bool = True

    @property
    def dollars_a_month(self) -> float:
        return self.gigabytes * DOLLARS_PER_GB[self.what]


@dataclass(frozen=True)
class Infrastructure:
    """The stacks of a name in one region. outputs: of all of them. hourly: US dollars an hour of what runs now."""

    name: str
    region: str
    stacks: Mapping[str, str]
    outputs: Mapping[str, str]
    stored: list[Stored] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    hourly: float = 0.0
    instances: int = 0

    @property
    def dollars_a_month(self) -> float:
        """Of storage."""
        return sum(one.dollars_a_month for one in self.stored)

    def __str__(self) -> str:
        lines = [f"stack {stack:24} {state}" for stack, state in self.stacks.items()]
        lines += [f"  {key:16} {value}" for key, value in self.outputs.items()]
        lines.append(f"runs now: {counted(self.instances, 'instance')}, ${self.hourly:.2f} an hour")
        for one in self.stored:
            least = "" if one.complete else "at least "
            lines.append(
                f"storage: {one.what:8} {least}{one.gigabytes:,.3f} GB in {one.things:,}, "
                f"{least}${one.dollars_a_month:,.2f} a month  ({one.name})"
            )
        return "\n".join(lines)


def show(name: str | None = None) -> Infrastructure:
    """What is there of a name [SIMFERRY_STACK, or "simferry"] in the configured region. Raises UsageError if there is nothing."""
    from .templates import SUFFIX, stack_of

    name = name or stacks.default_name()
    found = {one: stacks.find(stack_of(name, one)) for one in SUFFIX}
    there = {one: stack for one, stack in found.items() if stack and stack.status != "REVIEW_IN_PROGRESS"}
    if not there:
        raise UsageError(
            f"there is no stack {name} in {session.region()}", Command("infra deploy", name=name) + "  makes it."
        )
    outputs = {key: value for stack in there.values() for key, value in stack.outputs.items()}
    images = list(images_of(outputs)) if "Repository" in outputs else []
    return Infrastructure(
        name, session.region(), {stack.name: stack.status for stack in there.values()}, outputs,
        list(_stored(outputs, images)), [one["name"] for one in images],
    )  # fmt: skip


def _stored(outputs: Mapping[str, str], images: list[dict[str, Any]]) -> Iterator[Stored]:
    if bucket := outputs.get("Bucket"):
        yield size_of(bucket)
    if repository := outputs.get("Repository"):
        size = sum(one["bytes"] for one in images)
        yield Stored("images", repository, len(images), size / 1e9)
    if group := outputs.get("LogGroup"):
        with asking(f"log group {group}"):
            found = client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        size = sum(one.get("storedBytes", 0) for one in found if one["logGroupName"] == group)
        yield Stored("logs", group, 1, size / 1e9)


def size_of(bucket: str) -> Stored:
    """Number and size of the objects in a bucket; of the first LOOKED_AT if there are more."""
    count = size = 0
    with asking(f"bucket {bucket}"):
        for page in client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
            count += len(page.get("Contents", []))
            size += sum(one["Size"] for one in page.get("Contents", []))
            if count >= LOOKED_AT and page.get("IsTruncated"):
                return Stored("bucket", bucket, count, size / 1e9, complete=False)
    return Stored("bucket", bucket, count, size / 1e9)


def images_of(outputs: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The images of the stack's repository: name with tag, and bytes."""
    address = outputs["Repository"]
    repository = address.partition("/")[2]
    with asking(f"repository {repository}"):
        for page in client("ecr").get_paginator("describe_images").paginate(repositoryName=repository):
            for one in page["imageDetails"]:
                tag = f":{one['imageTags'][0]}" if one.get("imageTags") else f"@{one['imageDigest'][:19]}"
                yield {"name": f"{repository}{tag}", "bytes": one.get("imageSizeInBytes", 0)}
