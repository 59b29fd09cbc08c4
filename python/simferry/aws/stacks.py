"""Stacks of CloudFormation: their state, what a change would do, events as they come, deletion."""

import datetime
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..hints import Command
from . import session
from .session import AwsError, asking, client, emulated

FAILED_FOR_GOOD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")  # of its creation: it can only be deleted
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled")
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")


class StackError(AwsError):
    """CloudFormation could not bring a stack where it was asked to."""

    code = "stack"


@dataclass(frozen=True)
class Stack:
    """A stack as it is now. status: in CloudFormation's words, such as CREATE_COMPLETE. outputs, parameters, tags: by name."""

    name: str
    arn: str
    status: str
    reason: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    created: datetime.datetime

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def usable(self) -> bool:
        """Whether its resources are there, also while it is updated."""
        return bool(self.outputs) and not self.status.startswith("DELETE")


@dataclass(frozen=True)
class Change:
    """What a change does to a resource. action: add, change, replace, may replace, or remove. kind: such as AWS::S3::Bucket.
    properties: those that change."""

    action: str
    name: str
    kind: str
    physical: str = ""
    properties: Sequence[str] = ()


@dataclass(frozen=True)
class Proposal:
    """A change set. arn: its own. stack: the stack's ARN."""

    arn: str
    stack: str
    new: bool
    changes: list[Change]


@dataclass(frozen=True)
class Event:
    """An event of a resource, or, with whole, of the stack. status: such as CREATE_FAILED."""

    id: str
    time: datetime.datetime
    name: str
    kind: str
    status: str
    reason: str
    whole: bool


def _cloudformation() -> Any:
    return client("cloudformation")


def find(name: str) -> Stack | None:
    """A stack by its name or ARN; None if there is none. Raises AwsError."""
    from botocore.exceptions import ClientError

    with asking(f"stack {name}"):
        try:
            one = _cloudformation().describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ValidationError" and "does not exist" in str(error):
                return None
            raise
    return _stack(one)


def every(tag: str) -> list[Stack]:
    """All stacks of this region that have a tag of this name. Raises AwsError."""
    with asking("CloudFormation"):
        pages = _cloudformation().get_paginator("describe_stacks").paginate()
        found = [_stack(one) for page in pages for one in page["Stacks"]]
    return [one for one in found if tag in one.tags]


def _stack(one: Mapping[str, Any]) -> Stack:
    return Stack(
        one["StackName"], one["StackId"], one["StackStatus"], one.get("StackStatusReason", ""),
        {output["OutputKey"]: output["OutputValue"] for output in one.get("Outputs", [])},
        {given["ParameterKey"]: given.get("ParameterValue", "") for given in one.get("Parameters", [])},
        {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])}, one["CreationTime"],
    )  # fmt: skip


# ---- changes ----


def propose(
    name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str], before: Stack | None
) -> Proposal | None:
    """What a template would change; None if nothing. before: the stack, if it is there: parameters that are not given keep their values.

    The caller executes or discards the proposal. Raises AwsError if CloudFormation refuses the template.
    """
    new = before is None or before.status == "REVIEW_IN_PROGRESS"
    kept = set() if before is None or new else set(before.parameters) & declared(template)
    given: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept - set(parameters))]
    cloudformation = _cloudformation()
    with asking(f"stack {name}"):
        made = cloudformation.create_change_set(
            StackName=name, ChangeSetName=f"simferry-{uuid.uuid4().hex}", ChangeSetType="CREATE" if new else "UPDATE",
            TemplateBody=template, Parameters=given, Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )  # fmt: skip
        while True:
            pages = cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=made["Id"])
            found = [*pages]
            if not found[0]["Status"].endswith(("PENDING", "IN_PROGRESS")):
                break
            _wait()
        if found[0]["Status"] == "FAILED":
            _discard(made["Id"], made["StackId"], new)
            reason = found[0].get("StatusReason", "")
            if any(words in reason for words in _NO_CHANGES):
                return None
            raise StackError(f"CloudFormation can't change stack {name}: {reason}")
    changes = [_change(one["ResourceChange"]) for page in found for one in page["Changes"]]
    return Proposal(made["Id"], made["StackId"], new, changes)


def declared(template: str) -> set[str]:
    """The names of a template's parameters. Raises AwsError if it is no template."""
    with asking("CloudFormation"):
        return {one["ParameterKey"] for one in _cloudformation().validate_template(TemplateBody=template)["Parameters"]}


def _change(one: Mapping[str, Any]) -> Change:
    words = {"Add": "add", "Remove": "remove", "Modify": "change"}
    action = words.get(one["Action"], str(one["Action"]).lower())
    action = {"True": "replace", "Conditional": "may replace"}.get(str(one.get("Replacement")), action)
    names = {detail["Target"].get("Name", "") for detail in one.get("Details", [])} - {""}
    return Change(
        action, one["LogicalResourceId"], one["ResourceType"], one.get("PhysicalResourceId", ""), sorted(names)
    )


def discard(proposal: Proposal) -> None:
    """Forget a proposal; of a new stack nothing is left."""
    _discard(proposal.arn, proposal.stack, proposal.new)


def _discard(arn: str, stack: str, new: bool) -> None:
    with asking("CloudFormation"):
        _cloudformation().delete_change_set(ChangeSetName=arn)
        if new:  # it has never had a resource
            _cloudformation().delete_stack(StackName=stack)


def execute(proposal: Proposal, on_event: Callable[[Event], None]) -> Stack:
    """Carry out a proposal, and follow it to its end. Raises StackError with the first failure."""
    since = _newest(proposal.stack)
    with asking("CloudFormation"):
        _cloudformation().execute_change_set(ChangeSetName=proposal.arn)
    return follow(proposal.stack, on_event, since)


def finish_rollback(stack: Stack, on_event: Callable[[Event], None]) -> Stack:
    """Go on with a rollback of an update that has failed. Raises StackError."""
    since = _newest(stack.arn)
    with asking(f"stack {stack.name}"):
        _cloudformation().continue_update_rollback(StackName=stack.arn)
    return follow(stack.arn, on_event, since, good=("UPDATE_ROLLBACK_COMPLETE",))


def remove(stack: Stack, on_event: Callable[[Event], None]) -> None:
    """Delete a stack, and follow that to its end. Raises StackError; it can be repeated."""
    since = _newest(stack.arn)
    with asking(f"stack {stack.name}"):
        _cloudformation().delete_stack(StackName=stack.arn)
    follow(stack.arn, on_event, since, good=("DELETE_COMPLETE",))


def follow(
    arn: str,
    on_event: Callable[[Event], None],
    since: str = "",
    good: Sequence[str] = ("CREATE_COMPLETE", "UPDATE_COMPLETE"),
) -> Stack:
    """Tell events until nothing changes any more. since: the id of the last event that is known. good: the states that were wanted.

    Raises StackError with the first failure otherwise.
    """
    failures: list[Event] = []
    while True:
        now = find(arn)
        if now is None:
            raise StackError(f"stack {arn} is gone")
        for event in _events(arn, since):
            since = event.id
            on_event(event)
            if event.status.endswith("_FAILED") and not event.whole and not event.reason.startswith(_CANCELLED):
                failures.append(event)
        if not now.busy:
            break
        _wait()
    if now.status in good:
        return now
    raise StackError(f"stack {now.name}: {_why(failures, now)}", _way_out(now))


def _why(failures: Sequence[Event], now: Stack) -> str:
    """The first failure, in words."""
    if not failures:
        return f"{now.status}{f': {now.reason}' if now.reason else ''}"
    first = failures[0]
    verb = {"CREATE": "created", "UPDATE": "changed", "DELETE": "deleted"}.get(first.status.partition("_")[0], "made")
    return f"{first.name} ({first.kind}) can't be {verb}: {first.reason.strip()}"


def _way_out(now: Stack) -> Any:
    name = now.tags.get(TAG, now.name)
    if now.status in FAILED_FOR_GOOD:
        return Command("infra deploy", name=name) + "  tries again, from the start. Nothing is left of this attempt."
    if now.status == "UPDATE_ROLLBACK_COMPLETE":
        return "The stack is as it was before."
    if now.status == "UPDATE_ROLLBACK_FAILED":
        return Command("infra deploy", name=name) + "  goes on with the way back, and then tries again."
    return Command("infra delete", name=name) + "  goes on with the deletion."


TAG = "simferry:stack"  # of each resource: the name that the user gave the stack


def _newest(arn: str) -> str:
    with asking("CloudFormation"):
        page = _cloudformation().describe_stack_events(StackName=arn)["StackEvents"]
    return str(page[0]["EventId"]) if page else ""


def _events(arn: str, since: str) -> list[Event]:
    """The events after `since`, the oldest first."""
    found: list[Event] = []
    with asking("CloudFormation"):
        for page in _cloudformation().get_paginator("describe_stack_events").paginate(StackName=arn):
            for one in page["StackEvents"]:
                if one["EventId"] == since:
                    return found[::-1]
                found.append(
                    Event(
                        one["EventId"], one["Timestamp"], one["LogicalResourceId"], one.get("ResourceType", ""),
                        one["ResourceStatus"], one.get("ResourceStatusReason", ""),
                        one.get("PhysicalResourceId") == arn,
                    )
                )  # fmt: skip
    return found[::-1]


def _wait() -> None:
    time.sleep(0.1 if emulated("cloudformation") else 3.0)


def resources(stack: Stack) -> dict[str, tuple[str, str]]:
    """Type and physical id of each resource, by its logical name."""
    with asking(f"stack {stack.name}"):
        pages = _cloudformation().get_paginator("list_stack_resources").paginate(StackName=stack.arn)
        return {
            one["LogicalResourceId"]: (one["ResourceType"], one.get("PhysicalResourceId", ""))
            for page in pages
            for one in page["StackResourceSummaries"]
            if not one["ResourceStatus"].startswith("DELETE_COMPLETE")
        }


def default_name() -> str:
    """The stack that is used where none is named: SIMFERRY_STACK, or simferry."""
    import os

    return os.environ.get("SIMFERRY_STACK") or "simferry"


_found: dict[tuple[str, str], Mapping[str, str]] = {}


def outputs(name: str | None) -> Mapping[str, str]:
    """The outputs of a stack that a run uses: Bucket, JobRole, Repository ... name: None uses the default one, if it is there.

    Empty if no name was given and there is no such stack, or it may not be looked for. Raises UsageError for a named one that is missing.
    """
    wanted = name or default_name()
    key = (wanted, session.region())
    if key not in _found:
        try:
            stack = find(wanted)
        except AwsError:
            if name:
                raise
            return {}
        if name and (stack is None or not stack.usable):
            state = f"is {stack.status}" if stack else "does not exist"
            raise UsageError(
                f"the stack {wanted} {state} in {session.region()}",
                Command("infra deploy", name=wanted) + "  makes it.",
            )
        _found[key] = stack.outputs if stack and stack.usable else {}
    return _found[key]


def forget() -> None:
    """Ask again which outputs stacks have."""
    _found.clear()
