"""Removes what `deploy` made, in the right order. Results go only when that is said."""

import contextlib
from collections.abc import Iterator
from typing import Any

from ..aws import session, stacks
from ..aws.endpoints import KIND, state
from ..aws.session import AccessDenied, AwsError, asking, client
from ..aws.stacks import Stack
from ..aws.tags import made_by_simferry
from ..errors import UsageError
from ..hints import Command, Shell
from ..system.dialogue import Confirm, Tell, ask, print_line
from ..words import counted
from .computing import queues_of
from .deployment import check_ours, removed
from .inventory import buckets_of, elsewhere, images_of, running, size_of, stacks_of
from .rstudio import check_disk_may_go, forget
from .templates import checked, stack_of


def delete(
    name: str | None = None,
    *,
    data: bool = False,
    yes: bool = False,
    tell: Tell = print_line,
    confirm: Confirm = ask,
) -> bool:
    """Delete the stacks of a name. It goes on where an earlier deletion was interrupted or failed; a second one does nothing.

    name: [SIMFERRY_STACK, or "simferry"]. data: delete the bucket with all its runs, too; without it a bucket that has something in it
    stays. yes: do not ask. tell: called with each line of the report. confirm: asks a question.

    Returns whether it was carried out. Raises UsageError while jobs run with the stack's role, StackError with the first failure.
    """
    name = checked(name)
    there = stacks_of(name)[::-1]
    for stack in there:
        if stack.status != "REVIEW_IN_PROGRESS":
            check_ours(stack, name)
    buckets = _buckets(name, there)
    if not there and not (buckets and data):
        kept = "".join(f"; the bucket {one} is kept" for one in buckets)
        others = "".join(f"; there is one in {region}" for region in elsewhere(name))
        tell(f"there is no stack {name} in {session.region()}{kept}{others}")
        return True
    _check_unused(name, there)
    if not data:
        check_disk_may_go(name, there)
    _check_idle(name, there)
    for line in _told(there, buckets, data):
        tell(line)
    if not yes and not confirm("Delete?"):
        tell("nothing is deleted")
        return False
    for stack in there:
        removed("infra delete", name, stack, tell)
        forget(stack)
    if any(stack.name == stack_of(name, "batch") for stack in there):
        _deregister(name, tell)
    for bucket in buckets:
        _remove_bucket(name, bucket, data, tell)
    return True


def _deregister(name: str, tell: Tell) -> None:
    """Deregister the job definitions that runs on the stack's queues have made."""
    try:
        found = made_by_simferry(("batch:job-definition",), name)
        with asking("AWS Batch"):
            for one in found:
                client("batch").deregister_job_definition(jobDefinition=one.arn)
    except AccessDenied as error:  # the stacks are gone already, and definitions cost nothing
        tell(f"note: job definitions stay, which cost nothing: {error.message}")
        return
    if found:
        tell(f"  {counted(len(found), 'job definition')} deregistered")


def _buckets(name: str, there: list[Stack]) -> list[str]:
    """The buckets of the stacks in this region, also those of earlier stacks of this name."""
    named = [stack.outputs["Bucket"] for stack in there if stack.outputs.get("Bucket")]
    return [one for one, region in buckets_of(name, named) if region == session.region()]


def _check_unused(name: str, there: list[Stack]) -> None:
    """Raise UsageError where another stack imports an output of these: the deletion would fail halfway."""
    users = {user for stack in there for user in stacks.importers(stack)} - {stack.name for stack in there}
    if users:
        raise UsageError(
            f"nothing is deleted: {' and '.join(sorted(users))} import{'s' if len(users) == 1 else ''} outputs of stack {name}",
            Shell("aws", "cloudformation", "delete-stack", "--stack-name", min(users)) + "  deletes a stack.",
        )


def _check_idle(name: str, there: list[Stack]) -> None:
    """Raise UsageError while jobs run with the role of the stacks, or are in their queues, whose results would be lost, and while
    endpoints of the stack run."""
    outputs = {key: value for stack in there for key, value in stack.outputs.items()}
    role = outputs.get("JobRole")
    jobs = [one.name for one in (running()[0] if role else []) if one.role == role]
    endpoints = [*_endpoints(name)] if role else []
    if endpoints:
        raise UsageError(
            f"nothing is deleted: {counted(len(endpoints), 'endpoint')} of stack {name} still run"
            f"{'s' if len(endpoints) == 1 else ''} ({', '.join(endpoints[:3])})",
            Command("endpoint delete", endpoints[0]) + "  deletes an endpoint.",
        )
    jobs += [job for queue in queues_of(outputs) for job in queue.jobs]
    if jobs:
        some = ", ".join(jobs[:3]) + (", ..." if len(jobs) > 3 else "")
        raise UsageError(
            f"nothing is deleted: {counted(len(jobs), 'job')} of stack {name} still run{'s' if len(jobs) == 1 else ''} ({some})",
            Command("cancel", "RUN") + "  stops the jobs of a run.",
        )


def _endpoints(name: str) -> Iterator[str]:
    """The endpoints of a stack. One that may not be looked at counts as there: tags of what is gone are found for a while only."""
    with contextlib.suppress(AccessDenied):
        for one in made_by_simferry((KIND,), name):
            try:
                there = state(one.name) is not None
            except AccessDenied:
                there = True
            if there:
                yield one.name


def _told(there: list[Stack], buckets: list[str], data: bool) -> list[str]:
    """What would go, and what stays, in lines."""
    lines = [f"{session.region()}, account {session.account()}:"]
    for stack in there:
        lines.append(f"  - stack {stack.name} ({counted(len(stacks.resources(stack)), 'resource')})")
        lines += [f"  - image {one.name}" for one in images_of(stack.outputs)]
    for bucket in buckets:
        size = size_of(bucket)
        least = "" if size.complete else "at least "
        held = f"{least}{counted(size.things, 'object')}, {least}{size.gigabytes:,.3f} GB"
        empty = not size.things and _is_empty(bucket)
        if not size.things and not empty:
            held = "old versions of objects"
        goes = data or empty
        lines.append(f"  {'-' if goes else '='} bucket {bucket}: {held}{'' if goes else ', which stay'}")
    return lines


def _is_empty(bucket: str) -> bool:
    """Whether a bucket has nothing, not even old versions."""
    with asking(f"bucket {bucket}"):
        page = client("s3").list_object_versions(Bucket=bucket, MaxKeys=1)
    return not page.get("Versions") and not page.get("DeleteMarkers")


def _remove_bucket(name: str, bucket: str, data: bool, tell: Tell) -> None:
    """Delete a bucket: with data also what is in it, all versions; otherwise only an empty one."""
    from botocore.exceptions import ClientError

    s3 = client("s3")
    try:
        with asking(f"bucket {bucket}"):
            if data:
                _empty(s3, bucket)
            try:
                s3.delete_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] == "BucketNotEmpty" and not data:
                    goes = stacks.on_stack("infra delete", name, data=True) + "  deletes it"
                    tell(f"the bucket {bucket} stays, with what is in it: {goes}")
                    return
                if error.response["Error"]["Code"] != "NoSuchBucket":
                    raise
    except AccessDenied as error:
        raise AccessDenied(
            error.message,
            "Its own bucket policy, or yours, may deny it; the stack is deleted, and this can be repeated.",
        ) from None
    tell(f"  bucket {bucket} deleted")


def _empty(s3: Any, bucket: str) -> None:
    """Delete all versions of all objects."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
            answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
            for error in answer.get("Errors", [])[:1]:
                raise AwsError(f"{bucket}/{error['Key']} can't be deleted: {error.get('Message') or error.get('Code')}")
