"""CloudFormation's operations: stacks, change sets, events, exports."""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .. import query
from ..calls import ACCOUNT, Call, Refusal
from ..resources import Resources
from ..stack import UPDATABLE, Change, Resource, Stack, Wanted, check_name
from ..templates import Template, invalid

PAGE = 100
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."


_template = lru_cache(maxsize=16)(Template)  # nobody changes one


@dataclass
class ChangeSet:
    name: str
    arn: str
    kind: str
    stack: Stack
    wanted: Wanted
    changes: list[Change]
    created: float
    status: str = "CREATE_COMPLETE"
    reason: str = ""
    execution: str = "AVAILABLE"


class Stacks:
    """resources_of: gives the resources that the caller with this access key may create. fails: as in Stack."""

    def __init__(
        self,
        resources_of: Callable[[str], Resources],
        fails: Callable[[str, str], "str | None"],
        on_event: Callable[[str], None],
    ) -> None:
        self.resources_of, self.fails, self.on_event = resources_of, fails, on_event
        self.stacks: list[Stack] = []
        self.change_sets: list[ChangeSet] = []
        self._lock = threading.Lock()

    def answers(self, call: Call) -> bool:
        return call.service == "cloudformation"

    def answer(self, call: Call) -> dict[str, Any]:
        operation = getattr(self, f"_{_snake(call.operation)}")
        given = query.parameters("cloudformation", call.operation, call.parameters)
        with self._lock:
            return dict(operation(given, call) or {})

    def stop(self, seconds: float) -> None:
        for stack in self.stacks:
            stack.join(seconds)

    # ---- finding ----

    def _in(self, call: Call) -> list[Stack]:
        return [stack for stack in self.stacks if stack.region == call.region]

    def _find(self, name: str, call: Call) -> Stack:
        """A stack by its name, or, also if it has been deleted, by its ARN."""
        for stack in self._in(call):
            if stack.arn == name or (stack.name == name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise invalid(f"Stack with id {name} does not exist")

    def _exports(self, region: str) -> dict[str, str]:
        return {name: value for name, (value, _) in self._exported(region).items()}

    def _exported(self, region: str) -> dict[str, tuple[str, Stack]]:
        return {
            one["ExportName"]: (one["OutputValue"], stack)
            for stack in self.stacks
            if stack.region == region
            for one in stack.outputs.values()
            if "ExportName" in one
        }

    def _check_exports_unused(self, stack: Stack) -> None:
        for name, (_, owner) in self._exported(stack.region).items():
            users = [one.name for one in self.stacks if name in one.imports and one.region == stack.region]
            if owner is stack and users:
                raise invalid(f"Export {name} cannot be deleted as it is in use by {' and '.join(users)}")

    # ---- requests ----

    def _wanted(self, given: Mapping[str, Any], stack: Stack | None) -> Wanted:
        old = stack.wanted if stack and stack.status != "REVIEW_IN_PROGRESS" else None
        if given.get("UsePreviousTemplate") and old:
            template = old.template
        elif "TemplateBody" in given:
            template = _template(given["TemplateBody"])
        else:
            raise invalid("Either Template URL or Template Body must be specified.")
        values: dict[str, str] = {}
        for one in given.get("Parameters", []):
            name = one["ParameterKey"]
            if not one.get("UsePreviousValue"):
                values[name] = one.get("ParameterValue", "")
            elif old and name in old.values:
                values[name] = old.values[name]
            else:
                raise invalid(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true for a parameter key "
                    "not in the previous template"
                )
        tags = {tag["Key"]: tag["Value"] for tag in given["Tags"]} if "Tags" in given else dict(old.tags) if old else {}
        wanted = Wanted(template, template.values(values), tags, tuple(given.get("Capabilities", ())))
        wanted.check_capabilities()
        return wanted

    def _new(self, name: str, call: Call) -> Stack:
        check_name(name)
        stack = Stack(name, call.region, lambda: self._exports(call.region), self.fails, self.on_event)
        self.stacks.append(stack)
        return stack

    def _existing(self, name: str, call: Call) -> Stack | None:
        try:
            return self._find(name, call)
        except Refusal:
            return None

    def _create_stack(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        name = given["StackName"]
        if self._existing(name, call):
            raise Refusal("AlreadyExistsException", f"Stack [{name}] already exists")
        wanted = self._wanted(given, None)
        stack = self._new(name, call)
        failure = "DO_NOTHING" if given.get("DisableRollback") else given.get("OnFailure", "ROLLBACK")
        resources = self.resources_of(call.access_key)
        stack.start("CREATE_IN_PROGRESS", lambda: stack.create(wanted, resources, failure))
        return {"StackId": stack.arn}

    def _updatable(self, stack: Stack) -> None:
        if stack.status not in UPDATABLE:
            raise invalid(f"Stack:{stack.arn} is in {stack.status} state and can not be updated.")

    def _update_stack(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        stack = self._find(given["StackName"], call)
        self._updatable(stack)
        wanted = self._wanted(given, stack)
        if not stack.differs(wanted):
            raise invalid("No updates are to be performed.")
        resources = self.resources_of(call.access_key)
        stack.start("UPDATE_IN_PROGRESS", lambda: stack.update(wanted, resources))
        return {"StackId": stack.arn}

    def _delete_stack(self, given: dict[str, Any], call: Call) -> None:
        stack = self._existing(given["StackName"], call)
        if stack is None or stack.status == "DELETE_COMPLETE":  # deleting what is not there is no error
            return
        if stack.busy and not stack.status.startswith("CREATE"):
            if stack.status == "DELETE_IN_PROGRESS":
                return
            raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        retained = given.get("RetainResources", [])
        if retained and stack.status != "DELETE_FAILED":
            raise invalid(
                f"Invalid operation on stack [{stack.arn}]. RetainResources can be specified only when the stack is in DELETE_FAILED state."
            )
        self._check_exports_unused(stack)
        if stack.status == "REVIEW_IN_PROGRESS":
            self.stacks.remove(stack)
            return
        resources = self.resources_of(call.access_key)
        stack.start("DELETE_IN_PROGRESS", lambda: stack.delete(resources, retained))

    def _continue_update_rollback(self, given: dict[str, Any], call: Call) -> None:
        stack = self._find(given["StackName"], call)
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise invalid(
                f"Stack [{stack.name}] is not in a valid state to continue rollback. Current state: {stack.status}"
            )
        resources = self.resources_of(call.access_key)
        stack.start("UPDATE_ROLLBACK_IN_PROGRESS", lambda: stack.roll_back_again(resources))

    # ---- change sets ----

    def _create_change_set(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        name, stack = given["StackName"], self._existing(given["StackName"], call)
        kind = given.get("ChangeSetType", "UPDATE")
        if kind == "CREATE" and stack and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(
                f"Stack [{name}] already exists and cannot be created again with the changeSet [{given['ChangeSetName']}]."
            )
        if kind == "UPDATE":
            stack = self._find(name, call)
            if stack.status == "REVIEW_IN_PROGRESS":
                raise invalid(f"Stack [{name}] does not exist")
            self._updatable(stack)
        if any(one.name == given["ChangeSetName"] and one.stack is stack for one in self.change_sets):
            raise Refusal(
                "AlreadyExistsException", f"ChangeSet {given['ChangeSetName']} already exists for stack {name}"
            )
        wanted = self._wanted(given, stack)
        if stack is None:
            stack = self._new(name, call)
            stack.set_status("REVIEW_IN_PROGRESS", "User Initiated")
        arn = f"arn:aws:cloudformation:{call.region}:{ACCOUNT}:changeSet/{given['ChangeSetName']}/{uuid.uuid4()}"
        one = ChangeSet(given["ChangeSetName"], arn, kind, stack, wanted, [], time.time())
        try:
            one.changes = stack.changes(wanted)
        except Refusal as refusal:  # the service finds out after it has accepted the request
            if not refusal.message.startswith("No export named"):
                raise
            one.status, one.reason, one.execution = "FAILED", refusal.message, "UNAVAILABLE"
            self.change_sets.append(one)
            return {"Id": arn, "StackId": stack.arn}
        if kind == "UPDATE" and not stack.differs(wanted):
            one.status, one.reason, one.execution = "FAILED", _NO_CHANGES, "UNAVAILABLE"
        self.change_sets.append(one)
        return {"Id": arn, "StackId": stack.arn}

    def _change_set(self, given: Mapping[str, Any], call: Call) -> ChangeSet:
        """That of a name and a stack, or of an ARN. A stack that is named has to be its own: the caller's rights are on that one."""
        name, stack = given["ChangeSetName"], given.get("StackName")
        for one in self.change_sets:
            of_stack = stack in (one.stack.name, one.stack.arn)
            is_meant = (name == one.arn and stack is None) or (name in (one.arn, one.name) and of_stack)
            if is_meant and one.stack.region == call.region:
                return one
        raise Refusal("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)

    def _describe_change_set(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        one = self._change_set(given, call)
        changes = [{"Type": "Resource", "ResourceChange": _change(change)} for change in one.changes]
        page, token = _page(changes, given)
        return {
            **_summary_of_set(one), "Changes": page, **token, "Capabilities": [*one.wanted.capabilities],
            "Parameters": _parameters(one.wanted.values), "Tags": _tags(one.wanted.tags),
        }  # fmt: skip

    def _list_change_sets(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        stack = self._find(given["StackName"], call)
        page, token = _page([_summary_of_set(one) for one in self.change_sets if one.stack is stack], given)
        return {"Summaries": page, **token}

    def _delete_change_set(self, given: dict[str, Any], call: Call) -> None:
        self.change_sets.remove(self._change_set(given, call))

    def _execute_change_set(self, given: dict[str, Any], call: Call) -> None:
        one = self._change_set(given, call)
        stack = one.stack
        if one.execution != "AVAILABLE":
            raise Refusal(
                "InvalidChangeSetStatus",
                f"ChangeSet [{one.arn}] cannot be executed in its current execution status of [{one.execution}]",
            )
        if stack.busy:
            raise invalid(f"Stack:{stack.arn} is in {stack.status} state and can not be updated.")
        resources, wanted = self.resources_of(call.access_key), one.wanted
        # the service deletes the others
        self.change_sets = [other for other in self.change_sets if other.stack is not stack]
        one.execution = "EXECUTE_COMPLETE"
        self.change_sets.append(one)
        failure = given.get("OnStackFailure") or ("DO_NOTHING" if given.get("DisableRollback") else "ROLLBACK")
        if one.kind == "CREATE":
            stack.start("CREATE_IN_PROGRESS", lambda: stack.create(wanted, resources, failure))
        else:
            stack.updated = time.time()
            stack.start("UPDATE_IN_PROGRESS", lambda: stack.update(wanted, resources))

    # ---- looking ----

    def _describe_stacks(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        if name := given.get("StackName"):
            return {"Stacks": [_describe(self._find(name, call))]}
        page, token = _page([_describe(one) for one in self._in(call) if one.status != "DELETE_COMPLETE"], given)
        return {"Stacks": page, **token}

    def _list_stacks(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        wanted = given.get("StackStatusFilter")
        found = [_summary(one) for one in self._in(call) if not wanted or one.status in wanted]
        page, token = _page(found, given)
        return {"StackSummaries": page, **token}

    def _describe_stack_events(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        page, token = _page(self._find(given["StackName"], call).events[::-1], given)
        return {"StackEvents": page, **token}

    def _describe_stack_resources(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        stack = self._find(given["StackName"], call)
        wanted = given.get("LogicalResourceId")
        return {
            "StackResources": [
                {"StackName": stack.name, "StackId": stack.arn, "Timestamp": one.changed, **_resource(one)}
                for one in [*stack.resources.values()]
                if wanted in (None, one.logical)
            ]
        }

    def _list_stack_resources(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        stack = self._find(given["StackName"], call)
        found = [{"LastUpdatedTimestamp": one.changed, **_resource(one)} for one in [*stack.resources.values()]]
        page, token = _page(found, given)
        return {"StackResourceSummaries": page, **token}

    def _get_template(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        if "ChangeSetName" in given:
            return {"TemplateBody": self._change_set(given, call).wanted.template.body}
        stack = self._find(given["StackName"], call)
        return {
            "TemplateBody": stack.wanted.template.body if stack.wanted else "",
            "StagesAvailable": ["Original", "Processed"],
        }

    def _validate_template(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        template = _template(given.get("TemplateBody", ""))
        needed = template.capabilities
        why = (
            {"CapabilitiesReason": "The following resource(s) require capabilities: [AWS::IAM::Role]"} if needed else {}
        )
        declared = [
            {
                "ParameterKey": name,
                "NoEcho": bool(one.get("NoEcho", False)),
                **({"DefaultValue": str(one["Default"])} if "Default" in one else {}),
                **({"Description": one["Description"]} if "Description" in one else {}),
            }
            for name, one in template.parameters.items()
        ]
        return {"Description": template.description, "Parameters": declared, "Capabilities": needed, **why}

    def _get_template_summary(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        if "StackName" in given:
            wanted = self._find(given["StackName"], call).wanted
            template = wanted.template if wanted else _template("")
        else:
            template = _template(given.get("TemplateBody", ""))
        declared = [
            {
                "ParameterKey": n,
                "ParameterType": str(one.get("Type", "String")),
                **({"DefaultValue": str(one["Default"])} if "Default" in one else {}),
            }
            for n, one in template.parameters.items()
        ]
        return {
            "Description": template.description, "Parameters": declared, "Capabilities": template.capabilities,
            "ResourceTypes": sorted({str(one["Type"]) for one in template.resources.values()}),
        }  # fmt: skip

    def _list_exports(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        found = self._exported(call.region).items()
        page, token = _page([{"ExportingStackId": s.arn, "Name": n, "Value": v} for n, (v, s) in found], given)
        return {"Exports": page, **token}

    def _list_imports(self, given: dict[str, Any], call: Call) -> dict[str, Any]:
        users = [one.name for one in self._in(call) if given["ExportName"] in one.imports]
        if not users:
            raise invalid(f"Export '{given['ExportName']}' is not imported by any stack.")
        return {"Imports": users}


def _snake(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation)[1:]


def _page(found: list[Any], given: Mapping[str, Any]) -> tuple[list[Any], dict[str, str]]:
    try:
        first = int(given.get("NextToken") or 0)
    except ValueError:
        raise invalid("Invalid NextToken") from None
    last = first + PAGE
    return found[first:last], {"NextToken": str(last)} if last < len(found) else {}


def _parameters(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": text} for name, text in values.items()]


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _times(stack: Stack) -> dict[str, Any]:
    return {
        "CreationTime": stack.created,
        **({"LastUpdatedTime": stack.updated} if stack.updated else {}),
        **({"DeletionTime": stack.deleted} if stack.deleted else {}),
        "StackStatus": stack.status,
        **({"StackStatusReason": stack.reason} if stack.reason and stack.reason != "User Initiated" else {}),
    }


def _summary(stack: Stack) -> dict[str, Any]:
    description = stack.wanted.template.description if stack.wanted else ""
    return {"StackId": stack.arn, "StackName": stack.name, "TemplateDescription": description, **_times(stack)}


def _describe(stack: Stack) -> dict[str, Any]:
    wanted = stack.wanted
    return {
        "StackId": stack.arn, "StackName": stack.name, **_times(stack), "DisableRollback": False,
        "EnableTerminationProtection": False, "NotificationARNs": [], "Outputs": [*stack.outputs.values()],
        **({"Description": wanted.template.description} if wanted else {}),
        "Parameters": _parameters(wanted.values) if wanted else [], "Tags": _tags(wanted.tags) if wanted else [],
        "Capabilities": [*wanted.capabilities] if wanted else [],
    }  # fmt: skip


def _resource(one: Resource) -> dict[str, Any]:
    return {
        "LogicalResourceId": one.logical, "PhysicalResourceId": one.made.physical if one.made else "",
        "ResourceType": one.kind, "ResourceStatus": one.status,
        **({"ResourceStatusReason": one.reason} if one.reason else {}),
    }  # fmt: skip


def _change(change: Change) -> dict[str, Any]:
    out: dict[str, Any] = {
        "Action": change.action,
        "LogicalResourceId": change.logical,
        "ResourceType": change.kind,
        "Scope": [],
        "Details": [],
    }
    if change.physical:
        out["PhysicalResourceId"] = change.physical
    if change.policy:
        out["PolicyAction"] = change.policy
    if change.action == "Modify":
        out |= {
            "Replacement": change.replaced,
            "Scope": ["Properties"],
            "Details": [{"Target": {"Attribute": "Properties", "Name": name}} for name in change.names],
        }
    return out


def _summary_of_set(one: ChangeSet) -> dict[str, Any]:
    return {
        "ChangeSetId": one.arn, "ChangeSetName": one.name, "StackId": one.stack.arn, "StackName": one.stack.name,
        "CreationTime": one.created, "Status": one.status, "ExecutionStatus": one.execution,
        **({"StatusReason": one.reason} if one.reason else {}),
    }  # fmt: skip
