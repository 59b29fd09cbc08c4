"""A stack of CloudFormation: its resources, states and events, and the operations that change it, each in a thread."""

import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .calls import ACCOUNT, Refusal
from .resources import Failed, Made, Place, Resources
from .schemas import changed_properties, fixed_properties, missing_properties, replaces, unknown_properties
from .templates import Scope, Template, invalid, references

STACK = "AWS::CloudFormation::Stack"
UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
_KEPT = ("Retain", "RetainExceptOnCreate")


@dataclass
class Resource:
    """A resource of a stack. definition: its part of the template. properties: with all functions evaluated."""

    logical: str
    kind: str
    definition: Mapping[str, Any]
    properties: Mapping[str, Any]
    made: Made | None = None
    status: str = ""
    reason: str = ""
    changed: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """What a stack is to become. values: of its parameters, all of them."""

    template: Template
    values: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()

    def check_capabilities(self) -> None:
        if (needed := self.template.capabilities) and not {*needed, "CAPABILITY_NAMED_IAM"} & {*self.capabilities}:
            raise Refusal("InsufficientCapabilitiesException", f"Requires capabilities : [{', '.join(needed)}]")


@dataclass(frozen=True)
class Change:
    """What an update does with a resource. action: Add, Modify or Remove. names: the properties that change. policy: what becomes of
    what is removed or replaced, such as ReplaceAndRetain."""

    action: str
    logical: str
    kind: str
    physical: str = ""
    replaced: str = "False"
    names: tuple[str, ...] = ()
    policy: str = ""


class Stack:
    """resources: creates resources with the rights of the caller. exports: of all stacks of the region, by their names. fails: the reason
    why an operation on a resource fails ("create", "update", "rollback" or "delete", and its logical name); None where it does not.
    """

    def __init__(
        self,
        name: str,
        region: str,
        exports: Callable[[], Mapping[str, str]],
        fails: Callable[[str, str], "str | None"],
        on_event: Callable[[str], None],
    ) -> None:
        self.name, self.region, self.exports, self.fails, self.on_event = name, region, exports, fails, on_event
        self.arn = f"arn:aws:cloudformation:{region}:{ACCOUNT}:stack/{name}/{uuid.uuid4()}"
        self.created, self.updated, self.deleted = time.time(), 0.0, 0.0
        self.status, self.reason = "REVIEW_IN_PROGRESS", ""
        self.wanted: Wanted | None = None
        self.before: Wanted | None = None
        self.resources: dict[str, Resource] = {}
        self.outputs: dict[str, dict[str, str]] = {}
        self.imports: set[str] = set()
        self.events: list[dict[str, Any]] = []
        self._thread: threading.Thread | None = None
        self._cancelled = False

    # ---- states ----

    @property
    def busy(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def set_status(self, status: str, reason: str = "") -> None:
        self.status, self.reason = status, reason
        self._event(self.name, self.arn, STACK, status, reason)
        self.on_event(f"{self.name}  {status}{f': {reason}' if reason else ''}")

    def _set(self, one: Resource, status: str, reason: str = "") -> None:
        one.status, one.reason, one.changed = status, reason, time.time()
        self._event(one.logical, one.made.physical if one.made else "", one.kind, status, reason)

    def _event(self, logical: str, physical: str, kind: str, status: str, reason: str) -> None:
        self.events.append({
            "StackId": self.arn, "StackName": self.name, "EventId": f"{logical}-{uuid.uuid4()}", "Timestamp": time.time(),
            "LogicalResourceId": logical, "PhysicalResourceId": physical, "ResourceType": kind, "ResourceStatus": status,
            **({"ResourceStatusReason": reason} if reason else {}),
        })  # fmt: skip

    def start(self, status: str, operation: Callable[[], None], reason: str = "User Initiated") -> None:
        """Set the status, and run an operation in a thread. One that is under way is cancelled."""
        before, self._cancelled = self._thread, self.busy
        self.set_status(status, reason)

        def run() -> None:
            if before:
                before.join()
            self._cancelled = False
            try:
                operation()
            except Exception as error:
                failed = {"C": "CREATE_FAILED", "U": "UPDATE_ROLLBACK_FAILED", "D": "DELETE_FAILED"}[status[0]]
                self.set_status(failed, f"a fault of the emulator: {type(error).__name__}: {error}")

        self._thread = threading.Thread(target=run, name=f"stack {self.name}", daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        if self._thread:
            self._thread.join(seconds)

    # ---- what a template says ----

    def scope(self, wanted: Wanted, unknown: str | None = None) -> Scope:
        """unknown: stands for what resources give that do not exist yet; None: that is an error."""

        def made(name: str) -> Made | None:
            one = self.resources.get(name)
            if (one is None or one.made is None) and unknown is None:
                raise invalid(f"Unresolved resource dependencies [{name}] in the Resources block of the template")
            return one.made if one else None

        def reference(name: str) -> str:
            found = made(name)
            return found.physical if found else str(unknown)

        def attribute(name: str, key: str) -> Any:
            found = made(name)
            if found is None:
                return unknown
            if key not in found.attributes:
                raise invalid(f"Template error: resource {name} does not support attribute type {key} in Fn::GetAtt")
            return found.attributes[key]

        def imported(name: str) -> str:
            exports = self.exports()
            if name not in exports:
                raise invalid(f"No export named {name} found. Rollback requested by user.")
            self.imports.add(name)
            return exports[name]

        return Scope(wanted.template, wanted.values, (self.name, self.arn, self.region), reference, attribute, imported)

    def changes(self, wanted: Wanted) -> list[Change]:
        """What an update to `wanted` would do. Raises Refusal."""
        scope = self.scope(wanted, unknown="<not known before>")
        out = []
        included = [name for name in wanted.template.order() if scope.included(name)]
        renamed: set[str] = set()  # those that get, or may get, another physical id or version
        for name in included:
            definition = wanted.template.resources[name]
            written = definition.get("Properties", {})
            kind, given = str(definition["Type"]), scope.value(written)
            old = self.resources.get(name)
            if old is None or old.made is None:
                out.append(Change("Add", name, kind))
                continue
            names = changed_properties(old.properties, given)
            through = [key for key, value in written.items() if renamed & {*references(value)}]
            if names or through or old.kind != kind:
                full = old.kind != kind or replaces(kind, old.properties, given)
                what = "True" if full else "Conditional" if fixed_properties(kind) & {*through} else "False"
                if what != "False" or kind == "AWS::EC2::LaunchTemplate":
                    renamed.add(name)
                policy = "" if what == "False" else f"ReplaceAnd{_policy(old, 'UpdateReplacePolicy')}"
                changed = tuple(sorted({*names, *through}))
                out.append(Change("Modify", name, kind, old.made.physical, what, changed, policy))
        out += [
            Change("Remove", one.logical, one.kind, one.made.physical, policy=_policy(one, "DeletionPolicy"))
            for one in self.resources.values()
            if one.made and one.logical not in included
        ]
        return out

    def differs(self, wanted: Wanted) -> bool:
        """Whether an update to `wanted` changes anything, be it only outputs, tags or what is done at a deletion."""
        now = self.wanted
        if self.changes(wanted) or now is None:
            return True
        bare = [
            {name: {**one, "Properties": {}} for name, one in which.template.resources.items()}
            for which in (now, wanted)
        ]
        return bool(now.template.outputs != wanted.template.outputs or now.tags != wanted.tags or bare[0] != bare[1])

    # ---- operations ----

    def create(self, wanted: Wanted, resources: Resources, on_failure: str = "ROLLBACK") -> None:
        """on_failure: ROLLBACK, DELETE or DO_NOTHING."""
        self.wanted = wanted
        why = self._bring(wanted, resources, "create")
        if self._cancelled:
            return None
        if not why:
            return self.set_status("CREATE_COMPLETE")
        if on_failure == "DO_NOTHING":
            return self.set_status("CREATE_FAILED", why)
        deleting = on_failure == "DELETE"
        state = "DELETE" if deleting else "ROLLBACK"
        self.set_status(f"{state}_IN_PROGRESS", f"{why}{'Delete' if deleting else 'Rollback'} requested by user.")
        self.outputs = {}
        stuck = self._remove([*self.resources], resources, new=True)
        if stuck:
            return self.set_status(f"{state}_FAILED", _stuck(stuck))
        self.set_status(f"{state}_COMPLETE")

    def update(self, wanted: Wanted, resources: Resources) -> None:
        assert self.wanted
        self.before, old = self.wanted, {name: replace(one) for name, one in self.resources.items()}
        self.wanted = wanted
        outputs = self.outputs
        why = self._bring(wanted, resources, "update")
        if not why:
            self.set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up(old, resources)
            return self.set_status("UPDATE_COMPLETE")
        self.outputs = outputs
        self.set_status("UPDATE_ROLLBACK_IN_PROGRESS", why)
        self._roll_back(old, resources)

    def roll_back_again(self, resources: Resources) -> None:
        """ContinueUpdateRollback."""
        self._roll_back(self._old, resources)

    def delete(self, resources: Resources, retained: Iterable[str] = ()) -> None:
        for name in retained:
            if one := self.resources.pop(name, None):
                self._set(one, "DELETE_SKIPPED")
        if stuck := self._remove([*self.resources], resources):
            return self.set_status("DELETE_FAILED", _stuck(stuck))
        self.outputs, self.deleted, self.imports = {}, time.time(), set()
        self.set_status("DELETE_COMPLETE")

    # ---- their parts ----

    def _outputs(self, wanted: Wanted) -> dict[str, dict[str, str]]:
        """Raises Refusal."""
        scope = self.scope(wanted)
        outputs: dict[str, dict[str, str]] = {}
        for name, one in wanted.template.outputs.items():
            if "Condition" not in one or scope.holds(one["Condition"]):
                outputs[name] = {"OutputKey": name, "OutputValue": str(scope.value(one["Value"]))}
                if "Description" in one:
                    outputs[name]["Description"] = one["Description"]
                if "Export" in one:
                    outputs[name]["ExportName"] = str(scope.value(one["Export"]["Name"]))
        return outputs

    def _bring(self, wanted: Wanted, resources: Resources, verb: str) -> str:
        """Create what is missing, change what differs, and set the outputs. Returns why that failed; empty if it went well."""
        scope = self.scope(wanted)
        for name in wanted.template.order():
            if self._cancelled:
                return "cancelled"
            if not scope.included(name):
                continue
            definition = wanted.template.resources[name]
            kind, old = str(definition["Type"]), self.resources.get(name)
            try:
                given = scope.value(definition.get("Properties", {}))
                self._check(resources, name, kind, given)
            except (Refusal, Failed) as error:
                if old is None:
                    self.resources[name] = old = Resource(name, kind, definition, {})
                message = error.message if isinstance(error, Refusal) else str(error)
                self._set(old, "UPDATE_FAILED" if old.made else "CREATE_FAILED", message)
                return f"The following resource(s) failed to {verb}: [{name}]. "
            if not self._make(resources, wanted, Resource(name, kind, definition, given), old):
                return f"The following resource(s) failed to {verb}: [{name}]. "
        try:
            self.outputs = self._outputs(wanted)
        except Refusal as error:
            return error.message
        return ""

    def _check(self, resources: Resources, name: str, kind: str, given: Mapping[str, Any]) -> None:
        if not resources.knows(kind):
            raise Failed(f"simferry's emulator has no resources of type {kind}")
        if unknown := unknown_properties(kind, given):
            raise Failed(
                f"Properties validation failed for resource {name} with message: extraneous key [{unknown[0]}]"
            )
        if missing := missing_properties(kind, given):
            raise Failed(f"Property validation failure: [Value of property {{/{missing[0]}}} is required]")

    def _make(self, resources: Resources, wanted: Wanted, new: Resource, old: Resource | None) -> bool:
        """Create or change one resource, if it differs. Whether that went well."""
        place = Place(self.name, new.logical, self.region, wanted.tags)
        if old is None or old.made is None:
            self.resources[new.logical] = new
            return self._do(new, "CREATE", lambda: resources.create(new.kind, place, new.properties))
        made, before = old.made, old.properties
        if old.kind == new.kind and not changed_properties(before, new.properties):
            old.definition = new.definition
            return True
        new.made = made
        self.resources[new.logical] = new
        if old.kind != new.kind or replaces(new.kind, before, new.properties):
            reason = "Requested update requires the creation of a new physical resource; hence creating one."
            self._set(new, "UPDATE_IN_PROGRESS", reason)
            return self._do(new, "UPDATE", lambda: resources.create(new.kind, place, new.properties), begun=True)
        return self._do(new, "UPDATE", lambda: resources.update(new.kind, place, made, new.properties, before))

    def _do(self, one: Resource, verb: str, do: Callable[[], Made], begun: bool = False, fault: str = "") -> bool:
        if not begun:
            self._set(one, f"{verb}_IN_PROGRESS")
        try:
            if reason := self.fails(fault or verb.lower(), one.logical):
                raise Failed(reason)
            one.made = do()
        except Failed as error:
            self._set(one, f"{verb}_FAILED", str(error))
            return False
        self._set(one, f"{verb}_COMPLETE")
        return True

    def _remove(self, names: list[str], resources: Resources, new: bool = False) -> list[str]:
        """Delete resources, each before those that it needs. new: made by the operation that failed. The names of those that remain."""
        assert self.wanted
        order = [name for name in self.wanted.template.order() if name in names]
        order += [name for name in names if name not in order]
        stuck: list[str] = []
        for name in reversed(order):
            one = self.resources[name]
            blocked = [other for other in stuck if name in self.wanted.template.needs(other)]
            policy = one.definition.get("DeletionPolicy", "Delete")
            if one.made is None:
                del self.resources[name]
            elif policy == "Retain" or (policy == "RetainExceptOnCreate" and not new):
                self._set(one, "DELETE_SKIPPED")
                del self.resources[name]
            elif blocked or not self._drop(one, resources):
                stuck.append(name)
            else:
                del self.resources[name]
        return stuck

    def _drop(self, one: Resource, resources: Resources) -> bool:
        self._set(one, "DELETE_IN_PROGRESS")
        place = Place(self.name, one.logical, self.region, {})
        try:
            if reason := self.fails("delete", one.logical):
                raise Failed(reason)
            assert one.made
            resources.delete(one.kind, place, one.made, one.properties)
        except Failed as error:
            self._set(one, "DELETE_FAILED", str(error))
            return False
        self._set(one, "DELETE_COMPLETE")
        return True

    def _clean_up(self, old: Mapping[str, Resource], resources: Resources) -> None:
        """After an update: delete what the template no longer has, and what was replaced. What can't be deleted is left."""
        assert self.wanted
        scope = self.scope(self.wanted)
        wanted = {name for name in self.wanted.template.resources if scope.included(name)}
        for one in reversed([*old.values()]):
            now = self.resources.get(one.logical)
            gone = one.logical not in wanted
            if one.made is None or not (gone or (now and now.made and now.made.physical != one.made.physical)):
                continue
            key = "DeletionPolicy" if gone else "UpdateReplacePolicy"
            if _policy(one, key) == "Retain":
                self._set(replace(one), "DELETE_SKIPPED")
            else:
                self._drop(replace(one), resources)
            if gone:
                self.resources.pop(one.logical, None)

    def _roll_back(self, old: dict[str, Resource], resources: Resources) -> None:
        """Make the stack what it was. What the update created goes in the end."""
        assert self.before
        self._old = old
        current = dict(self.resources)
        for name, was in old.items():
            now = current.get(name)
            if was.made is None or now is None or now is was:
                continue
            if now.made and now.made.physical != was.made.physical:
                self.resources[name] = replace(was)  # the old one is still there
                self._set(self.resources[name], "UPDATE_COMPLETE")
            elif changed_properties(was.properties, now.properties):
                back, place = replace(was), Place(self.name, name, self.region, self.before.tags)
                made, properties = was.made, now.properties
                self.resources[name] = back
                if not self._do(
                    back,
                    "UPDATE",
                    lambda b=back, p=place, m=made, n=properties: resources.update(b.kind, p, m, b.properties, n),  # type: ignore[misc]
                    fault="rollback",
                ):
                    self.resources[name] = now
                    return self.set_status("UPDATE_ROLLBACK_FAILED", _stuck([name], "update"))
        self.set_status("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        for name, now in current.items():
            was_made = old[name].made if name in old else None
            if now.made and (was_made is None or now.made.physical != was_made.physical):
                self._drop(replace(now), resources)
            if was_made is None:
                self.resources.pop(name, None)
        self.wanted = self.before
        self.set_status("UPDATE_ROLLBACK_COMPLETE")


def _policy(one: Resource, key: str) -> str:
    """Retain or Delete, for a resource that exists. key: DeletionPolicy or UpdateReplacePolicy."""
    return "Retain" if one.definition.get(key) in _KEPT else "Delete"


def _stuck(names: list[str], verb: str = "delete") -> str:
    return f"The following resource(s) failed to {verb}: [{', '.join(names)}]. "


def check_name(name: str) -> None:
    """Refuse a name that CloudFormation refuses."""
    if not re.fullmatch(r"[a-zA-Z][-a-zA-Z0-9]*", name) or len(name) > 128:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must satisfy "
            "regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
