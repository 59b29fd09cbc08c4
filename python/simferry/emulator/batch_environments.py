"""The compute environments and job queues of AWS Batch, with the service's refusals."""

import re
import uuid
from collections.abc import Callable
from typing import Any

from .calls import ACCOUNT, Refusal

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
# what a queue may cancel jobs for; see https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
TOO_SMALL = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE"
_REASONS = (
    NO_CAPACITY, TOO_SMALL, "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
)  # fmt: skip
INVALID = "ACTION_REQUIRED - CE(s) associated with the job queue are invalid."


def refused(text: str) -> Refusal:
    return Refusal("ClientException", f"Error executing request, Exception : {text}, RequestId: {uuid.uuid4()}")


def arn(kind: str, name: str, region: str) -> str:
    return f"arn:aws:batch:{region}:{ACCOUNT}:{kind}/{name}"


def checked_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise refused(f"{name} should match valid pattern: ^[a-zA-Z0-9][a-zA-Z0-9_-]{{0,127}}$")
    return name


def page_of(found: list[Any], request: dict[str, Any], most: int, key: str) -> dict[str, Any]:
    """A page of a list, in the answer's member `key`."""
    token, size = str(request.get("nextToken") or "0"), request.get("maxResults", most)
    if not token.isdecimal():
        raise refused("nextToken is not valid")
    if size < 1:
        raise refused("maxResults must be at least 1")
    first, last = int(token), int(token) + min(most, size)
    return {key: found[first:last], **({"nextToken": str(last)} if last < len(found) else {})}


class Environments:
    """The compute environments and queues of an emulator. end_jobs: terminates the jobs of a queue."""

    def __init__(self, end_jobs: Callable[[str], None]) -> None:
        self.end_jobs = end_jobs
        self.environments: dict[str, dict[str, Any]] = {}  # by ARN
        self.queues: dict[str, dict[str, Any]] = {}

    # ---- compute environments ----

    def create_environment(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        name = checked_name(request["computeEnvironmentName"])
        made = arn("compute-environment", name, region)
        if made in self.environments:
            raise refused("Object already exists")
        if request["type"] != "MANAGED":
            raise refused("simferry's emulator has managed compute environments only")
        resources = dict(request.get("computeResources", {}))
        _check_resources(resources)
        if not resources["type"].startswith("FARGATE"):
            resources.setdefault("desiredvCpus", 0)
        self.environments[made] = {
            "computeEnvironmentName": name, "computeEnvironmentArn": made,
            "ecsClusterArn": f"arn:aws:ecs:{region}:{ACCOUNT}:cluster/AWSBatch-{name}-{uuid.uuid4()}",
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
        kind = one["computeResources"]["type"]
        if changed.get("type", kind).startswith("FARGATE") != kind.startswith("FARGATE"):
            raise refused("A compute environment can't change between EC2 and Fargate")
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
        name = checked_name(request["jobQueueName"])
        made = arn("job-queue", name, region)
        if made in self.queues:
            raise refused(f"{made} already exists")
        _check_queue(request)
        order = self._order(request.get("computeEnvironmentOrder", []), region)
        self.queues[made] = {
            "jobQueueName": name, "jobQueueArn": made, "state": request.get("state", "ENABLED"), "status": "VALID",
            "statusReason": "JobQueue Healthy", "priority": request["priority"], "tags": request.get("tags", {}),
            "computeEnvironmentOrder": order, "jobStateTimeLimitActions": request.get("jobStateTimeLimitActions", []),
        }  # fmt: skip
        self.queues[made]["jobQueueType"] = "ECS_FARGATE" if self.on_fargate(self.queues[made]) else "ECS"
        return {"jobQueueName": name, "jobQueueArn": made}

    def _order(self, given: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
        if not 1 <= len(given) <= 3:
            raise refused("A job queue takes 1 to 3 compute environments")
        given = sorted(given, key=lambda one: int(one["order"]))
        found = [(one["order"], self._environment(one["computeEnvironment"], region)) for one in given]
        if any(one["status"] != "VALID" for _, one in found):
            raise refused("Compute environments must be VALID")
        kinds = {one["computeResources"]["type"].startswith("FARGATE") for _, one in found}
        if len(kinds) > 1:
            raise refused("Fargate and EC2 compute environments can't be in one job queue")
        return [{"order": n, "computeEnvironment": one["computeEnvironmentArn"]} for n, one in found]

    def update_queue(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        one = self.queue(request["jobQueue"], region)
        _check_queue(request)
        if "computeEnvironmentOrder" in request:
            one["computeEnvironmentOrder"] = self._order(request["computeEnvironmentOrder"], region)
        for name in ("state", "priority", "jobStateTimeLimitActions"):
            if name in request:
                one[name] = request[name]
        return {"jobQueueName": one["jobQueueName"], "jobQueueArn": one["jobQueueArn"]}

    def delete_queue(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        one = self.queues.get(_arn_of("job-queue", request["jobQueue"], region))
        if one is None:
            return {}
        if one["state"] != "DISABLED":
            raise refused("Cannot delete, state must be DISABLED")
        self.end_jobs(one["jobQueueArn"])
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
        return any(one["computeResources"]["type"].startswith("FARGATE") for one in self._environments_of(queue))

    def _environments_of(self, queue: dict[str, Any]) -> list[dict[str, Any]]:
        return [self.environments[one] for one in environments_of(queue)]

    def place_for(self, queue: dict[str, Any], vcpus: float) -> tuple[str, str]:
        """The compute environment of a queue that starts a job of this size, or "" and why none does, as the service says it."""
        every = self._environments_of(queue)
        if all(one["status"] == "INVALID" for one in every):
            return "", INVALID
        good = [one for one in every if one["status"] == "VALID" and one["state"] == "ENABLED"]
        large = [one for one in good if one["computeResources"]["maxvCpus"] >= vcpus]
        if good and not large:
            return "", f"{TOO_SMALL} - CE(s) associated with the job queue cannot meet the CPU requirement of the job."
        return (str(large[0]["computeEnvironmentName"]) if large else ""), ""


def environments_of(queue: dict[str, Any]) -> list[str]:
    return [one["computeEnvironment"] for one in queue["computeEnvironmentOrder"]]


def _check_queue(request: dict[str, Any]) -> None:
    """What is said of a queue when it is created or changed."""
    if not 0 <= request.get("priority", 0) <= 1000:
        raise refused("priority must be between 0 and 1000")
    if request.get("schedulingPolicyArn") or request.get("serviceEnvironmentOrder"):
        raise refused("simferry's emulator has no scheduling policies and service environments")
    for rule in request.get("jobStateTimeLimitActions", []):
        if rule["reason"] not in _REASONS:
            raise refused(f"{rule['reason']} is not a reason of jobStateTimeLimitActions: {', '.join(_REASONS)}")
        if rule["action"] != "CANCEL" or rule["state"] != "RUNNABLE":
            raise refused("jobStateTimeLimitActions have the action CANCEL and the state RUNNABLE")
        if not 600 <= rule["maxTimeSeconds"] <= 86400:
            raise refused("maxTimeSeconds of jobStateTimeLimitActions must be between 600 and 86400")


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
