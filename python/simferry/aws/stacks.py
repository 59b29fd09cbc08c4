"""Stacks of CloudFormation: their state, what a change would do, events as they come, deletion."""

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import NoAnswer, ServiceError, UsageError
from ..hints import Command, Shell, Words
from . import session
from .session import AccessDenied, AwsError, asking, client, emulated

FAILED_FOR_GOOD = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED")  # of its creation: it can only be deleted
# after another one was executed
_BUSY = {"ChangeSetNotFound", "InvalidChangeSetStatus", "OperationInProgressException"}
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled", "Resource deletion cancelled")
_NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
TAG = "simferry:stack"  # of each stack and its resources: the stack's name
# which a stack of one of our templates has, also one that was made in the console
_OUTPUTS = ({"Bucket", "JobRole"}, {"BaseStack"})
NO_EXPORT = "No export named"  # what CloudFormation says where a template imports what no stack exports


class StackError(AwsError):
    """CloudFormation could not bring a stack where it was asked to."""

    code = "stack"


@dataclass(frozen=True)
class Stack:
    """A stack as it is now. status: in CloudFormation's words, such as CREATE_COMPLETE. outputs, parameters, tags: by name. exports: the
    names under which other stacks import its outputs."""

    name: str
    arn: str
    status: str
    reason: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    exports: Sequence[str] = ()

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def usable(self) -> bool:
        """Whether its resources are there, also while it is updated."""
        return bool(self.outputs) and not self.status.startswith("DELETE")

    @property
    def ours(self) -> bool:
        """Whether it comes from one of simferry's templates."""
        return TAG in self.tags or any(set(self.outputs) >= some for some in _OUTPUTS)


@dataclass(frozen=True)
class Change:
    """What a change does to a resource. action: add, change, replace, may replace, or remove. kind: such as AWS::S3::Bucket.
    properties: those that change. kept: whether what is removed or replaced stays, outside of the stack; None if CloudFormation does not
    say."""

    action: str
    name: str
    kind: str
    physical: str = ""
    properties: Sequence[str] = ()
    kept: bool | None = None


@dataclass(frozen=True)
class Proposal:
    """A change set. arn: its own. stack, name: the stack's ARN and name. owner: the name that users know. new: there is no stack yet."""

    arn: str
    stack: str
    name: str
    owner: str
    new: bool
    changes: list[Change]


@dataclass(frozen=True)
class Event:
    """An event of a resource, or, with whole, of the stack. status: such as CREATE_FAILED."""

    id: str
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


def _stack(one: Mapping[str, Any]) -> Stack:
    return Stack(
        one["StackName"], one["StackId"], one["StackStatus"], one.get("StackStatusReason", ""),
        {output["OutputKey"]: output["OutputValue"] for output in one.get("Outputs", [])},
        {given["ParameterKey"]: given.get("ParameterValue", "") for given in one.get("Parameters", [])},
        {tag["Key"]: tag["Value"] for tag in one.get("Tags", [])},
        [output["ExportName"] for output in one.get("Outputs", []) if "ExportName" in output],
    )  # fmt: skip


def importers(stack: Stack) -> set[str]:
    """The names of the stacks that import an output of this one, which then can't be deleted."""
    from botocore.exceptions import ClientError

    found: set[str] = set()
    with asking(f"stack {stack.name}"):
        for name in stack.exports:
            try:
                for page in _cloudformation().get_paginator("list_imports").paginate(ExportName=name):
                    found.update(page["Imports"])
            except ClientError as error:
                if "is not imported" not in str(error):
                    raise
    return found


# ---- changes ----


def propose(
    name: str, template: str, parameters: Mapping[str, str], tags: Mapping[str, str], before: Stack | None
) -> Proposal | None:
    """What a template would change; None if nothing. before: the stack, if it is there: parameters that are not given keep their values.

    The caller executes or discards the proposal. Raises AwsError if CloudFormation refuses the template.
    """
    new = before is None or before.status == "REVIEW_IN_PROGRESS"
    kept = set() if before is None or new else before.parameters.keys() & declared(template).keys()
    given: list[dict[str, Any]] = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    given += [{"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept - set(parameters))]
    which = {"StackName": name, "ChangeSetName": f"simferry-{uuid.uuid4().hex}"}
    cloudformation = _cloudformation()
    owner = tags.get(TAG, name)
    with _changing(name, owner):
        # where it exists already, the answer to a first attempt was lost
        with contextlib.suppress(cloudformation.exceptions.AlreadyExistsException):
            cloudformation.create_change_set(
                **which, ChangeSetType="CREATE" if new else "UPDATE", TemplateBody=template, Parameters=given,
                Capabilities=["CAPABILITY_IAM"], Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )  # fmt: skip
        while True:
            found = [*cloudformation.get_paginator("describe_change_set").paginate(**which)]
            if not found[0]["Status"].endswith(("PENDING", "IN_PROGRESS")):
                break
            _wait()
    changes = [_change(one["ResourceChange"]) for page in found for one in page["Changes"]]
    proposal = Proposal(found[0]["ChangeSetId"], found[0]["StackId"], name, owner, new, changes)
    if found[0]["Status"] == "FAILED":
        discard(proposal)
        reason = found[0].get("StatusReason", "")
        if any(words in reason for words in _NO_CHANGES):
            return None
        hint = (
            Command("infra template", "base") + "  prints the template that exports it." if NO_EXPORT in reason else ""
        )
        raise StackError(f"CloudFormation can't change stack {name}: {reason}", hint)
    return proposal


@contextlib.contextmanager
def _changing(name: str, owner: str) -> Iterator[None]:
    """Turns refusals of a change into errors that say why: the template is wrong, or somebody else changes the stack."""
    try:
        with asking(f"stack {name}"):
            yield
    except AccessDenied:
        raise
    except AwsError as error:
        text = error.message.partition(": AWS refuses ")[2].partition(": ")[2] or error.message
        if error.service_code in _BUSY or "_IN_PROGRESS state" in text:
            again = (
                on_stack(verb("deploy", name, owner), owner)
                + "  waits for that, and shows what is then left to change."
            )
            raise StackError(f"somebody else is changing stack {name}", again) from None
        if error.service_code == "InsufficientCapabilitiesException":
            names = "Without RoleName, ManagedPolicyName and the like CloudFormation gives them names of their own."
            raise StackError(f"the template of stack {name} has roles or policies with fixed names", names) from None
        if error.service_code == "ValidationError":
            text = text.removesuffix(" (ValidationError)")
            raise StackError(f"CloudFormation refuses the change of stack {name}: {text}") from None
        raise


def declared(template: str) -> dict[str, str]:
    """A template's parameters with their defaults, empty where there is none. Raises StackError if it is no template."""
    try:
        with asking("CloudFormation"):
            found = _cloudformation().validate_template(TemplateBody=template)
    except AwsError as error:
        if error.service_code != "ValidationError":
            raise
        text = error.message.partition("ValidateTemplate: ")[2].removesuffix(" (ValidationError)")
        raise StackError(
            f"CloudFormation refuses the template: {text}",
            Command("infra template", "base") + "  prints one to start from.",
        ) from None
    return {one["ParameterKey"]: one.get("DefaultValue", "") for one in found.get("Parameters", [])}


def kinds(template: str) -> list[str]:
    """The types of a template's resources, each once, such as AWS::S3::Bucket. Raises AwsError if it is no template."""
    with asking("CloudFormation"):
        return sorted(set(_cloudformation().get_template_summary(TemplateBody=template).get("ResourceTypes", [])))


def _change(one: Mapping[str, Any]) -> Change:
    words = {"Add": "add", "Remove": "remove", "Modify": "change"}
    action = words.get(one["Action"], str(one["Action"]).lower())
    action = {"True": "replace", "Conditional": "may replace"}.get(str(one.get("Replacement")), action)
    names = {detail["Target"].get("Name", "") for detail in one.get("Details", [])} - {""}
    kept = {"Retain": True, "Delete": False}.get(str(one.get("PolicyAction")).removeprefix("ReplaceAnd"))
    physical = one.get("PhysicalResourceId", "")
    return Change(action, one["LogicalResourceId"], one["ResourceType"], physical, sorted(names), kept)


def discard(proposal: Proposal) -> None:
    """Forget a proposal. Of a new stack nothing is left, unless somebody else has a proposal for it, or has made it meanwhile."""
    cloudformation, stack = _cloudformation(), proposal.stack
    with asking(f"stack {proposal.name}"):
        cloudformation.delete_change_set(StackName=proposal.name, ChangeSetName=proposal.arn)
        if proposal.new and (now := find(stack)) and now.status == "REVIEW_IN_PROGRESS":
            others = cloudformation.list_change_sets(StackName=stack)["Summaries"]
            if all(one["ChangeSetId"] == proposal.arn for one in others):
                cloudformation.delete_stack(StackName=stack)


def execute(proposal: Proposal, on_event: Callable[[Event], None]) -> Stack:
    """Carry out a proposal, and follow it to its end. Raises StackError with the first failure."""
    since = newest(proposal.stack)
    which = {"StackName": proposal.name, "ChangeSetName": proposal.arn}
    try:
        with _changing(proposal.name, proposal.owner):
            _cloudformation().execute_change_set(**which, ClientRequestToken=uuid.uuid4().hex)
    except (NoAnswer, StackError):  # it may have been executed, and only the answer is lost
        if not _executed(which):
            raise
    return follow(proposal.stack, on_event, since, begun=False)


def _executed(which: Mapping[str, str]) -> bool:
    try:
        with asking(f"stack {which['StackName']}"):
            status = _cloudformation().describe_change_set(**which)["ExecutionStatus"]
    except ServiceError:
        return False
    return str(status).startswith("EXECUTE_")


def finish_rollback(stack: Stack, on_event: Callable[[Event], None]) -> Stack:
    """Go on with a rollback of an update that has failed. Raises StackError."""
    since = newest(stack.arn)
    with asking(f"stack {stack.name}"):
        _cloudformation().continue_update_rollback(StackName=stack.arn, ClientRequestToken=uuid.uuid4().hex)
    return follow(stack.arn, on_event, since, good=("UPDATE_ROLLBACK_COMPLETE",), begun=False)


def remove(stack: Stack, on_event: Callable[[Event], None]) -> None:
    """Delete a stack, and follow that to its end. Raises StackError; it can be repeated."""
    since = newest(stack.arn)
    with asking(f"stack {stack.name}"):
        _cloudformation().delete_stack(StackName=stack.arn, ClientRequestToken=uuid.uuid4().hex)
    review = stack.status == "REVIEW_IN_PROGRESS"  # without resources it is gone at once
    follow(stack.arn, on_event, since, good=("DELETE_COMPLETE",), begun=review)


def follow(
    arn: str,
    on_event: Callable[[Event], None],
    since: str = "",
    good: Sequence[str] = ("CREATE_COMPLETE", "UPDATE_COMPLETE"),
    begun: bool = True,
) -> Stack:
    """Tell events until nothing changes any more. since: the id of the last event that is known. good: the states that are wanted.
    begun: whether the stack's state already shows what is followed. Else the end is an event, since a state may be that from before.

    Raises StackError with the first failure otherwise.
    """
    failures: list[Event] = []
    told = ""
    while True:
        now = find(arn)
        if now is None and "DELETE_COMPLETE" in good:
            return Stack(arn.split("/")[1], arn, "DELETE_COMPLETE", "", {}, {}, {})
        if now is None:
            raise StackError(f"stack {arn} is gone")
        for event in _events(arn, since):
            since, told = event.id, event.status if event.whole else told
            on_event(event)
            if event.status.endswith("_FAILED") and not event.whole and not event.reason.startswith(_CANCELLED):
                failures.append(event)
        ended = begun or now.status in (told, "DELETE_COMPLETE")  # after which nothing comes
        if ended and not now.busy and now.status != "REVIEW_IN_PROGRESS":
            break
        _wait()
    if now.status in good:
        return now
    raise StackError(f"stack {now.name}: {_why(failures, now)}", _way_out(now, failures))


def _why(failures: Sequence[Event], now: Stack) -> str:
    """The first failure, in words."""
    if not failures:
        return f"{now.status}{f': {now.reason}' if now.reason else ''}"
    first = failures[0]
    verb = {"CREATE": "created", "UPDATE": "changed", "DELETE": "deleted"}.get(first.status.partition("_")[0], "made")
    return f"{first.name} ({first.kind}) can't be {verb}: {first.reason.strip()}"


def verb(what: str, stack: str, name: str) -> str:
    """The command that deploys or deletes a stack of a name."""
    return f"infra rstudio {what}" if stack == f"{name}-rstudio" else f"infra {what}"


def _way_out(now: Stack, failures: Sequence[Event]) -> Words:
    name = now.tags.get(TAG, now.name)
    deploy, delete = (on_stack(verb(what, now.name, name), name) for what in ("deploy", "delete"))
    if now.status == "DELETE_FAILED" and failures and "attached to entities" in failures[0].reason:
        policy = next((value for key, value in now.outputs.items() if key.endswith("Policy")), "ARN")
        who = Shell("aws", "iam", "list-entities-for-policy", "--policy-arn", policy)
        return who + "  lists whom to take it from; then  " + delete + "  goes on."
    if now.status in FAILED_FOR_GOOD:
        return deploy + "  tries again, from the start. Nothing is left of this attempt."
    if now.status == "UPDATE_ROLLBACK_COMPLETE":
        return "The stack is as it was before."
    if now.status == "UPDATE_ROLLBACK_FAILED":
        return deploy + "  goes on with the way back, and then tries again."
    return delete + "  goes on with the deletion."


def newest(arn: str) -> str:
    """The id of a stack's last event; empty if it has none."""
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
                        one["EventId"], one["LogicalResourceId"], one.get("ResourceType", ""),
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
    return os.environ.get("SIMFERRY_STACK") or "simferry"


def on_stack(verb: str, name: str, **options: Any) -> Command:
    """A command of simferry infra on a stack, as the user types it."""
    return Command(verb, **({} if name == default_name() else {"name": name}), **options)


def outputs(name: str | None) -> Mapping[str, str]:
    """The outputs of a stack that a run uses: Bucket, JobRole, Repository ... name: None uses SIMFERRY_STACK, or simferry if it is there.

    Empty if no name was given and there is no such stack, or it may not be looked for. Raises UsageError for a named one that is missing.
    """
    named = name or os.environ.get("SIMFERRY_STACK")
    wanted = named or default_name()
    try:
        stack = find(wanted)
    except AccessDenied:
        if named:
            raise
        return {}
    if stack and stack.usable and (named or stack.ours):
        return stack.outputs
    if not named:
        return {}
    state = f"is in the state {stack.status}" if stack else "does not exist"
    raise UsageError(
        f"the stack {wanted} {state} in {session.region()}", on_stack("infra deploy", wanted) + "  makes it."
    )


def outputs_if_there(name: str) -> Mapping[str, str]:
    """The outputs of a stack; empty if it is not there, or may not be looked for."""
    try:
        stack = find(name)
    except AccessDenied:
        return {}
    return stack.outputs if stack and stack.usable and stack.ours else {}
