"""AWS Batch: its operations, the order in which jobs run, and what becomes of those that can't."""

import collections
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from ...aws.limits import RequestRefused, check_request
from ..batch_definitions import Definitions, check_submission, on_fargate
from ..batch_environments import NO_CAPACITY, Environments, page_of, refused
from ..batch_jobs import WAITING, Job, new_job
from ..batch_tasks import Attempts
from ..calls import Call, Refusal
from ..faults import Faults
from ..machine import Machine

MOST_AT_ONCE = 50  # jobs of CancelJobs and TerminateJobs
PAGE, PAGE_OF_FILTER = 1000, 100
_NO_CAPACITY = f"{NO_CAPACITY} - Service cannot fulfill the capacity requested for instance type [any]"


class Batch:
    """has_role: whether ECS may assume a role. clients_of, environment, forget: as of Attempts."""

    def __init__(
        self,
        faults: Faults,
        machine: Machine,
        has_role: Callable[[str], bool],
        clients_of: Callable[[str], Callable[..., Any]],
        environment: Callable[[str, str, Callable[[], dict[str, Any]]], dict[str, str]],
        forget: Callable[[dict[str, str]], None],
        on_event: Callable[[str], None],
    ) -> None:
        self.faults, self.machine, self.on_event = faults, machine, on_event
        self.attempts = Attempts(machine, faults, clients_of, environment, forget, on_event)
        self.environments, self.definitions = Environments(self._end_jobs), Definitions(has_role)
        self.jobs: dict[str, Job] = {}  # by id, parents and children
        self._waiting: collections.deque[Job] = collections.deque()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._over = False
        self._operations: dict[str, Callable[[dict[str, Any], str], dict[str, Any]]] = {
            "CancelJob": self._cancel,
            "CancelJobs": lambda request, region: self._each(self._cancel, request, region),
            "CreateComputeEnvironment": self.environments.create_environment,
            "CreateJobQueue": self.environments.create_queue,
            "DeleteComputeEnvironment": self.environments.delete_environment,
            "DeleteJobQueue": self.environments.delete_queue,
            "DeregisterJobDefinition": self.definitions.deregister,
            "DescribeComputeEnvironments": self.environments.describe_environments,
            "DescribeJobDefinitions": self.definitions.describe,
            "DescribeJobQueues": self.environments.describe_queues,
            "DescribeJobs": self._describe,
            "ListJobs": self._list,
            "RegisterJobDefinition": self.definitions.register,
            "SubmitJob": self._submit,
            "TerminateJob": self._terminate,
            "TerminateJobs": lambda request, region: self._each(self._terminate, request, region),
            "UpdateComputeEnvironment": self.environments.update_environment,
            "UpdateJobQueue": self.environments.update_queue,
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
        self.attempts.kill_seconds = 1
        with self._changed:
            self._over = True
            self._end(self.jobs.values(), "the emulator ends")
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _end_jobs(self, queue: str) -> None:
        self._end((job for job in self.jobs.values() if job.queue == queue), "Job Queue was deleted")

    # ---- submitting ----

    def _submit(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        queue = self.environments.queue(request["jobQueue"], region)
        if queue["state"] != "ENABLED":
            raise refused(f"Job queue {queue['jobQueueArn']} is DISABLED and does not take jobs")
        definition = self.definitions.find(request["jobDefinition"], region)
        if definition["status"] != "ACTIVE":
            raise refused(f"JobDefinition {request['jobDefinition']} is not active")
        if self.environments.on_fargate(queue) != on_fargate(definition):
            raise refused("The job definition's platformCapabilities do not fit the job queue's compute environments")
        check_submission(request, definition)
        job, run = new_job(request, definition, queue["jobQueueArn"], region, self.jobs)
        self.jobs |= {one.id: one for one in (job, *job.children)}
        for one in run:
            one.no_capacity = not self.faults.has_capacity()
            self._waiting.append(one)
        self.on_event(f"{request['jobName']}  accepted{f', {len(run)} children' if job.children else ''}")
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
                if not job.over:  # it is tried again
                    self._waiting.append(job)
                self._changed.notify_all()

    def _next(self) -> Job | None:
        """The next job that can run; None when the emulator ends."""
        with self._changed:
            while not self._over:
                for _ in range(len(self._waiting)):
                    job = self._waiting.popleft()
                    if job.terminated:
                        job.end("FAILED", job.terminated)
                    elif job.may_start() and self._has_place(job):
                        return job
                    elif not job.over:
                        self._waiting.append(job)
                self._changed.wait(0.5)
            return None

    def _has_place(self, job: Job) -> bool:
        """Whether a compute environment starts the job. One that waits for too long is ended where its queue says so."""
        now, job.status = time.time(), "RUNNABLE"
        if now - job.created < self.faults.start_seconds:
            return False
        queue = self.environments.queues[job.queue]
        job.place, job.reason = self.environments.place_for(queue, job.vcpus)
        if job.place and job.no_capacity:
            job.place, job.reason = "", _NO_CAPACITY
        if job.place:
            job.blocked = 0.0
            return True
        job.blocked = job.blocked or now
        for rule in queue["jobStateTimeLimitActions"]:
            late = now - job.blocked > rule["maxTimeSeconds"] * self.faults.pace
            if late and job.reason.startswith(rule["reason"]):
                job.cancelled = f"Canceled by JobStateTimeLimit action due to reason: {rule['reason']}"
                job.end("FAILED", job.cancelled)
                break
        return False

    # ---- ending ----

    def _with_children(self, request: dict[str, Any], region: str) -> list[Job]:
        """A job, and an array's children; none if the job is not there, or has ended."""
        job = self.jobs.get(request["jobId"])
        if job is None or job.region != region or job.over:
            return []
        return [job, *(one for one in job.children if not one.over)]

    def _cancel(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        for job in self._with_children(request, region):
            if job.status in WAITING:  # others go on
                job.cancelled = request["reason"]
        self.machine.cores.wake()
        self._changed.notify_all()
        return {}

    def _terminate(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        self._end(self._with_children(request, region), request["reason"])
        return {}

    def _end(self, jobs: Iterable[Job], reason: str) -> None:
        for job in jobs:
            if not job.over:
                job.terminated = job.terminated or reason
        self.machine.cores.wake()
        self._changed.notify_all()

    def _each(
        self, end: Callable[[dict[str, Any], str], dict[str, Any]], request: dict[str, Any], region: str
    ) -> dict[str, Any]:
        if len(request["jobs"]) > MOST_AT_ONCE:
            raise refused(f"At most {MOST_AT_ONCE} jobs can be ended at once")
        for name in request["jobs"]:
            end({"jobId": name, "reason": request["reason"]}, region)
        return {"successful": request["jobs"], "errors": []}  # one that is not there counts as ended

    # ---- looking ----

    def _describe(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        if len(request["jobs"]) > 100:
            raise refused("At most 100 jobs can be described at once")
        found = [self.jobs.get(name.rpartition("job/")[2]) for name in request["jobs"]]
        return {"jobs": [job.describe() for job in found if job is not None and job.region == region]}

    def tagged(self, region: str) -> list[tuple[str, dict[str, str]]]:
        """ARN and tags of what is in a region. Of an array its children are no resources of their own."""
        with self._lock:
            units = [*self.environments.environments.items(), *self.environments.queues.items()]
            found = [(arn, one["tags"]) for arn, one in units if arn.split(":")[3] == region]
            found += self.definitions.tagged(region)
            jobs = [job for job in self.jobs.values() if job.region == region and job.index is None]
            return [*found, *((job.arn, job.request.get("tags", {})) for job in jobs)]

    def _list(self, request: dict[str, Any], region: str) -> dict[str, Any]:
        filters = request.get("filters", [])
        if "multiNodeJobId" in request:
            raise refused("simferry's emulator has no multi-node jobs")
        if ("jobQueue" in request) == ("arrayJobId" in request) or len(filters) > 1:
            raise refused("Exactly one of jobQueue and arrayJobId must be given, and at most one filter")
        if "arrayJobId" in request:
            array = self.jobs.get(request["arrayJobId"])
            found = array.children if array is not None and array.region == region else []
        else:
            queue, shown = (
                self.environments.queue(request["jobQueue"], region),
                time.time() - self.faults.list_lag_seconds,
            )
            found = [job for job in self.jobs.values() if job.index is None and job.queue == queue["jobQueueArn"]]
            found = [job for job in found if job.created <= shown]
            if filters:  # without effect on children; the latest first, of whatever state
                found = [job for job in reversed(found) if _fits(job, filters[0])]
                return page_of([job.summary() for job in found], request, PAGE_OF_FILTER, "jobSummaryList")
        wanted = request.get("jobStatus", "RUNNING")
        return page_of([job.summary() for job in found if job.state == wanted], request, PAGE, "jobSummaryList")


def _fits(job: Job, asked: dict[str, Any]) -> bool:
    """Whether a job is among those that a filter of ListJobs names."""
    kind, texts = asked.get("name"), [str(text) for text in asked.get("values", [])]
    if kind == "JOB_NAME":
        return any(_like(text.lower(), job.request["jobName"].lower()) for text in texts)
    if kind == "JOB_DEFINITION":  # a name means all of its revisions
        arn, name = job.definition["jobDefinitionArn"], job.definition["jobDefinitionName"]
        return any(text == arn or _like(text, name) for text in texts)
    if kind in ("BEFORE_CREATED_AT", "AFTER_CREATED_AT") and len(texts) == 1 and texts[0].isdecimal():
        asked_for, created = int(texts[0]), job.created * 1000
        return created < asked_for if kind == "BEFORE_CREATED_AT" else created > asked_for
    raise refused(f"The filter {kind} with the values {texts} is not valid")


def _like(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
