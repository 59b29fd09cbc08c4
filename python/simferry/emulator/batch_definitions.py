"""Revisions of job definitions of AWS Batch, and what is refused of them and of submissions."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..aws.contracts.batch import FARGATE, LEAST_SECONDS, LONGEST_DEFINITION, MOST_CHILDREN
from .batch_environments import arn, checked_name, page_of, refused

MOST_CONTAINERS, MOST_RULES, MOST_NEEDED = 10, 5, 20
LONGEST_SUBMISSION = 30 * 1024
# what a container could have, but not here: some of it would reach this machine
_NOT_OF_CONTAINERS = (
    "enableExecuteCommand", "firelensConfiguration", "linuxParameters", "memory", "privileged", "repositoryCredentials",
    "secrets", "ulimits", "vcpus",
)  # fmt: skip
_NOT_OF_TASKS = ("enableExecuteCommand", "ipcMode", "pidMode")
_NOT_OF_SUBMISSIONS = (
    "consumableResourcePropertiesOverride", "eksPropertiesOverride", "nodeOverrides", "schedulingPriorityOverride",
    "shareIdentifier",
)  # fmt: skip


class Definitions:
    """The revisions of job definitions, by name. An inactive one stays. has_role: whether ECS may assume a role."""

    def __init__(self, has_role: Callable[[str], bool]) -> None:
        self.has_role = has_role
        self.revisions: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by region and name

    def register(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        name = checked_name(request["jobDefinitionName"])
        if request["type"] != "container":
            raise refused("simferry's emulator has job definitions of type container only")
        if len(json.dumps(request)) > LONGEST_DEFINITION:
            raise refused(f"Job definition is larger than {LONGEST_DEFINITION} bytes")
        check_definition(request)
        for key in ("jobRoleArn", "taskRoleArn", "executionRoleArn"):
            if (role := task_of(request).get(key)) and not self.has_role(role):
                raise refused(f"Role {role} can't be assumed by ecs-tasks.amazonaws.com")
        some = self.revisions.setdefault((region, name), [])
        number = len(some) + 1
        made = arn("job-definition", f"{name}:{number}", region)
        some.append({
            **request, "jobDefinitionArn": made, "revision": number, "status": "ACTIVE", "containerOrchestrationType": "ECS",
        })  # fmt: skip
        return {"jobDefinitionName": name, "jobDefinitionArn": made, "revision": number}

    def deregister(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        self.find(request["jobDefinition"], region)["status"] = "INACTIVE"
        return {}

    def find(self, name: str, region: str) -> dict[str, Any]:
        """A revision by name, name:revision or ARN; without a revision the newest active one."""
        own, _, number = name.rpartition("job-definition/")[2].partition(":")
        some = self.revisions.get((region, own), [])
        if number:
            found = [one for one in some if str(one["revision"]) == number]
        else:
            found = [one for one in some if one["status"] == "ACTIVE"][-1:]
        if not found:
            raise refused(f"JobDefinition {name} not found")
        return found[0]

    def tagged(self, region: str) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of the active revisions of a region."""
        found = [one for (where, _), some in self.revisions.items() if where == region for one in some]
        return [(one["jobDefinitionArn"], one.get("tags", {})) for one in found if one["status"] == "ACTIVE"]

    def describe(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        found = [one for (where, _), some in self.revisions.items() if where == region for one in reversed(some)]
        if names := request.get("jobDefinitions"):
            wanted = [name.rpartition("job-definition/")[2] for name in names]
            found = [
                one
                for one in found
                if {one["jobDefinitionName"], f"{one['jobDefinitionName']}:{one['revision']}"} & {*wanted}
            ]
        if name := request.get("jobDefinitionName"):
            found = [one for one in found if one["jobDefinitionName"] == name]
        if status := request.get("status"):
            found = [one for one in found if one["status"] == status]
        return page_of(found, request, 100, "jobDefinitions")


# ---- what is refused ----


def check_definition(definition: Mapping[str, Any]) -> None:
    """Refuse what the service refuses, and what the emulator does not have or what would reach this machine."""
    if ("ecsProperties" in definition) == ("containerProperties" in definition):
        raise refused("Exactly one of containerProperties and ecsProperties must be given")
    if "ecsProperties" in definition and len(definition["ecsProperties"]["taskProperties"]) != 1:
        raise refused("ecsProperties has exactly one element in taskProperties")
    task, containers = task_of(definition), containers_of(definition)
    for name in _NOT_OF_TASKS:
        if task.get(name):
            raise refused(f"simferry's emulator has no {name}")
    if on_fargate(definition) and not task.get("executionRoleArn"):
        raise refused("Fargate jobs need an executionRoleArn")
    if not 1 <= len(containers) <= MOST_CONTAINERS:
        raise refused(f"A task has 1 to {MOST_CONTAINERS} containers")
    volumes = _checked_volumes(task.get("volumes", []))
    for one in containers:
        _check_container(one, volumes)
    check_sizes(definition, containers)
    if "ecsProperties" in definition:
        _check_together(containers)
    check_limits(definition)


def _checked_volumes(volumes: Iterable[Mapping[str, Any]]) -> set[str]:
    """The names of volumes. None of them may be a folder of this machine."""
    names = set()
    for one in volumes:
        if one.get("host"):
            raise refused("simferry's emulator mounts no folder of this machine: volumes have no host.sourcePath here")
        if {*one} - {"name", "host"}:
            raise refused("simferry's emulator has no file systems of EFS")
        names.add(checked_name(str(one.get("name", ""))))
    return names


def _check_container(one: Mapping[str, Any], volumes: set[str]) -> None:
    if not one.get("image"):
        raise refused("Container properties must have an image")
    for name in _NOT_OF_CONTAINERS:
        if one.get(name):
            raise refused(f"simferry's emulator has no {name} in container properties")
    if one.get("logConfiguration", {}).get("logDriver", "awslogs") != "awslogs":
        raise refused("simferry's emulator has the log driver awslogs only")
    for mount in one.get("mountPoints", []):
        if mount.get("sourceVolume") not in volumes:
            raise refused(f"Unknown volume '{mount.get('sourceVolume')}' in mountPoints")
        if not str(mount.get("containerPath", "")).startswith("/") or ":" in mount["containerPath"]:
            raise refused("containerPath in mountPoints must be an absolute path")
    _check_environment(one)


def _check_environment(container: Mapping[str, Any]) -> None:
    if own := [name for name in values(container.get("environment", [])) if name.startswith("AWS_BATCH")]:
        raise refused(f"Environment variable {own[0]}: names that begin with AWS_BATCH are reserved")


def _check_together(containers: list[dict[str, Any]]) -> None:
    """What containers of a task say of each other."""
    by_name = {str(one.get("name", "")): one for one in containers}
    if len(by_name) < len(containers) or "" in by_name:
        raise refused("Containers need names of their own")
    for name in by_name:
        checked_name(name)
    if not any(one.get("essential", True) for one in containers):
        raise refused("At least one container must be essential")
    for one in containers:
        for need in one.get("dependsOn", []):
            other, condition = by_name.get(need["containerName"]), need["condition"]
            if other is None or condition not in ("START", "COMPLETE", "SUCCESS"):
                raise refused(f"dependsOn of container {one['name']} is not valid")
            if condition != "START" and other.get("essential", True):
                raise refused(f"The condition {condition} can't be set on an essential container")
    waiting = {name: {need["containerName"] for need in one.get("dependsOn", [])} for name, one in by_name.items()}
    while free := [name for name, needed in waiting.items() if not needed & {*waiting}]:
        for name in free:
            del waiting[name]
    if waiting:
        raise refused("Containers depend on each other in a circle")


def check_limits(request: Mapping[str, Any]) -> None:
    """Refuse a timeout or a strategy of retries, of a definition or a submission."""
    if request.get("timeout", {}).get("attemptDurationSeconds", LEAST_SECONDS) < LEAST_SECONDS:
        raise refused(f"attemptDurationSeconds in Timeout must be at least {LEAST_SECONDS} seconds.")
    strategy = request.get("retryStrategy", {})
    rules = strategy.get("evaluateOnExit", [])
    if rules and "attempts" not in strategy:
        raise refused("attempts must be given with evaluateOnExit")
    if not 1 <= strategy.get("attempts", 1) <= 10:
        raise refused("Retry attempts must be between 1 and 10")
    if len(rules) > MOST_RULES:
        raise refused(f"evaluateOnExit has at most {MOST_RULES} conditions")
    for rule in rules:
        patterns = [rule[name] for name in ("onStatusReason", "onReason", "onExitCode") if name in rule]
        if not patterns or any("*" in one[:-1] or not 1 <= len(one) <= 512 for one in patterns):
            raise refused("evaluateOnExit needs patterns of 1 to 512 characters, with * at the end only")
        if not re.fullmatch(r"[0-9]+\*?|\*", rule.get("onExitCode", "*")):
            raise refused("onExitCode has only digits, and perhaps * at the end")
        if rule["action"].upper() not in ("RETRY", "EXIT"):
            raise refused("action in evaluateOnExit must be RETRY or EXIT")


def check_sizes(definition: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> None:
    """Refuse vCPUs and memory that EC2 and Fargate do not have."""
    sizes = [size_of(one) for one in containers]
    fargate = on_fargate(definition)
    if any(megabytes < 4 for _, megabytes in sizes):
        raise refused("MEMORY in resourceRequirements must be at least 4 MiB")
    if not fargate and any(cpus != int(cpus) or cpus < 1 for cpus, _ in sizes):
        raise refused("VCPU in resourceRequirements must be a whole number of at least 1")
    cpus, megabytes = sum(one for one, _ in sizes), sum(one for _, one in sizes)
    if fargate and not any(megabytes == gb * 1024 for gb in FARGATE.get(cpus, ())):
        raise refused(f"Fargate resource requirements ({cpus:g} vCPU, {megabytes} MiB) not valid.")


def check_submission(request: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    """Refuse what SubmitJob says against its definition, or what the emulator does not have."""
    checked_name(request["jobName"])
    if len(json.dumps(request)) > LONGEST_SUBMISSION:
        raise refused(f"Request is larger than {LONGEST_SUBMISSION // 1024} KiB")
    if other := [name for name in _NOT_OF_SUBMISSIONS if name in request]:
        raise refused(f"simferry's emulator has no {other[0]}")
    size = request.get("arrayProperties", {}).get("size")
    if "arrayProperties" in request and (size is None or not 2 <= size <= MOST_CHILDREN):
        raise refused(f"Array size must be between 2 and {MOST_CHILDREN}")
    if len(request.get("dependsOn", [])) > MOST_NEEDED:
        raise refused(f"A job depends on at most {MOST_NEEDED} jobs")
    several = "ecsProperties" in definition
    if (wrong := "containerOverrides" if several else "ecsPropertiesOverride") in request:
        raise refused(f"{wrong} does not fit the job definition {definition['jobDefinitionArn']}")
    names = {one.get("name") for one in containers_of(definition)}
    for one in overrides_of(request):
        if several and one.get("name") not in names:
            raise refused(f"The job definition has no container {one.get('name')}")
        if other := [name for name in ("instanceType", "memory", "vcpus") if name in one]:
            raise refused(f"simferry's emulator has no {other[0]} in overrides: use resourceRequirements")
        _check_environment(one)
    check_sizes(definition, overridden(request, definition))
    check_limits(request)


# ---- what definitions and submissions say ----


def on_fargate(definition: Mapping[str, Any]) -> bool:
    return "FARGATE" in definition.get("platformCapabilities", [])


def containers_of(definition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a definition: one, or those of its task."""
    if "ecsProperties" in definition:
        return list(definition["ecsProperties"]["taskProperties"][0]["containers"])
    return [definition["containerProperties"]]


def task_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What containers share: roles, volumes."""
    if "ecsProperties" in definition:
        return dict(definition["ecsProperties"]["taskProperties"][0])
    return dict(definition["containerProperties"])


def overrides_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a submission changes of containers: of the only one, or of several by their names."""
    tasks = request.get("ecsPropertiesOverride", {}).get("taskProperties", [])
    several = [one for task in tasks for one in task.get("containers", [])]
    return several or ([request["containerOverrides"]] if "containerOverrides" in request else [])


def overridden(request: Mapping[str, Any], definition: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The containers of a job: those of its definition, with what the submission changes."""
    changes = {one.get("name"): one for one in overrides_of(request)}
    parameters = {**definition.get("parameters", {}), **request.get("parameters", {})}
    return [_changed(one, changes.get(one.get("name"), {}), parameters) for one in containers_of(definition)]


def _changed(container: dict[str, Any], change: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    out = dict(container)
    if command := change.get("command", container.get("command")):
        out["command"] = [parameters.get(word[5:], word) if word.startswith("Ref::") else word for word in command]
    environment = {**values(container.get("environment", [])), **values(change.get("environment", []))}
    out["environment"] = [{"name": name, "value": value} for name, value in environment.items()]
    every = [*container.get("resourceRequirements", []), *change.get("resourceRequirements", [])]
    return {**out, "resourceRequirements": [*{one["type"]: one for one in every}.values()]}


def size_of(container: Mapping[str, Any]) -> tuple[float, int]:
    """vCPUs, and MiB of memory, of a container. Raises Refusal."""
    found = {need["type"]: need["value"] for need in container.get("resourceRequirements", [])}
    if not {"VCPU", "MEMORY"} <= {*found}:
        raise refused("Container properties must have resourceRequirements of VCPU and MEMORY")
    if "GPU" in found:
        raise refused("simferry's emulator has no GPUs")
    try:
        return float(found["VCPU"]), int(found["MEMORY"])
    except ValueError:
        raise refused("VCPU and MEMORY in resourceRequirements must be numbers") from None


def values(some: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Environment variables of a list of name and value."""
    return {one.get("name", ""): one.get("value", "") for one in some}
