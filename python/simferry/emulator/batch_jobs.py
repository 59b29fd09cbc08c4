"""Jobs of AWS Batch and children of arrays: their states, what they wait for, whether they are tried again, what is told of them."""

import collections
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from .batch_definitions import overridden, size_of, task_of
from .batch_environments import arn, refused

ENDED = ("SUCCEEDED", "FAILED")
WAITING = ("SUBMITTED", "PENDING", "RUNNABLE")
STATES = (*WAITING, "STARTING", "RUNNING", *ENDED)
DEPENDENT = "Dependent Job failed"


@dataclass(eq=False)
class Job:
    """A job, an array, or a child of one.

    index: of a child. request: that of SubmitJob. definition: its revision. vcpus: of all containers. children: of an array. needs: jobs
    that have to succeed before. container: what is told of the latest attempt's containers, "of" each by its name.
    """

    id: str
    index: int | None
    request: dict[str, Any]
    definition: dict[str, Any]
    queue: str
    region: str
    vcpus: float
    children: list["Job"] = field(default_factory=list)
    needs: list["Job"] = field(default_factory=list)
    status: str = "SUBMITTED"
    reason: str = ""
    created: float = field(default_factory=time.time)
    started: float = 0.0
    stopped: float = 0.0
    attempts: list[dict[str, Any]] = field(default_factory=list)
    container: dict[str, Any] = field(default_factory=dict)
    cancelled: str = ""
    terminated: str = ""
    no_capacity: bool = False
    blocked: float = 0.0  # since when no compute environment starts it
    place: str = ""  # the compute environment that does
    _ended: int = 0  # the first children that have ended: an array is asked often

    @property
    def arn(self) -> str:
        return arn("job", self.id, self.region)

    @property
    def state(self) -> str:
        """Its status. An array ends with the last of its children."""
        while self._ended < len(self.children) and self.children[self._ended].status in ENDED:
            self._ended += 1
        if self.children and self.status not in ENDED and self._ended == len(self.children):
            bad = any(one.status == "FAILED" for one in self.children)
            self.started = min((one.started for one in self.children if one.started), default=0.0)
            self.end("FAILED" if bad else "SUCCEEDED", "Array Child Job failed" if bad else "")
            self.stopped = max(one.stopped for one in self.children)
        return self.status

    @property
    def over(self) -> bool:
        return self.state in ENDED

    @property
    def strategy(self) -> dict[str, Any]:
        return dict(self.request.get("retryStrategy") or self.definition.get("retryStrategy") or {"attempts": 1})

    @property
    def seconds_at_most(self) -> float:
        given = self.request.get("timeout") or self.definition.get("timeout") or {}
        return float(given.get("attemptDurationSeconds", float("inf")))

    def end(self, status: str, reason: str) -> None:
        self.reason, self.stopped = reason, time.time()
        self.status = status  # last: others look at it

    def containers(self) -> list[dict[str, Any]]:
        """The containers, with what SubmitJob changes."""
        return overridden(self.request, self.definition)

    def may_start(self) -> bool:
        """Whether all jobs that it needs have succeeded. If one has failed, it fails too."""
        if not all(one.over for one in self.needs):
            return False
        if self.cancelled:  # the service waits for what a job needs before it cancels the job
            self.end("FAILED", self.cancelled)
        elif any(one.status == "FAILED" for one in self.needs):
            self.end("FAILED", DEPENDENT)
        return not self.over

    def retries(self, reason: str, told: str, code: int | None) -> bool:
        """Whether an attempt that failed is made again: by the first rule of which all conditions match; by default it is."""
        strategy = self.strategy
        if len(self.attempts) >= strategy.get("attempts", 1) or self.terminated:
            return False
        texts = {"onStatusReason": reason, "onReason": told, "onExitCode": "" if code is None else str(code)}
        for rule in strategy.get("evaluateOnExit", []):
            if all(_matches(rule[name], text) for name, text in texts.items() if name in rule):
                return str(rule["action"]).upper() == "RETRY"
        return True

    def told_of_attempt(self, container: str, told: dict[str, Any]) -> dict[str, Any]:
        """What an attempt tells of its containers. told: of one of them; it is kept as the job's own."""
        if "ecsProperties" not in self.definition:
            self.container |= told
            return {"container": {key: value for key, value in self.container.items() if key != "of"}}
        if container:
            of = self.container["of"]
            of[container] = {**of.get(container, {}), **told}
        every = [
            {"name": one["name"], **self.container.get("of", {}).get(one["name"], {})} for one in self.containers()
        ]
        task = {"taskArn": self.container["taskArn"]} if "taskArn" in self.container else {}
        return {"taskProperties": [{**task, "containers": every}]}

    # ---- answers ----

    def summary(self) -> dict[str, Any]:
        """Its entry in ListJobs."""
        out = {
            "jobArn": self.arn, "jobId": self.id, "jobName": self.request["jobName"], "status": self.state,
            "createdAt": milliseconds(self.created), "jobDefinition": self.definition["jobDefinitionArn"], **self._times(),
        }  # fmt: skip
        if self.children:
            out["arrayProperties"] = {"size": len(self.children)}
        elif self.index is not None:
            out["arrayProperties"] = {"index": self.index}
        # of several containers the service tells only where a job is described
        if shown := {key: self.container[key] for key in ("exitCode", "reason") if key in self.container}:
            out["container"] = shown
        return out

    def _times(self) -> dict[str, Any]:
        return {
            **({"statusReason": self.reason} if self.reason else {}),
            **({"startedAt": milliseconds(self.started)} if self.started else {}),
            **({"stoppedAt": milliseconds(self.stopped)} if self.stopped else {}),
        }

    def describe(self) -> dict[str, Any]:
        """Its entry in DescribeJobs."""
        out = {
            "jobArn": self.arn, "jobId": self.id, "jobName": self.request["jobName"], "jobQueue": self.queue,
            "status": self.state, "createdAt": milliseconds(self.created), "startedAt": 0, **self._times(),
            "jobDefinition": self.definition["jobDefinitionArn"], "attempts": [*self.attempts],
            "retryStrategy": {"attempts": 1, "evaluateOnExit": [], **self.strategy},
            "dependsOn": self.request.get("dependsOn", []), "tags": self.request.get("tags", {}),
            "platformCapabilities": self.definition.get("platformCapabilities", ["EC2"]), "eksAttempts": [],
            "parameters": {**self.definition.get("parameters", {}), **self.request.get("parameters", {})},
            "propagateTags": bool(self.request.get("propagateTags", self.definition.get("propagateTags"))),
            "isCancelled": bool(self.cancelled), "isTerminated": bool(self.terminated),
        }  # fmt: skip
        if self.seconds_at_most < float("inf"):
            out["timeout"] = {"attemptDurationSeconds": int(self.seconds_at_most)}
        if self.children:
            counts = collections.Counter(one.status for one in self.children)
            out["arrayProperties"] = {"size": len(self.children), "statusSummary": {one: counts[one] for one in STATES}}
        elif self.index is not None:
            out["arrayProperties"] = {"index": self.index}
        told, own = self.container.get("of", {}), {key: value for key, value in self.container.items() if key != "of"}
        if "ecsProperties" in self.definition:
            containers = [{**one, **told.get(one["name"], {})} for one in self.containers()]
            out["ecsProperties"] = {"taskProperties": [{**task_of(self.definition), **own, "containers": containers}]}
        else:
            out["container"] = {**self.containers()[0], **own}
        return out


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _matches(pattern: str, text: str) -> bool:
    """A pattern may end with * only. Nothing fits what is not there."""
    if pattern.endswith("*"):
        return bool(text) and text.startswith(pattern[:-1])
    return text == pattern


def new_job(
    request: dict[str, Any], definition: dict[str, Any], queue: str, region: str, known: dict[str, Job]
) -> tuple[Job, list[Job]]:
    """A job with the jobs that are run: the children of an array, else itself. known: all jobs by their ids. Raises Refusal."""
    number, size = str(uuid.uuid4()), request.get("arrayProperties", {}).get("size", 0)
    vcpus = sum(size_of(one)[0] for one in overridden(request, definition))
    job = Job(number, None, request, definition, queue, region, vcpus, status="PENDING")
    job.children = [Job(f"{number}:{i}", i, request, definition, queue, region, vcpus) for i in range(size)]
    for need in request.get("dependsOn", []):
        _add_need(job, need, known)
    for child in job.children:
        child.needs += job.needs
    for one in (run := job.children or [job]):
        one.status = "PENDING" if one.needs else "RUNNABLE"
    return job, run


def _add_need(job: Job, need: dict[str, str], known: dict[str, Job]) -> None:
    kind, other = need.get("type"), known.get(need.get("jobId", ""))
    if kind and not job.children:
        raise refused(f"{kind} dependencies are for array jobs")
    if kind == "SEQUENTIAL" and "jobId" not in need:
        for before, after in zip(job.children, job.children[1:], strict=False):
            after.needs.append(before)
    elif other is None or kind == "SEQUENTIAL":
        raise refused(f"dependsOn {need.get('jobId')} {kind or ''} is not valid")
    elif kind == "N_TO_N":
        if len(other.children) != len(job.children):
            raise refused("N_TO_N needs an array job of the same size")
        for one, before in zip(job.children, other.children, strict=True):
            one.needs.append(before)
    else:
        job.needs.append(other)
