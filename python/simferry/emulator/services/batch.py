"""AWS Batch: its operations, the order in which jobs run, and what becomes of those that can't."""

import collections
import threading
import time
from collections.abc import Callable
from typing import Any

from ...aws.limits import RequestRefused, check_request
from ..batch_jobs import ENDED, WAITING, Attempts, Job, new_job
from ..batch_units import Definitions, Environments, check_timeout, page_of, refused, task_of
from ..calls import Call, Refusal
from ..faults import Faults
from ..machine import Machine

LONGEST_SUBMISSION = 30 * 1024
MOST_CHILDREN = 10_000
_LIMITED = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"


class Batch:
    """has_role: whether ECS may assume a role. environment: variables by which containers find the emulator and their role."""

    def __init__(
        self,
        faults: Faults,
        machine: Machine,
        has_role: Callable[[str], bool],
        clients_of: Callable[[str], Callable[..., Any]],
        environment: Callable[[str, str], dict[str, str]],
        on_event: Callable[[str], None],
    ) -> None:
        self.faults, self.machine, self.has_role, self.on_event = faults, machine, has_role, on_event
        self.attempts = Attempts(machine, faults, clients_of, environment, on_event)
        self.units, self.definitions = Environments(self._is_busy), Definitions()
        self.jobs: dict[str, Job] = {}  # by id, parents and children
        self.children: dict[str, list[Job]] = {}  # by the parent's id
        self._runnable: collections.deque[Job] = collections.deque()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._over = False
        self._operations: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "CancelJob": self._cancel,
            "CreateComputeEnvironment": self.units.create_environment,
            "CreateJobQueue": self.units.create_queue,
            "DeleteComputeEnvironment": self.units.delete_environment,
            "DeleteJobQueue": self.units.delete_queue,
            "DeregisterJobDefinition": self.definitions.deregister,
            "DescribeComputeEnvironments": self.units.describe_environments,
            "DescribeJobDefinitions": self.definitions.describe,
            "DescribeJobQueues": self.units.describe_queues,
            "DescribeJobs": self._describe,
            "ListJobs": self._list,
            "RegisterJobDefinition": self._register,
            "SubmitJob": self._submit,
            "TerminateJob": self._terminate,
            "UpdateComputeEnvironment": self.units.update_environment,
            "UpdateJobQueue": self.units.update_queue,
        }

    def answers(self, call: Call) -> bool:
        return call.service == "batch"

    def answer(self, call: Call) -> dict[str, Any]:
        try:
            check_request("batch", call.operation, call.parameters)
        except RequestRefused as error:
            raise refused(error.message) from None
        with self._lock:
            found = self._operations[call.operation](call.parameters, call.region)
        if call.operation == "SubmitJob" and self.faults.loses_answer():
            raise Refusal("ServerException", "simferry's emulator lost the answer", 500)
        return found

    def stop(self, seconds: float) -> None:
        with self._changed:
            self._over = True
            for job in self.jobs.values():
                if not job.over:
                    job.terminated = job.terminated or "the emulator ends"
            self._changed.notify_all()
        self.machine.cores.wake()
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _is_busy(self, queue: str) -> bool:
        return any(job.queue == queue and not job.over for job in self.jobs.values() if not job.array)

    # ---- submitting ----

    def _register(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        task = task_of(request) if {"containerProperties", "ecsProperties"} & set(request) else {}
        for name in ("jobRoleArn", "taskRoleArn", "executionRoleArn"):
            if (role := task.get(name)) and not self.has_role(role):
                raise refused(f"Role {role} can't be assumed by ecs-tasks.amazonaws.com")
        return self.definitions.register(request, region)

    def _submit(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        import json

        if len(json.dumps(request)) > LONGEST_SUBMISSION:
            raise refused("Request is larger than 30 KiB")
        queue = self.units.queue(request["jobQueue"], region)
        if queue["state"] != "ENABLED":
            raise refused(f"Job queue {queue['jobQueueArn']} is DISABLED and does not take jobs")
        definition = self.definitions.find(request["jobDefinition"], region)
        if definition["status"] != "ACTIVE":
            raise refused(f"JobDefinition {request['jobDefinition']} is not active")
        if self.units.on_fargate(queue) != ("FARGATE" in definition.get("platformCapabilities", [])):
            raise refused("The job definition's platformCapabilities do not fit the job queue's compute environments")
        size = request.get("arrayProperties", {}).get("size")
        if size is not None and not 2 <= size <= MOST_CHILDREN:
            raise refused(f"arrayProperties.size must be between 2 and {MOST_CHILDREN}")
        for one in request.get("dependsOn", []):
            if one.get("type") or one.get("jobId") not in self.jobs:
                raise refused("simferry's emulator has dependencies on other jobs only, by their id")
        check_timeout(request)
        job, children = new_job(request, definition, queue["jobQueueArn"], region)
        self.jobs |= {one.id: one for one in (job, *children)}
        if children:
            self.children[job.id] = children
        for one in children or [job]:
            one.no_capacity = not self.faults.has_capacity()
            one.status = "RUNNABLE" if not request.get("dependsOn") else "PENDING"
            self._runnable.append(one)
        job.status = "PENDING" if children else job.status
        self.on_event(f"{request['jobName']}  accepted{f', {size} children' if size else ''}")
        self._start_threads()
        self._changed.notify_all()
        return {"jobArn": job.arn, "jobName": request["jobName"], "jobId": job.id}

    # ---- running ----

    def _start_threads(self) -> None:
        while len(self._threads) < self.machine.cores.count:
            name = f"batch {len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self.attempts.run(job)
            with self._changed:
                if job.status == "RUNNABLE":
                    self._runnable.append(job)
                self._changed.notify_all()

    def _next(self) -> Job | None:
        """The next job that can run; None when the emulator ends."""
        with self._changed:
            while not self._over:
                for _ in range(len(self._runnable)):
                    job = self._runnable.popleft()
                    if job.cancelled or job.terminated:
                        job.end("FAILED", job.cancelled or job.terminated)
                    elif self._ready(job):
                        return job
                    else:
                        self._runnable.append(job)
                self._changed.wait(0.5)
            return None

    def _ready(self, job: Job) -> bool:
        """Whether a job can start. One that can't for too long is ended where its queue says so."""
        needed = [self._status(self.jobs[one["jobId"]]) for one in job.request.get("dependsOn", [])]
        if "FAILED" in needed:
            job.cancelled = "Dependent Job failed"
            return False
        if any(status != "SUCCEEDED" for status in needed):
            return False
        job.status = "RUNNABLE"
        if time.time() - job.created < self.faults.start_seconds:
            return False
        queue = self.units.queues.get(job.queue, {})
        disabled = all(
            self.units.environments[one["computeEnvironment"]]["state"] == "DISABLED"
            for one in queue.get("computeEnvironmentOrder", [])
            if one["computeEnvironment"] in self.units.environments
        )
        if job.no_capacity or disabled:
            for rule in queue.get("jobStateTimeLimitActions", []):
                late = time.time() - job.created > rule["maxTimeSeconds"] * self.faults.pace
                if late and rule["reason"] == _LIMITED:
                    job.cancelled = _LIMITED
            return False
        return True

    # ---- ending ----

    def _concerned(self, request: dict[str, Any]) -> list[Job]:
        job = self.jobs.get(request["jobId"])
        if job is None:
            return []
        return [one for one in self.children.get(job.id, [job]) if not one.over]

    def _cancel(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        for job in self._concerned(request):
            if job.status in WAITING:  # others go on
                job.cancelled = request["reason"]
        self._changed.notify_all()
        return {}

    def _terminate(self, request: dict[str, Any], _: str) -> dict[str, Any]:
        for job in self._concerned(request):
            job.terminated = request["reason"]
        self._changed.notify_all()
        self.machine.cores.wake()
        return {}

    # ---- looking ----

    def _status(self, job: Job) -> str:
        """The state of a job; that of an array follows from its children."""
        if not job.array or job.over:
            return job.status
        children = self.children[job.id]
        if all(one.over for one in children):
            bad = any(one.status == "FAILED" for one in children)
            job.started = min((one.started for one in children if one.started), default=0.0)
            job.end("FAILED" if bad else "SUCCEEDED", "Array Child Job failed" if bad else "")
            job.stopped = max(one.stopped for one in children)
        return job.status

    def _describe(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        if len(request["jobs"]) > 100:
            raise refused("At most 100 jobs can be described at once")
        out = []
        for name in request["jobs"]:
            job = self.jobs.get(name.rpartition("job/")[2])
            if job is None or job.region != region:
                continue
            self._status(job)
            one = job.describe()
            if job.array:
                counts = collections.Counter(child.status for child in self.children[job.id])
                names = (*WAITING, "STARTING", "RUNNING", *ENDED)
                one["arrayProperties"] = {"size": job.array, "statusSummary": {name: counts[name] for name in names}}
            elif job.index is not None:
                one["arrayProperties"] = {"index": job.index}
            out.append(one)
        return {"jobs": out}

    def _list(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        filters = request.get("filters", [])
        if len(filters) > 1 or sum(name in request for name in ("jobQueue", "arrayJobId", "multiNodeJobId")) != 1:
            raise refused(
                "Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given, and at most one filter"
            )
        shown = time.time() - self.faults.list_lag_seconds
        if "arrayJobId" in request:
            found = self.children.get(request["arrayJobId"], [])
        else:
            queue = self.units.queue(request["jobQueue"], region)["jobQueueArn"]
            found = [
                job for job in self.jobs.values() if job.index is None and job.queue == queue and job.created <= shown
            ]
        if filters:
            found = [job for job in found if _fits(job, filters[0])]
            return page_of([self._summary(job) for job in reversed(found)], request, 100, "jobSummaryList")
        wanted = request.get("jobStatus", "RUNNING")
        return page_of(
            [self._summary(job) for job in found if self._status(job) == wanted], request, 1000, "jobSummaryList"
        )

    def _summary(self, job: Job) -> dict[str, Any]:
        self._status(job)
        return job.summary()


def _fits(job: Job, asked: dict[str, Any]) -> bool:
    texts = [str(text) for text in asked["values"]]
    if asked["name"] == "JOB_NAME":
        name = job.request["jobName"].lower()
        return any(name.startswith(t[:-1].lower()) if t.endswith("*") else name == t.lower() for t in texts)
    if asked["name"] == "JOB_DEFINITION":
        own = job.definition["jobDefinitionArn"].rpartition("/")[2]
        return any(
            own.startswith(t[:-1]) if t.endswith("*") else t in (own, job.definition["jobDefinitionArn"]) for t in texts
        )
    if asked["name"] == "BEFORE_CREATED_AT":
        return job.created * 1000 < float(texts[0])
    if asked["name"] == "AFTER_CREATED_AT":
        return job.created * 1000 > float(texts[0])
    raise refused(f"unknown filter {asked['name']}")
