"""What AWS Batch keeps besides jobs: compute environments, job queues, and revisions of job definitions, with the service's refusals."""

import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from .calls import ACCOUNT, Refusal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
LONGEST_DEFINITION = 24 * 1024
# vCPU: GB of memory that Fargate has
FARGATE = {
    0.25: (0.5, 1, 2), 0.5: range(1, 5), 1: range(2, 9), 2: range(4, 17), 4: range(8, 31), 8: range(16, 61, 4),
    16: range(32, 121, 8), 32: (60, 120, 244),
}  # fmt: skip


def refused(text: str) -> Refusal:
    return Refusal("ClientException", f"Error executing request, Exception : {text}, RequestId: {uuid.uuid4()}")


def arn(kind: str, name: str, region: str) -> str:
    return f"arn:aws:batch:{region}:{ACCOUNT}:{kind}/{name}"


def _checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise refused(f"{name} should match valid pattern")
    return name


def page_of(found: list[Any], request: dict[str, Any], most: int, key: str) -> dict[str, Any]:
    """A page of a list, in the answer's member `key`."""
    first = int(request.get("nextToken") or 0)
    last = first + min(most, request.get("maxResults") or most)
    return {key: found[first:last], **({"nextToken": str(last)} if last < len(found) else {})}


class Environments:
    """The compute environments and queues of an emulator. used_by: the queues whose jobs have not ended."""

    def __init__(self, busy: Callable[[str], bool]) -> None:
        self.busy = busy
        self.environments: dict[str, dict[str, Any]] = {}  # by ARN
        self.queues: dict[str, dict[str, Any]] = {}

    # ---- compute environments ----

    def create_environment(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        name = _checked_name(request["computeEnvironmentName"])
        made = arn("compute-environment", name, region)
        if made in self.environments:
            raise refused("Object already exists")
        resources = dict(request.get("computeResources", {}))
        _check_resources(resources)
        if not resources["type"].startswith("FARGATE"):
            resources.setdefault("desiredvCpus", 0)
        self.environments[made] = {
            "computeEnvironmentName": name, "computeEnvironmentArn": made, "ecsClusterArn": arn("cluster", name, region),
            "type": request["type"], "state": request.get("state", "ENABLED"), "status": "VALID",
            "statusReason": "ComputeEnvironment Healthy", "computeResources": resources, "tags": request.get("tags", {}),
            "containerOrchestrationType": "ECS", "uuid": str(uuid.uuid4()),
            "serviceRole": request.get("serviceRole") or f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/"
            "batch.amazonaws.com/AWSServiceRoleForBatch",
        }  # fmt: skip
        return {"computeEnvironmentName": name, "computeEnvironmentArn": made}

    def update_environment(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        one = self._environment(request["computeEnvironment"], region)
        changed = {k: v for k, v in request.get("computeResources", {}).items() if k != "updateToLatestImageVersion"}
        _check_resources({**one["computeResources"], **changed})
        one["computeResources"] |= changed
        one["state"] = request.get("state", one["state"])
        return {
            "computeEnvironmentName": one["computeEnvironmentName"],
            "computeEnvironmentArn": one["computeEnvironmentArn"],
        }

    def delete_environment(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        one = self._environment(request["computeEnvironment"], region, missing_ok=True)
        if one is None:
            return {}
        if one["state"] != "DISABLED":
            raise refused("Cannot delete, state must be DISABLED")
        if any(one["computeEnvironmentArn"] in environments_of(queue) for queue in self.queues.values()):
            raise refused("Cannot delete, found existing JobQueue relationship")
        del self.environments[one["computeEnvironmentArn"]]
        return {}

    def describe_environments(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        found = _named(self.environments, request.get("computeEnvironments"), "compute-environment", region)
        return page_of(found, request, 100, "computeEnvironments")

    def _environment(self, name: str, region: str, missing_ok: bool = False) -> Any:
        one = self.environments.get(_arn_of("compute-environment", name, region))
        if one is None and not missing_ok:
            raise refused(f"arn:aws:batch:{region}:{ACCOUNT}:compute-environment/{name} does not exist")
        return one

    # ---- queues ----

    def create_queue(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        name = _checked_name(request["jobQueueName"])
        made = arn("job-queue", name, region)
        if made in self.queues:
            raise refused(f"{made} already exists")
        self.queues[made] = {
            "jobQueueName": name, "jobQueueArn": made, "state": request.get("state", "ENABLED"), "status": "VALID",
            "statusReason": "JobQueue Healthy", "priority": request["priority"], "tags": request.get("tags", {}),
            "computeEnvironmentOrder": self._order(request.get("computeEnvironmentOrder", []), region),
            "jobStateTimeLimitActions": request.get("jobStateTimeLimitActions", []), "jobQueueType": "ECS",
        }  # fmt: skip
        return {"jobQueueName": name, "jobQueueArn": made}

    def _order(self, given: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
        if not 1 <= len(given) <= 3:
            raise refused("A job queue takes 1 to 3 compute environments")
        found = [(one["order"], self._environment(one["computeEnvironment"], region)) for one in given]
        kinds = {one["computeResources"]["type"].startswith("FARGATE") for _, one in found}
        if len(kinds) > 1:
            raise refused("Fargate and EC2 compute environments can't be in one job queue")
        return [{"order": n, "computeEnvironment": one["computeEnvironmentArn"]} for n, one in found]

    def update_queue(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        one = self.queue(request["jobQueue"], region)
        for name in ("state", "priority", "jobStateTimeLimitActions"):
            if name in request:
                one[name] = request[name]
        if "computeEnvironmentOrder" in request:
            one["computeEnvironmentOrder"] = self._order(request["computeEnvironmentOrder"], region)
        return {"jobQueueName": one["jobQueueName"], "jobQueueArn": one["jobQueueArn"]}

    def delete_queue(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        one = self.queues.get(_arn_of("job-queue", request["jobQueue"], region))
        if one is None:
            return {}
        if one["state"] != "DISABLED":
            raise refused("Cannot delete, state must be DISABLED")
        if self.busy(one["jobQueueArn"]):
            raise refused("Cannot delete, jobs are in the queue")
        del self.queues[one["jobQueueArn"]]
        return {}

    def describe_queues(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        return page_of(_named(self.queues, request.get("jobQueues"), "job-queue", region), request, 100, "jobQueues")

    def queue(self, name: str, region: str) -> dict[str, Any]:
        one = self.queues.get(_arn_of("job-queue", name, region))
        if one is None:
            raise refused(f"JobQueue {name} not found")
        return one

    def on_fargate(self, queue: dict[str, Any]) -> bool:
        return any(
            self.environments[one]["computeResources"]["type"].startswith("FARGATE") for one in environments_of(queue)
        )


def environments_of(queue: dict[str, Any]) -> list[str]:
    return [one["computeEnvironment"] for one in queue["computeEnvironmentOrder"]]


def _check_resources(resources: dict[str, Any]) -> None:
    fargate = resources.get("type", "").startswith("FARGATE")
    for name in ("subnets", "maxvCpus", *(() if fargate else ("instanceTypes", "instanceRole", "securityGroupIds"))):
        if name not in resources:
            raise refused(f"{name} is required in computeResources")
    for name in (
        ("instanceRole", "minvCpus", "instanceTypes", "allocationStrategy", "launchTemplate") if fargate else ()
    ):
        if name in resources:
            raise refused(f"{name} can't be specified for Fargate")
    if resources["maxvCpus"] < resources.get("minvCpus", 0):
        raise refused("minvCpus must not exceed maxvCpus")


def _arn_of(kind: str, name: str, region: str) -> str:
    return name if name.startswith("arn:") else arn(kind, name, region)


def _named(every: dict[str, dict[str, Any]], names: "list[str] | None", kind: str, region: str) -> list[dict[str, Any]]:
    if names:
        return [every[one] for one in (_arn_of(kind, name, region) for name in names) if one in every]
    return [one for key, one in every.items() if key.split(":")[3] == region]


class Definitions:
    """The revisions of job definitions, by name. An inactive one stays."""

    def __init__(self) -> None:
        self.revisions: dict[tuple[str, str], list[dict[str, Any]]] = {}  # by region and name

    def register(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        name = _checked_name(request["jobDefinitionName"])
        if request["type"] != "container":
            raise refused("simferry's emulator has job definitions of type container only")
        if len(json.dumps(request)) > LONGEST_DEFINITION:
            raise refused(f"Job definition is larger than {LONGEST_DEFINITION} bytes")
        check_definition(request)
        some = self.revisions.setdefault((region, name), [])
        number = len(some) + 1
        made = arn("job-definition", f"{name}:{number}", region)
        some.append({
            **{key: value for key, value in request.items() if key != "propagateTags"}, "jobDefinitionArn": made,
            "revision": number, "status": "ACTIVE", "containerOrchestrationType": "ECS",
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


def containers_of(definition: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers of a definition: one, or those of its task."""
    if "ecsProperties" in definition:
        return list(definition["ecsProperties"]["taskProperties"][0]["containers"])
    return [definition["containerProperties"]]


def task_of(definition: dict[str, Any]) -> dict[str, Any]:
    """What containers share: roles, volumes."""
    if "ecsProperties" in definition:
        return dict(definition["ecsProperties"]["taskProperties"][0])
    return dict(definition["containerProperties"])


def check_definition(definition: dict[str, Any]) -> None:
    """Refuse what the service refuses, and what would reach this machine."""
    if ("ecsProperties" in definition) == ("containerProperties" in definition):
        raise refused("Exactly one of containerProperties and ecsProperties must be given")
    task = task_of(definition)
    if any("host" in volume and volume["host"] for volume in task.get("volumes", [])):
        raise refused("simferry's emulator mounts no folder of this machine")
    if any({"efsVolumeConfiguration", "s3filesVolumeConfiguration"} & set(v) for v in task.get("volumes", [])):
        raise refused("simferry's emulator has no file systems of EFS")
    containers = containers_of(definition)
    for one in containers:
        if one.get("privileged"):
            raise refused("simferry's emulator runs no privileged containers")
        if one.get("linuxParameters") or one.get("secrets"):
            raise refused("simferry's emulator has no linuxParameters and secrets")
        needed = {need["type"] for need in one.get("resourceRequirements", [])}
        if not {"VCPU", "MEMORY"} <= needed:
            raise refused("Container properties must have resourceRequirements of VCPU and MEMORY")
        if "GPU" in needed:
            raise refused("simferry's emulator has no GPUs")
        check_size(definition, one)
    if len(containers) > 1 and not any(one.get("essential", True) for one in containers):
        raise refused("At least one container must be essential")
    if len({one.get("name") for one in containers}) < len(containers):
        raise refused("Containers need names of their own")
    attempts = definition.get("retryStrategy", {}).get("attempts", 1)
    if not 1 <= attempts <= 10:
        raise refused("Retry attempts must be between 1 and 10")
    check_timeout(definition)


def check_timeout(request: dict[str, Any]) -> None:
    seconds = request.get("timeout", {}).get("attemptDurationSeconds")
    if seconds is not None and seconds < 60:
        raise refused("attemptDurationSeconds in Timeout must be at least 60 seconds.")


def check_size(definition: dict[str, Any], container: dict[str, Any]) -> None:
    """vCPUs and memory that EC2 and Fargate have."""
    cpus, megabytes = size_of(container)
    fargate = "FARGATE" in definition.get("platformCapabilities", [])
    if not fargate and (cpus != int(cpus) or cpus < 1):
        raise refused("VCPU in resourceRequirements must be a whole number of at least 1")
    if (
        fargate
        and "ecsProperties" not in definition
        and not any(cpus == vcpu and megabytes == gb * 1024 for vcpu, some in FARGATE.items() for gb in some)
    ):
        raise refused(f"Fargate resource requirements ({cpus:g} vCPU, {megabytes} MiB) not valid.")
    if megabytes < 4:
        raise refused("MEMORY in resourceRequirements must be at least 4 MiB")


def size_of(container: dict[str, Any]) -> tuple[float, int]:
    """vCPUs, and MiB of memory."""
    found = {need["type"]: need["value"] for need in container.get("resourceRequirements", [])}
    return float(found["VCPU"]), int(found["MEMORY"])


def new_id() -> str:
    return str(uuid.uuid4())


def task_id() -> str:
    return secrets.token_hex(16)


def values(some: Iterable[dict[str, str]]) -> dict[str, str]:
    """Environment variables of a list of name and value."""
    return {one["name"]: one.get("value", "") for one in some}
