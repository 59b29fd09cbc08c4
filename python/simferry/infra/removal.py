"""Removes what `deploy` made, in the right order. Results go only when that is said."""

from collections.abc import Callable
from typing import Any

from ..aws import session, stacks
from ..aws.session import AwsError, asking, client
from ..errors import Interrupted
from ..hints import Command
from ..words import counted
from .deployment import Confirm, Tell, ask, checked, print_line, tell_event
from .inventory import images_of, size_of
from .templates import SUFFIX, stack_of


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

    Returns whether it was carried out. Raises StackError with the first failure.
    """
    name = checked(name)
    there = [stack for one in reversed(SUFFIX) if (stack := stacks.find(stack_of(name, one)))]
    buckets = _buckets(name)
    if not there and not (buckets and data):
        kept = "".join(f"; the bucket {one} is kept" for one in buckets)
        tell(f"there is no stack {name} in {session.region()}{kept}")
        return True
    for line in _told(there, buckets, data):
        tell(line)
    if not yes and not confirm("Delete?"):
        tell("nothing is deleted")
        return False
    for stack in there:
        try:
            if stack.busy and not stack.status.startswith("DELETE"):
                tell(f"stack {stack.name} is being changed ({stack.status}): waiting for the end of that")
                _until_idle(stack, tell)
            stacks.remove(stack, lambda event: tell_event(event, tell))
        except KeyboardInterrupt:
            raise Interrupted(
                f"CloudFormation goes on with stack {stack.name}",
                Command("infra delete", name=name) + "  follows it, and goes on.",
            ) from None
    for bucket in buckets:
        _remove_bucket(bucket, data, tell)
    stacks.forget()
    return True


def _until_idle(stack: stacks.Stack, tell: Tell) -> None:
    try:
        stacks.follow(stack.arn, lambda event: tell_event(event, tell))
    except stacks.StackError as error:
        tell(f"that failed: {error.message}")


def _told(there: list[stacks.Stack], buckets: list[str], data: bool) -> list[str]:
    """What would go, and what stays, in lines."""
    lines = [f"{session.region()}, account {session.account()}:"]
    for stack in there:
        lines.append(f"  - stack {stack.name} ({counted(len(stacks.resources(stack)), 'resource')})")
        if "Repository" in stack.outputs:
            lines += [f"  - image {one['name']}" for one in images_of(stack.outputs)]
    for bucket in buckets:
        size = size_of(bucket)
        least = "" if size.complete else "at least "
        held = f"{least}{counted(size.things, 'object')}, {least}{size.gigabytes:,.3f} GB"
        goes = data or not size.things
        lines.append(f"  {'-' if goes else '='} bucket {bucket}: {held}{'' if goes else ', which stay'}")
    return lines


def _buckets(name: str) -> list[str]:
    """The buckets that stacks of this name have made, also those of stacks that are gone."""
    s3, found = client("s3"), []
    with asking("S3"):
        every = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    for bucket in every:
        if bucket.startswith(f"{name.lower()}-") and _tag(s3, bucket) == name:
            found.append(bucket)
    return found


def _tag(s3: Any, bucket: str) -> str:
    from botocore.exceptions import ClientError

    try:
        tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    except ClientError:
        return ""
    return next((str(tag["Value"]) for tag in tags if tag["Key"] == stacks.TAG), "")


def _remove_bucket(bucket: str, data: bool, tell: Callable[[str], None]) -> None:
    """Delete a bucket: with data also what is in it, all versions; otherwise only an empty one."""
    from botocore.exceptions import ClientError

    s3 = client("s3")
    with asking(f"bucket {bucket}"):
        if data:
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                if found:
                    keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
                    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
                    for error in answer.get("Errors", [])[:1]:
                        raise AwsError(f"{bucket}/{error['Key']} can't be deleted: {error.get('Message')}")
        try:
            s3.delete_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] != "BucketNotEmpty" or data:
                raise
            tell(
                f"the bucket {bucket} stays, with what is in it: "
                + str(Command("infra delete", data=True))
                + "  deletes it"
            )
            return
    tell(f"  bucket {bucket} deleted")
