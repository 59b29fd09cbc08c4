"""What the compute environments of AWS Batch do now, and the jobs in their queues."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..aws.contracts.batch import GOING_ON
from ..aws.session import asking, client
from ..backends.batch_children import described
from ..backends.batch_costs import of_fargate, of_vcpus
from ..backends.batch_queue import QUEUES
from ..errors import UsageError


@dataclass(frozen=True)
class Queue:
    """A job queue with its compute environment. on: "spot", "demand" or "fargate".

    vcpus: of the machines that are there now, with Fargate of the jobs that run. running, waiting: numbers of jobs, children of arrays
    counted one by one. dollars_an_hour: at the most, by on-demand prices; None if they are not known. trouble: why it starts no jobs;
    empty if it does. jobs: names of the arrays and jobs that have not ended.
    """

    on: str
    vcpus: float
    running: int
    waiting: int
    dollars_an_hour: float | None
    trouble: str = ""
    jobs: Sequence[str] = ()

    def __str__(self) -> str:
        cost = "price not known" if self.dollars_an_hour is None else f"at most ${self.dollars_an_hour:.2f} an hour"
        wait = f", {self.waiting:,} wait" if self.waiting else ""
        now = f"{self.running:,} jobs run on {self.vcpus:g} vCPUs{wait}, {cost}"
        return f"Batch, {self.on}: {now}{f'; {self.trouble}' if self.trouble else ''}"


def queues_of(outputs: Mapping[str, str]) -> list[Queue]:
    """The queues of a stack that are there, by its outputs."""
    on = {outputs[key]: word for word, key in QUEUES.items() if outputs.get(key)}
    if not on:
        return []
    batch = client("batch")
    with asking("AWS Batch"):
        found = batch.describe_job_queues(jobQueues=[*on])["jobQueues"]
        names = [one["computeEnvironment"] for queue in found for one in queue["computeEnvironmentOrder"]]
        some = batch.describe_compute_environments(computeEnvironments=names)["computeEnvironments"] if names else []
        environments = {one["computeEnvironmentArn"]: one for one in some}
        return [_queue(on[queue["jobQueueArn"]], queue, environments, [*_unended(batch, queue)]) for queue in found]


def _unended(batch: Any, queue: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Arrays and jobs of a queue that have not ended, in full."""
    pages = batch.get_paginator("list_jobs")
    names = [
        one["jobId"]
        for status in GOING_ON
        for page in pages.paginate(jobQueue=queue["jobQueueArn"], jobStatus=status)
        for one in page["jobSummaryList"]
    ]
    return described(names)


def _queue(
    on: str, queue: Mapping[str, Any], environments: Mapping[str, Any], jobs: Sequence[Mapping[str, Any]]
) -> Queue:
    mine = [
        environments[one["computeEnvironment"]]
        for one in queue["computeEnvironmentOrder"]
        if one["computeEnvironment"] in environments
    ]
    states = [(job, _states(job)) for job in jobs]
    running = [(job, now["STARTING"] + now["RUNNING"]) for job, now in states]
    waiting = sum(now.total() - now["STARTING"] - now["RUNNING"] for _, now in states)
    if on == "fargate":
        sizes = [(_size(job), number) for job, number in running if number]
        vcpus = sum(cpus * number for (cpus, _), number in sizes)
    else:
        sizes, vcpus = [], sum(one.get("computeResources", {}).get("desiredvCpus", 0) for one in mine)
    return Queue(
        on, vcpus, sum(number for _, number in running), waiting, _cost(vcpus, sizes, mine), _trouble(queue, mine),
        [job["jobName"] for job in jobs],
    )  # fmt: skip


def _cost(
    vcpus: float, on_fargate: Sequence[tuple[tuple[float, float], int]], environments: Sequence[Mapping[str, Any]]
) -> float | None:
    """US dollars an hour, at the most. on_fargate: sizes of jobs, with their number."""
    if on_fargate or not vcpus:
        return sum(of_fargate(*size) * number for size, number in on_fargate)
    kinds = {kind for one in environments for kind in one.get("computeResources", {}).get("instanceTypes", ())}
    try:
        return of_vcpus(vcpus, machines=sorted(kinds))
    except UsageError:  # their prices are not known, or not those of this region
        return None


def _states(job: Mapping[str, Any]) -> Counter[str]:
    """The children of an array that have not ended, or a plain job, by state."""
    counts = job.get("arrayProperties", {}).get("statusSummary") or {job["status"]: 1}
    return Counter({state: number for state, number in counts.items() if state in GOING_ON})


def _size(job: Mapping[str, Any]) -> tuple[float, float]:
    """vCPUs and MiB of a job, of all its containers."""
    tasks = job.get("ecsProperties", {}).get("taskProperties", [])
    containers = [one for task in tasks for one in task["containers"]] or [job.get("container", {})]
    needs = [need for one in containers for need in one.get("resourceRequirements", [])]
    cpus, mib = (sum(float(need["value"]) for need in needs if need["type"] == kind) for kind in ("VCPU", "MEMORY"))
    return cpus, mib


def _trouble(queue: Mapping[str, Any], environments: Sequence[Mapping[str, Any]]) -> str:
    """What keeps a queue from starting jobs, in words."""
    if queue["state"] != "ENABLED":
        return "the queue is disabled"
    bad = [one for one in environments if one["state"] != "ENABLED" or one["status"] == "INVALID"]
    if len(bad) < len(environments):
        return ""
    return "; ".join(
        f"the compute environment {one['computeEnvironmentName']} is "
        + (f"INVALID: {one.get('statusReason', '')}" if one["status"] == "INVALID" else "disabled")
        for one in bad
    )
