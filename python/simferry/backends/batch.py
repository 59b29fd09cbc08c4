"""The batch backend: the jobs of a plan are the children of one array job of AWS Batch.

Batch has no token that makes a submission unique, and names are not unique. So a plan, which is in the store before it is submitted,
is looked for by its array's name, and each child claims its part of the plan. A second array of a plan, which can only come about
where the service's list lags behind, computes nothing.
"""

import contextlib
import datetime
import hashlib
import math
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from ..aws import logs, session, stacks
from ..aws.contracts import batch as contract
from ..aws.instances import Instance
from ..errors import BudgetReached, UsageError
from ..hints import BackendOptions, Command
from ..images.config import ImageConfig, config_here, config_in_ecr, entrypoint_of
from ..images.find import Image, find_or_push, on_this_machine
from ..store.keys import JobId
from ..store.objects import Objects
from ..store.run_folder import RunFolder
from ..sweep.options import SECONDS_OF_A_JOB, BatchOptions, check
from . import batch_requests as requests
from .base import Cursor, Foreground, JobLimits, Line, Lines, Machine, Prepared, Report, Traits
from .batch_children import DESCRIBED, Array, children_of, described, seconds_before, seconds_of
from .batch_costs import dollars_an_hour, machine
from .batch_queue import QUEUES, check_queue, check_size, queue_named, why_waiting
from .in_image import in_image_if_here
from .names import job_name, tag_of
from .service import MeteredService, NotNow, Request, ServiceJob, emulated

_THROTTLED = ("TooManyRequestsException", "ThrottlingException", "RequestLimitExceeded")
_LONGEST_NAME = 80  # characters of a run's id in the names of its arrays
_KEPT = datetime.timedelta(days=6)  # the service keeps jobs for 7 days after their end
_MESSAGES, _LONGEST_MESSAGE = 10, 1 << 16  # of children that failed; bytes


class Batch(MeteredService):
    """Queue, roles, bucket and repository are those of a stack of simferry infra. Options: see sweep/options.py."""

    name = "batch"
    service = "AWS Batch"
    service_error = session.AwsError
    kill_seconds = contract.KILL_SECONDS

    def __init__(self, options: BatchOptions) -> None:
        super().__init__()
        check_size(requests.vcpus(options), requests.mebibytes(options), requests.on_fargate(options))
        self.options, self.budget, self.image = options, options.budget, options.image
        self.instances = [Instance("batch", max(1, int(requests.vcpus(options))), 0.0)]
        self._image: Image | None = None
        self._stopped: set[str] = set()
        self._arrays: dict[str, list[Array]] = {}  # of plans, by name: one, or several where the list lagged behind
        self._queue_is_gone = False
        self._lost: dict[str, float] = {}  # seconds of attempts whose machine was lost, by the service's id of the job
        self._messages: dict[str, str] = {}  # of workers that could not go on, by job

    @cached_property
    def traits(self) -> Traits:
        given = self.options
        return Traits(
            max(1, int(requests.vcpus(given))),
            given.jobs or 1,
            1,
            float(int(given.max_runtime or SECONDS_OF_A_JOB)),
            contract=True,
            outlives_driver=True,
            poll_seconds=1.0 if emulated("batch") else 15.0,
            remote_logs=True,
            carry_files=True,
            service=self.service,
        )

    # ---- before anything starts ----

    @property
    def _stack(self) -> Mapping[str, str]:
        return stacks.outputs(self.options.stack)

    @property
    def _batch_stack(self) -> Mapping[str, str]:
        return stacks.outputs_if_there(f"{self.options.stack or stacks.default_name()}-batch")

    def default_store(self) -> str:
        if not (store := self._stack.get("Store")):
            raise self._no_stack("store")
        return store

    def _no_stack(self, what: str) -> UsageError:
        name = self.options.stack or stacks.default_name()
        return UsageError(
            f"the batch backend needs a {what}, and there is no stack {name} with Batch in {session.region()}",
            stacks.on_stack("infra deploy", name) + "  makes queue, roles and bucket.",
        )

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        self.check_store(store)
        size = requests.vcpus(self.options)
        stack, batch = self._stack, self._batch_stack
        queue = self.options.queue or batch.get(QUEUES[self.options.on or "spot"])
        if not queue:
            raise self._no_stack("job queue")
        for key, what in (("BatchJobRole", "role"), ("ExecutionRole", "execution role"), ("LogGroup", "log group")):
            if key not in batch:
                raise self._no_stack(what)
        machines = check_queue(queue, size, requests.on_fargate(self.options)).machines
        if self.budget is not None:
            dollars_an_hour(replace(self.options, machines=machines))  # raises an error if one of them has no price
        found = self._image = find_or_push(self.image_for(spec), on_progress, stack.get("Repository", ""))
        kept = {
            "image": found.uri, "queue": queue, "machines": machines, "job_role": batch["BatchJobRole"],
            "execution_role": batch["ExecutionRole"], "log_group": batch["LogGroup"],
            "stack": self.options.stack or stacks.default_name(), **self._about(found, spec),
        }  # fmt: skip
        return Prepared(kept, found.digest, self.budget_note())

    def _config(self, found: Image, name: str) -> ImageConfig | None:
        """What the image says of itself; None if that is not known."""
        config = config_here(found.digest) if found.local else None
        if not config and found.uri:
            config = config_in_ecr(found.uri, contract.ARCHITECTURE)
        if config and config.architecture != contract.ARCHITECTURE:
            raise UsageError(
                f"the image {name} is for {config.architecture}, and the machines of AWS Batch are {contract.ARCHITECTURE}",
                Command("image build", "FOLDER", platform=f"linux/{contract.ARCHITECTURE}") + "  builds one for them.",
            )
        return config

    def _about(self, found: Image, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Options that follow from the image."""
        name = self.image_for(spec)
        config = self._config(found, name)
        if config and not config.runs:
            raise requests.no_program(name, config.entrypoint)
        entrypoint = shlex.join(config.entrypoint) if config else ""
        about = {"entrypoint": entrypoint, **({"image_id": found.digest} if found.local else {})}
        if config and config.carries:
            return about
        return {**about, "carrier_image": self._carrier(name, 1)}

    def _carrier(self, name: str, containers: int) -> str:
        """The image of the containers that carry files, so many beside this one."""
        size = requests.vcpus(self.options), requests.mebibytes(self.options)
        if requests.on_fargate(self.options) and not contract.has_room_for_carrier(*size, containers):
            carry = "another container carries" if containers == 1 else "other containers carry"
            raise UsageError(
                f"the image {name} can't bring and send its files itself, so that {carry} them, and on Fargate "
                f"{size[0]:g} vCPUs with {size[1] / 1024:g} GB are too few for {'both' if containers == 1 else 'all'}",
                BackendOptions("batch", vcpus=0.5 * containers, memory=f"{2 * containers}G"),
            )
        return os.environ.get("SIMFERRY_CARRIER_IMAGE") or contract.PYTHON_IMAGE

    def known_image(self, spec: Mapping[str, Any], in_ecr: bool) -> Image | None:
        name = self.image_for(spec)
        return on_this_machine(name) or (find_or_push(name, into=self._stack.get("Repository", "")) if in_ecr else None)

    def machine(self, spec: Mapping[str, Any], image: Image | None, region: str) -> Machine:
        """For a forecast. Without credentials nothing is known of the queue."""
        about: dict[str, Any] = self._about(image, spec) if image else {}
        options = replace(self.options, **about)
        most = math.inf
        with contextlib.suppress(ImportError, session.AwsError):
            if queue := options.queue or {**self._stack, **self._batch_stack}.get(QUEUES[options.on or "spot"]):
                most, machines = check_queue(queue, requests.vcpus(options), requests.on_fargate(options))
                options = replace(options, machines=machines)
        return machine(options, region, most)

    def foreground(self, verb: str) -> Foreground:
        image = (self._image.local if self._image else None) or self.options.image_id or self.image or ""
        return in_image_if_here(image, verb, self.traits.seconds_at_most)

    # ---- starting ----

    def start(self, request: Request) -> None:
        """Submit the array of the request's plan, unless it is there; its other jobs then have started too."""
        run, plan = request.run, request.plan
        name = array_name(run, plan.number)
        if name in self._arrays or self._find(name):
            return
        self._check_queue_of(run)
        revision = self._revision(run)
        key = Objects(run.address).kms_key
        asked = requests.submission(self.options, run, plan, name, revision, session.region(), key)
        self._arrays[name] = [Array(self._submitted_as(asked), plan.jobs)]

    def _submitted_as(self, asked: Mapping[str, Any]) -> str:
        """Submit a job. Returns its id. Raises NotNow."""
        from botocore.exceptions import ClientError

        with session.asking("AWS Batch"):
            try:
                batch = session.client("batch", attempts=1)  # a second attempt could submit it again
                return str(batch.submit_job(**asked)["jobId"])
            except ClientError as error:
                if error.response["Error"].get("Code") in _THROTTLED:
                    raise NotNow("AWS Batch, which is throttling", 1.0 if emulated("batch") else 5.0) from None
                raise

    def _find(self, name: str) -> bool:
        """Look for arrays and plain jobs of this name; with * at its end, of names that begin so. Whether there are any."""
        found: dict[str, list[Array]] = {}
        for one in self._summaries(name):
            array = Array(one["jobId"], one.get("arrayProperties", {}).get("size", 1))
            found.setdefault(one["jobName"], []).append(array)
        self._arrays |= found
        return bool(found)

    def _summaries(self, name: str) -> Iterator[dict[str, Any]]:
        """What the service lists of them."""
        from botocore.exceptions import ClientError

        pages = session.client("batch").get_paginator("list_jobs")
        with session.asking("AWS Batch"):
            try:
                for page in pages.paginate(
                    jobQueue=self.options.queue, filters=[{"name": "JOB_NAME", "values": [name]}]
                ):
                    yield from page["jobSummaryList"]
            except ClientError as error:
                if error.response["Error"].get("Code") != "ClientException" or queue_named(self.options.queue or ""):
                    raise
                self._queue_is_gone = True  # with all its jobs

    def _check_queue_of(self, run: RunFolder) -> None:
        if self._queue_is_gone:
            raise UsageError(
                f"the job queue {(self.options.queue or '').rpartition('/')[2]} of run {run.id} is gone",
                "Jobs of a run go to one queue. A new run with the same seed takes over what this one has computed.",
            )

    def _revision(self, run: RunFolder) -> str:
        """The job definition of these options, registered if it is not there. It is named by its content."""
        carrier = self.options.carrier_image
        made = requests.definition(self.options, run.record.simulation, entrypoint_of(carrier) if carrier else ())
        name = f"simferry-{hashlib.sha256(contract.as_json(made).encode()).hexdigest()[:20]}"
        batch = session.client("batch")
        with session.asking("AWS Batch"):
            found = batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")["jobDefinitions"]
            if found:
                return str(found[0]["jobDefinitionArn"])
            return str(batch.register_job_definition(jobDefinitionName=name, **made)["jobDefinitionArn"])

    # ---- looking ----

    def list(self, run: RunFolder) -> dict[str, ServiceJob]:
        """All jobs of a run. Of an array the service counts its children by state; as few of them as possible are listed."""
        begin = array_name(run, "")
        self._find(f"{begin}*")
        mine = {one.id: name for name, arrays in self._arrays.items() if name.startswith(begin) for one in arrays}
        out: dict[str, ServiceJob] = {}
        waiting = 0
        for job in described([*mine]):
            plan = mine[job["jobId"]].rpartition("-")[2]
            children = children_of(job)
            self._add_messages(run, plan, children.jobs)
            for number, child in children.jobs.items():
                name = job_name(run, JobId.of(plan, number))
                out[name] = _of_two(out[name], child) if name in out else child
            if children.runnable and not children.moving:
                waiting += children.runnable
                self.waits_for = why_waiting(self.options.queue or "", children.waiting)
        if not waiting and not self._waiting:
            self.waits_for = ""
        return out

    def _add_messages(self, run: RunFolder, plan: str, children: dict[int, ServiceJob]) -> None:
        """Why workers could not go on, in their own words, which the carrier has left in the store: of the first that failed."""
        failed = [(number, JobId.of(plan, number)) for number, one in children.items() if _may_have_said(one)][
            :_MESSAGES
        ]
        missing = [job for _, job in failed if job not in self._messages]
        if missing:
            objects = Objects(run.address)
            said = dict(objects.find_many([f"jobs/{job}/message" for job in missing], _LONGEST_MESSAGE))
            for job in missing:
                self._messages[job] = said.get(f"jobs/{job}/message", b"").decode(errors="replace")
        for number, job in failed:
            children[number] = replace(children[number], message=self._messages[job])

    def stop(self, name: str) -> None:
        """Stop the array of which this job is a child: a plan is stopped as a whole."""
        for identity, _ in self._arrays_of(name):
            if identity not in self._stopped:
                with session.asking(f"job {identity}"):
                    session.client("batch").terminate_job(jobId=identity, reason=contract.CANCELLED)
                self._stopped.add(identity)

    def _arrays_of(self, name: str) -> Sequence[tuple[str, str]]:
        """The ids of the arrays of a job, each with the job's own. name: as in the base class."""
        found = re.search(r"-([0-9a-f]{10}-[0-9]{4,9})-([0-9]{4,9})$", name)
        arrays = [
            one for array, some in self._arrays.items() if found and array.endswith(f"-{found[1]}") for one in some
        ]
        return [(one.id, one.id if one.size == 1 else f"{one.id}:{int(found[2]) - 1}") for one in arrays if found]

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        self._list(run, 60)  # finds the arrays
        return super().read_logs(run, jobs, after)

    def lines(self, names: Sequence[str], after: Cursor) -> tuple[Lines, Cursor]:
        """The lines of jobs, from the log streams of their attempts."""
        cursor, out, client = dict(after), [], session.client("logs")
        by_id = {own: name for name in names for _, own in self._arrays_of(name)}
        for job in described([*by_id]):
            for stream in _streams_of(job):
                texts = logs.new_lines(client, self.options.log_group or "", stream, cursor)
                out += [Line(by_id[job["jobId"]], "", f"{text}\n") for text in texts]
        return out, cursor

    # ---- money ----

    def job_limits(self, run: RunFolder, jobs: int) -> JobLimits:
        """Each attempt counts at its longest: the service keeps the limit, whether anybody watches or not."""
        self._check_queue_of(run)  # before there is a plan; a run that goes on was looked for in its queue
        limit = self.traits.seconds_at_most
        if self.budget is not None:
            hourly = jobs * self._attempts * dollars_an_hour(self.options)
            left = self.budget - self._cost(run, committed=True)
            limit = min(limit, left / hourly * 3600 - self.kill_seconds)
            if limit < contract.LEAST_SECONDS:
                least = (contract.LEAST_SECONDS + self.kill_seconds) / 3600 * hourly
                attempts = f" with {self._attempts} attempts each" if self._attempts > 1 else ""
                need = round(1.05 * (self.budget - left + least) + 0.005, 2)
                again = run.command("resume", budget=need) if run.plans() else BackendOptions("batch", budget=need)
                raise BudgetReached(
                    f"the budget of ${self.budget:g} does not allow {jobs} job{'s' if jobs > 1 else ''} of run {run.id}{attempts}: "
                    f"${self.budget - left:.2g} are spent or promised, and a minute of all, and {self.kill_seconds} s to end, "
                    f"takes ${least:.2g}",
                    again + ", or fewer jobs or attempts.",
                )
        return JobLimits(float(int(limit)), ["batch"], 1)

    @property
    def _attempts(self) -> int:
        return self.options.attempts or requests.ATTEMPTS

    def _cost(self, run: RunFolder, committed: bool) -> float:
        """committed: jobs that have not ended count as if all their attempts took all their time, and of others each attempt is asked."""
        known = self._list(run, 60) if run.plans() else {}
        now, dollars = datetime.datetime.now(datetime.timezone.utc), 0.0
        for plan in run.plans():
            options = check(BatchOptions, plan.backend_options)  # of this plan: a resume may have changed the size
            attempts = options.attempts or requests.ATTEMPTS
            longest = attempts * ((plan.limit or self.traits.seconds_at_most) + self.kill_seconds)
            # by the service: nobody knows how long its jobs took
            forgotten = now - plan.created > _KEPT or self._queue_is_gone
            seconds, ended, seen = 0.0, [], []
            for job in plan.job_ids:
                name = job_name(run, job)
                one = known.get(name)
                if one is None and not forgotten and job not in self._submitted:
                    continue
                if committed and (one is None or one.ended is None):
                    seconds += longest
                elif committed:
                    ended += [own for _, own in self._arrays_of(name)]
                elif one is not None:
                    seconds += max(0.0, ((one.ended or now) - one.created).total_seconds())
                    seen += [(own, one.ended is not None) for _, own in self._arrays_of(name)]
                elif forgotten:
                    seconds = math.nan
            seconds += sum(map(seconds_of, described(ended))) + self._lost_seconds(seen if attempts > 1 else [])
            dollars += seconds / 3600 * dollars_an_hour(options)
        return dollars

    def _lost_seconds(self, jobs: Sequence[tuple[str, bool]]) -> float:
        """The time of jobs' attempts whose machine was lost. Where one request can't tell of all, the others are as those it tells of.

        jobs: ids, and whether they have ended."""
        if not jobs:
            return 0.0
        some = dict(jobs[:: math.ceil(len(jobs) / DESCRIBED)])
        asked = [own for own, over in some.items() if not over or own not in self._lost]
        self._lost |= {job["jobId"]: seconds_before(job) for job in described(asked)}
        return len(jobs) * sum(self._lost.get(own, 0.0) for own in some) / len(some)


def array_name(run: RunFolder, plan: str) -> str:
    """The name of a plan's array; without a plan what the names of all arrays of the run begin with."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", run.id).strip("-")[:_LONGEST_NAME]
    return f"{name}-{tag_of(run)}-{plan}"


def _of_two(one: ServiceJob, other: ServiceJob) -> ServiceJob:
    """The state of a job of two arrays, one of which does nothing: it runs as long as one of the two does."""
    order = ("running", "failed", "stopped", "succeeded")
    return min(one, other, key=lambda job: order.index(job.state))


def _may_have_said(job: ServiceJob) -> bool:
    """Whether a job ended in a way in which its worker may have left a message."""
    return job.state == "failed" and not job.cut_short and not job.for_all


def _streams_of(job: Mapping[str, Any]) -> Iterator[str]:
    """The log streams of a job's attempts, the latest last."""
    last = [{"container": job.get("container", {}), **job.get("ecsProperties", {})}]
    for attempt in [*job.get("attempts", []), *last]:
        tasks = [container for task in attempt.get("taskProperties", []) for container in task["containers"]]
        for container in tasks or [attempt.get("container", {})]:
            if container.get("logStreamName"):
                yield container["logStreamName"]
