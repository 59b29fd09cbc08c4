"""Backends whose jobs are run by a service: the queue, the lag of the service's list, cancelling, and costs.

This machine keeps no list of jobs. A job's name has its run, plan and number, so the service's list shows from any machine which
jobs were submitted, and their states. A name can be used only once, so no job is submitted twice.
"""

import contextlib
import datetime
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from ..aws import session
from ..aws.instances import Instance
from ..aws.prices import REMEDY, START_UP_SECONDS, affordable_seconds, cost_so_far, prices
from ..errors import BudgetReached, NoAnswer, ServiceError, SimferryError, UsageError
from ..hints import BackendOptions, Option, Text
from ..store.keys import JobId
from ..store.records import PlanRecord
from ..store.run_folder import RunFolder
from ..store.steps import pending
from ..sweep.inputs import unchanged
from ..system.files import write_whole, writing
from ..words import are, counted
from .base import Cursor, JobLimits, JobState, Lines, Standing, Traits
from .names import job_name

LEAST_SECONDS = 60  # minimum run time of a job within a budget
_IMAGES = {"r": "simferry-r", "python": "simferry-python", "octave": "simferry-octave"}  # by language: default of image


class Request(NamedTuple):
    """A job to be started. name: its name in the service. job: plan-job. plan: the record, with the limits of its jobs."""

    name: str
    run: RunFolder
    job: str
    plan: PlanRecord


@dataclass(frozen=True)
class ServiceJob:
    """A job in the service's list.

    state: running, stopping, stopped, cancelled, succeeded or failed; what is stopped may have reached its time limit. reason: how it
    ended, in the service's words. message: in the worker's words, if it could not go on. cut_short: as in JobState. for_all: the reason
    why it did not run may be true of all jobs. billed: the seconds that an ended job is billed for, if the service says so. ran: those
    that it ran; on Spot machines they are more.
    """

    state: str
    created: datetime.datetime
    ended: datetime.datetime | None = None
    reason: str = ""
    message: str = ""
    cut_short: bool = False
    for_all: bool = False
    billed: float | None = None
    ran: float = 0.0


class NotNow(Exception):
    """The service starts no more jobs now. waits_for: what jobs wait for, in words. seconds: until the next attempt."""

    def __init__(self, waits_for: str, seconds: float) -> None:
        super().__init__(waits_for)
        self.waits_for, self.seconds = waits_for, seconds


class JobService(Protocol):
    """The four functions of a service. Each may raise ServiceError, and NoAnswer if the service can't be reached."""

    def start(self, request: Request) -> None:
        """Start a job, unless there is one of that name. Raises NotNow."""

    def list(self, run: RunFolder) -> dict[str, ServiceJob]:
        """All jobs of a run, by their names in the service. New jobs may be missing for a while."""

    def stop(self, name: str) -> None:
        """Stop a job. Does nothing if it has ended or does not exist."""

    def lines(self, names: Sequence[str], after: Cursor) -> tuple[Lines, Cursor]:
        """The lines that jobs have printed since `after` (empty: all lines). `job` of a line is the job's name in the service."""


class ServiceBackend(ABC):
    """Makes `submit`, `poll`, `cancel` and `read_logs` of a backend from the four functions of a JobService."""

    name: str
    service_error: type[ServiceError] = ServiceError

    def __init__(self) -> None:
        self.waits_for = ""
        self._waiting: list[str] = []
        self._submitted: set[str] = set()
        self._not_before = 0.0
        self._listed: tuple[float, dict[str, ServiceJob]] = (-math.inf, {})

    @property
    @abstractmethod
    def traits(self) -> Traits: ...

    @abstractmethod
    def start(self, request: Request) -> None: ...

    @abstractmethod
    def list(self, run: RunFolder) -> dict[str, ServiceJob]: ...

    @abstractmethod
    def stop(self, name: str) -> None: ...

    @abstractmethod
    def lines(self, names: Sequence[str], after: Cursor) -> tuple[Lines, Cursor]: ...

    # ---- start ----

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        self._waiting += jobs
        with contextlib.suppress(NoAnswer), self._noting_whether_jobs_started():
            self._begin(run)  # after a request without an answer the next poll tries again

    def _begin(self, run: RunFolder) -> None:
        """Start waiting jobs, as many as the service takes now."""
        if not self._waiting or time.monotonic() < self._not_before:
            return
        self.waits_for = ""
        try:
            for one in run.inputs.values():  # before each start, because jobs may wait for hours
                if one["place"]:
                    unchanged(one["place"], one["version"])
            plans = {plan.number: plan for plan in run.plans()}
            while self._waiting:
                job = self._waiting[0]
                number = JobId(job).plan
                plan = plans.get(number) or run.plan(number)  # raises an error if the plan is gone
                self.start(Request(job_name(run, job), run, job, plan))
                self._submitted.add(self._waiting.pop(0))
        except NotNow as wait:
            self.waits_for, self._not_before = wait.waits_for, time.monotonic() + wait.seconds
        except NoAnswer:  # the jobs stay in the queue
            raise
        except BaseException:
            self._waiting.clear()
            raise

    @contextlib.contextmanager
    def _noting_whether_jobs_started(self) -> Iterator[None]:
        try:
            yield
        except SimferryError as error:
            error.nothing_started = not (self._submitted or self._listed[1])
            raise

    # ---- watch ----

    def poll(self, run: RunFolder, jobs: Sequence[str], begin: bool = False) -> Standing:
        with self._noting_whether_jobs_started():
            if begin:
                self._begin(run)
            known = self.kept(run, self._list(run)) if jobs else {}
        plans = {plan.number: plan for plan in run.plans()}
        last = [*plans.values()][-1:]
        names = {job: job_name(run, job) for job in jobs}
        # a driver that was ended may have left plans whose jobs the service has never had
        to_come = pending(plans.values()) if jobs and not known.keys() >= set(names.values()) else set()
        if cancelled := [int(number) for number in to_come if run.is_cancelled(number)]:
            to_come = {number for number in to_come if int(number) > max(cancelled)}
        states = {}
        for job in jobs:
            number = JobId(job).plan
            plan = plans.get(number) or run.plan(number)  # raises an error if the plan is gone
            states[job] = self._state(run, job, known.get(names[job]), plan, number in to_come)
        active = bool(last) and self._active(run, last[0], known)
        return Standing(states, self.waits_for, self._dollars(run), active, self._dollars_saved(run))

    def _state(self, run: RunFolder, job: str, now: ServiceJob | None, plan: PlanRecord, to_come: bool) -> JobState:
        if now is None and job in self._submitted:  # the list lags behind
            return JobState("running")
        if now is None:  # jobs of earlier and of cancelled plans no longer start
            return JobState("pending" if to_come else "cancelled")
        refusal = None
        if now.state == "failed" and now.message:
            _leave_message(run, job, now.message)
        elif now.state == "failed" and now.for_all:
            text = f"{self.traits.service} could not run job {job} of run {run.id}: {now.reason}"
            refusal = self.service_error(text, run.command("logs"))
        state = "running" if now.state == "stopping" else now.state
        if state == "stopped":
            # 0.9, because the service counts from some time after a job's creation
            limit = plan.limit or self.traits.seconds_at_most
            ran_too_long = now.ended is not None and (now.ended - now.created).total_seconds() >= 0.9 * limit
            state = "failed" if ran_too_long else "cancelled"
        return JobState(state, now.cut_short or now.state == "stopped", now.reason, refusal)

    def kept(self, run: RunFolder, known: Mapping[str, ServiceJob]) -> Mapping[str, ServiceJob]:
        """Makes blocks of what ended jobs have left that write none themselves. Returns the jobs: one without its block yet goes on."""
        return known

    def _list(self, run: RunFolder, seconds_old: float = 0.0) -> dict[str, ServiceJob]:
        """The service's list of jobs. An answer is used again until it is `seconds_old`."""
        when, found = self._listed
        if time.monotonic() - when >= max(seconds_old, self.traits.poll_seconds / 2):
            found = self.list(run)
            self._listed = (time.monotonic(), found)
        return found

    def _forget_list(self) -> None:
        self._listed = (-math.inf, {})

    def _active(self, run: RunFolder, last: PlanRecord, known: Mapping[str, ServiceJob]) -> bool:
        times = [job.ended for job in known.values() if job.ended] + [last.created]
        recent = any((_now() - when).total_seconds() < 6 * self.traits.poll_seconds for when in times)
        return recent and not run.is_cancelled(last.number)

    def _dollars(self, run: RunFolder) -> float | None:
        return None

    def _dollars_saved(self, run: RunFolder) -> float | None:
        return None

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        names = {job_name(run, job): job for job in jobs}
        lines, cursor = self.lines([*names], after or {})
        return [line._replace(job=names[line.job]) for line in lines], cursor

    # ---- cancel ----

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        given = set(jobs)
        self._waiting = [job for job in self._waiting if job not in given]
        self._forget_list()
        known = self._list(run)
        for name in (job_name(run, job) for job in jobs):
            if name not in known or known[name].state == "running":  # the list lags behind
                self.stop(name)
        self._forget_list()


class MeteredService(ServiceBackend):
    """A service of AWS. Each second of a job costs money, from its creation.

    budget: maximum cost of a run in US dollars, by on-demand prices. It limits the run time of a plan's jobs, so that it holds
    even if no driver watches them.
    """

    budget: float | None
    image: str | None
    instances: list[Instance]
    service: str  # its name, for users
    seconds_beside = START_UP_SECONDS  # of a job, which are paid for beside its run time

    def check_store(self, store: str) -> None:
        if not store.startswith("s3://"):
            raise UsageError(
                f"the store {store} is not in S3, where jobs of {self.service} read and write",
                Option("store", "s3://my-bucket/simferry"),
            )

    def image_for(self, spec: Mapping[str, Any]) -> str:
        """The name of the image that was asked for, or simferry's own for a simulation."""
        return self.image or ("simferry-mpi" if spec.get("mpi") else _IMAGES.get(spec["language"], "simferry-r"))

    def budget_note(self) -> str:
        """A note if prices of another region are used for the budget; else empty."""
        table = prices(session.region()) if self.budget is not None else None
        if table is None or table.region == table.asked:
            return ""
        return f"the budget uses {table.note}. {REMEDY}"

    def job_limits(self, run: RunFolder, jobs: int) -> JobLimits:
        hosts, limit = self.traits.hosts, self.traits.seconds_at_most
        if self.budget is not None:
            left = self.budget - self._cost(run, committed=True)
            seconds = min(
                affordable_seconds(left, jobs * hosts, kind.name, session.region(), self.seconds_beside)
                for kind in self.instances
            )
            if seconds < LEAST_SECONDS:
                raise self._too_dear(run, jobs, left)
            limit = min(limit, seconds)
        types = [kind.name for kind in self.instances]
        return JobLimits(float(int(limit)), types, hosts)

    def _too_dear(self, run: RunFolder, jobs: int, left: float) -> BudgetReached:
        assert self.budget is not None
        hours = jobs * self.traits.hosts * (self.seconds_beside + LEAST_SECONDS) / 3600
        least = hours * max(prices(session.region()).of(kind.name) for kind in self.instances)
        need = math.ceil(100 * (self.budget - left + 1.05 * least)) / 100
        fewer = Text(" Fewer ", Option("jobs"), " cost less to start.") if jobs > 1 else ""
        hint = BackendOptions(self.name, budget=need) + ", or more."
        if run.plans():
            kept = sum(block.replications for block in run.block_names())
            hint = run.command("resume", budget=need) + f"  goes on; {counted(kept, 'replication')} {are(kept)} kept."
        spent = self.budget - left
        return BudgetReached(
            f"the budget of ${self.budget:g} does not allow {jobs} more job{'s' if jobs > 1 else ''} of run {run.id}: "
            f"${spent:.{2 if spent == 0 or spent >= 0.1 else 4}f} are spent, and the start costs ${least:.2g}",
            hint + fewer,
        )

    def _dollars(self, run: RunFolder) -> float:
        """The cost by on-demand prices, from the creation of jobs: slightly more than is billed. NaN if a type has no price."""
        try:
            return self._cost(run, committed=False)
        except UsageError:
            return math.nan

    def _dollars_saved(self, run: RunFolder) -> float | None:
        """What jobs would have cost more without Spot machines; None if nothing is known to be saved."""
        known = self._list(run, 60) if run.plans() else {}
        saved = 0.0
        with contextlib.suppress(UsageError):  # a type has no price
            for plan in run.plans():
                of_plan = [one for job in plan.job_ids if (one := known.get(job_name(run, job)))]
                if seconds := sum(max(0.0, one.ran - one.billed) for one in of_plan if one.billed is not None):
                    hourly = max(prices(session.region()).of(name) for name in plan.types)
                    saved += seconds / 3600 * plan.hosts * hourly
        return saved or None

    def _cost(self, run: RunFolder, committed: bool) -> float:
        """The cost of the run's jobs so far. committed: instead, their cost if running jobs use all their time."""
        dollars, plans = 0.0, run.plans()
        known = self._list(run, 60) if plans else {}
        for plan in plans:
            if not plan.jobs:
                continue
            jobs = self._times(run, plan, known, committed)
            dollars += max(
                cost_so_far([(*times, name, plan.hosts) for times in jobs], _now(), session.region())
                for name in plan.types
            )
        return dollars

    def _times(
        self, run: RunFolder, plan: PlanRecord, known: Mapping[str, ServiceJob], committed: bool
    ) -> list[tuple[datetime.datetime, datetime.datetime]]:
        """Start and end of each job of a plan. The end of a running job is now, or, if `committed`, its time limit. On Spot machines a job
        may wait long, and then its time limit is the most that it has used."""
        longest = datetime.timedelta(seconds=self.seconds_beside + (plan.limit or self.traits.seconds_at_most))
        now, times = _now(), []
        for job in plan.job_ids:
            one = known.get(job_name(run, job))
            if one and one.ended and one.billed is not None:
                times.append((one.ended - datetime.timedelta(seconds=one.billed), one.ended))
            elif started := one.created if one else now if job in self._submitted else None:
                at_most = started + longest
                times.append((started, (one and one.ended) or (at_most if committed else min(now, at_most))))
        return times


def emulated(service: str) -> bool:
    """Whether requests to a service of AWS go to an emulator. False if they can't be made: the first one says why."""
    try:
        return session.emulated(service)
    except (ImportError, SimferryError):
        return False


def _leave_message(run: RunFolder, job: str, text: str) -> None:
    """Write the reason why a job could not go on into the run folder, as workers on this machine do."""
    path = run.jobs / job / "message"
    if not path.exists():
        with writing(run.path):
            path.parent.mkdir(exist_ok=True)
            write_whole(path, text.encode())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
