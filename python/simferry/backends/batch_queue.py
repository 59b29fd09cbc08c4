"""Whether a job could start in a job queue of AWS Batch, and why jobs wait there."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from ..aws import quotas, session
from ..aws.contracts import batch as contract
from ..errors import UsageError
from ..hints import BackendOptions, Command, Shell, Text

# of the stack NAME-batch, by what the option `on` calls them: its outputs
QUEUES = {"spot": "SpotQueue", "demand": "DemandQueue", "fargate": "FargateQueue"}
# why a job stays RUNNABLE, as the service says it since 2024
_WAITS = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY": "AWS has no such machines free now",
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE": "the compute environment's limit of vCPUs is smaller than a job",
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT": "no machine of the compute environment is large enough for a job",
}
_KINDS = {"demand": "EC2", "spot": "SPOT", "fargate": "FARGATE"}  # of compute environments, by what `on` says


def check_size(vcpus: float, mib: int, on_fargate: bool) -> None:
    """Raises UsageError for a size that the machines do not have."""
    if on_fargate:
        cpus, fits = contract.nearest_on_fargate(vcpus, mib)
        if (cpus, fits) != (vcpus, mib):
            raise UsageError(
                f"Fargate has no size of {vcpus:g} vCPUs with {mib / 1024:g} GB",
                BackendOptions("batch", vcpus=cpus, memory=f"{fits / 1024:g}G") + "  is the nearest one.",
            )
    elif vcpus != int(vcpus):
        raise UsageError(
            f"vcpus is {vcpus:g}, and machines of EC2 have whole ones",
            BackendOptions("batch", vcpus=max(1, round(vcpus))) + ", or " + BackendOptions("batch", on="fargate"),
        )


class Capacity(NamedTuple):
    """What a job queue may start. vcpus: at once. machines: types and families of EC2; none on Fargate."""

    vcpus: float
    machines: tuple[str, ...]


def check_queue(queue: str, vcpus: float, on_fargate: bool) -> Capacity:
    """What a queue may start. Raises UsageError for a queue in which no job of this size would start."""
    found = queue_named(queue)
    if found is None:
        raise UsageError(
            f"there is no job queue {queue} in {session.region()}",
            Command("infra show") + "  names those of the stack.",
        )
    name = queue.rpartition("/")[2]
    if found["state"] != "ENABLED":
        raise UsageError(
            f"the job queue {name} is disabled",
            Shell("aws", "batch", "update-job-queue", "--job-queue", name, "--state", "ENABLED"),
        )
    environments = _environments(found)
    good = [one for one in environments if one["state"] == "ENABLED" and one["status"] in ("VALID", "UPDATING")]
    if not good:
        raise UsageError(
            f"no compute environment of the job queue {name} can start machines: {'; '.join(map(_state, environments))}",
            Command("infra deploy") + "  mends one of the stack.",
        )
    fargate = {one.get("computeResources", {}).get("type", "").startswith("FARGATE") for one in good}
    if fargate == {not on_fargate}:
        raise UsageError(
            f"the job queue {name} is {'one of Fargate' if not on_fargate else 'not one of Fargate'}",
            BackendOptions("batch", on="demand" if on_fargate else "fargate", queue=name),
        )
    all_of = [float(one["computeResources"].get("maxvCpus", 0)) for one in good]
    most = max(all_of)
    if vcpus > most:
        larger = Command("infra deploy", parameters={"MaxCpus": math.ceil(vcpus)}) + "  for the stack's."
        raise UsageError(
            f"a job needs {vcpus:g} vCPUs, and the compute environments of the job queue {name} have at most {most:g}",
            Text(BackendOptions("batch", vcpus=most), ", or  ") + larger if most else larger,
        )
    machines = {name for one in good for name in one["computeResources"].get("instanceTypes", ())}
    _check_quota({one["computeResources"]["type"] for one in good}, machines, vcpus)
    return Capacity(sum(all_of), tuple(sorted(machines)))


def _check_quota(kinds: Collection[str], machines: Collection[str], vcpus: float) -> None:
    """Raises UsageError if the account may not use as many vCPUs as a job needs. kinds: of compute environments, such as SPOT."""
    if len(kinds) > 1:  # another kind may start it
        return
    (kind,) = kinds
    allowed = quotas.vcpus(kind, machines)
    if allowed is None or allowed >= vcpus:
        return
    service, code, name = quotas.QUOTAS[kind]
    others = [on for on, other in _KINDS.items() if other != kind]
    raise UsageError(
        f"this account's quota of vCPUs in {session.region()} is {allowed:g}, and a job needs {vcpus:g} ({name})",
        Text(
            Shell("aws", "service-quotas", "request-service-quota-increase", "--service-code", service, "--quota-code", code,
                  "--desired-value", "256"),
            "  asks AWS for more; or ", BackendOptions("batch", on=others[0]), ", which has another quota.",
        ),
    )  # fmt: skip


def why_waiting(queue: str, jobs: Sequence[Mapping[str, Any]]) -> str:
    """What jobs that are RUNNABLE wait for, in words. jobs: some of them, as the service lists them."""
    told = next((str(job["statusReason"]) for job in jobs if job.get("statusReason")), "")
    for code, words in _WAITS.items():
        if told.startswith(code):
            return f"a machine: {words}"
    if told:
        return f"a machine: {told}"
    found = queue_named(queue)
    if found is None or found["state"] != "ENABLED":
        return f"the job queue {queue.rpartition('/')[2]}, which is {'gone' if found is None else 'disabled'}"
    environments = _environments(found)
    bad = [one for one in environments if one["state"] != "ENABLED" or one["status"] == "INVALID"]
    if environments and len(bad) == len(environments):
        return f"a machine: {'; '.join(map(_state, bad))}"
    return "a machine"


def queue_named(name: str) -> Mapping[str, Any] | None:
    """What the service tells of a job queue; None if there is none of this name or ARN."""
    with session.asking(f"job queue {name}"):
        found = session.client("batch").describe_job_queues(jobQueues=[name])["jobQueues"]
    return found[0] if found else None


def _environments(queue: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    names = [one["computeEnvironment"] for one in queue["computeEnvironmentOrder"]]
    with session.asking("AWS Batch"):
        return [
            *session.client("batch").describe_compute_environments(computeEnvironments=names)["computeEnvironments"]
        ]


def _state(environment: Mapping[str, Any]) -> str:
    why = f" ({environment['statusReason']})" if environment.get("statusReason") else ""
    return f"{environment['computeEnvironmentName']} is {environment['status']} and {environment['state']}{why}"
