"""Backends whose jobs a service runs: what waits there, lags behind, is cancelled and costs.

Nothing is kept here of what the service knows: a job's name tells its run, plan and number, so the service's own list says which
were submitted and how they stand, from any machine; and since a name can be used only once, none is submitted twice.
"""

import contextlib
import datetime
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ..aws import session
from ..aws.instances import Instance
from ..aws.prices import START_UP_SECONDS, affordable_seconds, cost_so_far, prices
from ..errors import BudgetReached, NoAnswer, ServiceError, SimferryError, UsageError
from ..hints import BackendOptions, Command, Option, Text
from ..store.keys import JobId
from ..store.records import PlanRecord
from ..store.run_folder import RunFolder
from ..sweep.inputs import unchanged
from ..system.files import write_whole, writing
from .base import Cursor, JobLimits, JobState, Lines, Standing, Traits
from .names import job_name

LEAST_SECONDS = 60  # of run time that a budget has to allow


class Request(NamedTuple):
    """A job that a service is to start. name: its name there. job: plan-job. plan: its record, with the limits of its jobs."""

    name: str
    run: RunFolder
    job: str
    plan: PlanRecord


@dataclass(frozen=True)
class ServiceJob:
    """A job as its service lists it.

    state: running, stopping, stopped, succeeded or failed. reason: how it ended, in the service's words. message: in those of the worker,
    where it could not go on. cut_short: it was ended with its host or by a limit. for_all: what keeps it from running may keep any
    other from it, too.
    """

    state: str
    created: datetime.datetime
    ended: datetime.datetime | None = None
    reason: str = ""
    message: str = ""
    cut_short: bool = False
    for_all: bool = False


class NotNow(Exception):
    """The service starts no more jobs just now. waits_for: what for, in words. seconds: after which it is asked again."""

    def __init__(self, waits_for: str, seconds: float) -> None:
        super().__init__(waits_for)
        self.waits_for, self.seconds = waits_for, seconds


class JobService(Protocol):
    """What a service has to know. Each may raise ServiceError, and NoAnswer where the service can't be reached."""

    def start(self, request: Request) -> None:
        """Start a job; one of that name that is there already is left alone. Raises NotNow."""

    def list(self, run: RunFolder) -> dict[str, ServiceJob]:
        """All jobs of a run that the service knows, by their names there. New ones may be missing for a while."""

    def stop(self, name: str) -> None:
        """Stop a job; one that has ended, or that is not known, is left alone."""

    def lines(self, names: Sequence[str], after: Cursor) -> tuple[Lines, Cursor]:
        """What jobs have printed since `after` (nothing: all of it); `job` of a line is the job's name there."""


class ServiceBackend(ABC):
    """A backend for a service: `submit`, `poll`, `cancel` and `read_logs` from the four functions of a JobService."""

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

    # ---- begin ----

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        self._waiting += jobs
        with contextlib.suppress(NoAnswer), self._noting_whether_jobs_started():
            self._begin(run)  # a request without an answer may have arrived: the next poll asks again

    def _begin(self, run: RunFolder) -> None:
        """Begin jobs that wait, as many as the service takes now."""
        if not self._waiting or time.monotonic() < self._not_before:
            return
        self.waits_for = ""
        try:
            for one in run.inputs.values():  # now, as jobs may have waited for hours
                if one["place"]:
                    unchanged(one["place"], one["version"])
            while self._waiting:
                job = self._waiting[0]
                self.start(Request(job_name(run, job), run, job, run.plan(JobId(job).plan)))
                self._submitted.add(self._waiting.pop(0))
        except NotNow as wait:
            self.waits_for, self._not_before = wait.waits_for, time.monotonic() + wait.seconds
        except NoAnswer:  # it is asked again
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
            known = self._list(run) if jobs else {}
        plans = {plan.number: plan for plan in run.plans()}
        last = max(plans, default="")
        states = {}
        for job in jobs:
            number = JobId(job).plan
            plan = plans.get(number) or run.plan(number)  # raises an error where it is gone
            states[job] = self._state(run, job, known.get(job_name(run, job)), plan, number == last)
        active = bool(last) and self._active(run, plans[last], known)
        return Standing(states, self.waits_for, self._dollars(run), active)

    def _state(self, run: RunFolder, job: str, now: ServiceJob | None, plan: PlanRecord, last: bool) -> JobState:
        if now is None and job in self._submitted:  # the list lags behind
            return JobState("running")
        if now is None:  # jobs of earlier plans never start
            return JobState("pending" if last else "cancelled")
        refusal = None
        if now.state == "failed" and now.message:
            _leave_message(run, job, now.message)
        elif now.state == "failed" and now.for_all:
            text = f"{self.traits.service} could not run job {job} of run {run.id}: {now.reason}"
            refusal = self.service_error(text, run.command("logs"))
        state = "running" if now.state == "stopping" else now.state
        if state == "stopped":
            # with some room: the service counts from a little after a job's creation, and is not exact
            limit = plan.limit or self.traits.seconds_at_most
            ran_too_long = now.ended is not None and (now.ended - now.created).total_seconds() >= 0.9 * limit
            state = "failed" if ran_too_long else "cancelled"
        return JobState(state, now.cut_short or now.state == "stopped", now.reason, refusal)

    def _list(self, run: RunFolder, seconds_old: float = 0.0) -> dict[str, ServiceJob]:
        """The service's jobs; an answer that is not older than `seconds_old` is used again."""
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

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        names = {job_name(run, job): job for job in jobs}
        lines, cursor = self.lines([*names], after or {})
        return [line._replace(job=names[line.job]) for line in lines], cursor

    # ---- end ----

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        self._waiting = [job for job in self._waiting if job not in jobs]
        self._forget_list()
        known = self._list(run)
        for name in (job_name(run, job) for job in jobs):
            if name not in known or known[name].state == "running":  # the list lags behind
                self.stop(name)
        self._forget_list()


class MeteredService(ServiceBackend):
    """A service of AWS, whose jobs cost money, each second from when it was created. budget: US dollars that a run may cost in all, by
    on-demand prices; a plan's jobs are given no more time than that allows, so that it is kept even if nobody watches."""

    budget: float | None
    instances: list[Instance]

    def budget_note(self) -> str:
        """Where prices of another region stand in for those of the budget."""
        table = prices(session.region()) if self.budget is not None else None
        if table is None or table.region == table.asked:
            return ""
        return (
            f"the budget is kept by {table.note}; "
            f"{Command('plan', ..., backend='sagemaker', refresh_prices=True)}  asks for today's"
        )

    def job_limits(self, run: RunFolder, jobs: int) -> JobLimits:
        hosts, limit = self.traits.hosts, self.traits.seconds_at_most
        if self.budget is not None:
            left = self.budget - self._cost(run, committed=True)
            seconds = min(
                affordable_seconds(left, jobs * hosts, kind.name, session.region()) for kind in self.instances
            )
            if seconds < LEAST_SECONDS:
                raise self._too_dear(run, jobs, left)
            limit = min(limit, seconds)
        types = [kind.name for kind in self.instances]
        return JobLimits(float(int(limit)), {"limit": int(limit), "types": types, "hosts": hosts})

    def _too_dear(self, run: RunFolder, jobs: int, left: float) -> BudgetReached:
        assert self.budget is not None
        hours = jobs * self.traits.hosts * (START_UP_SECONDS + LEAST_SECONDS) / 3600
        least = hours * max(prices(session.region()).of(kind.name) for kind in self.instances)
        need = math.ceil(100 * (self.budget - left + 1.05 * least)) / 100
        fewer = Text(" Fewer ", Option("jobs"), " start up more cheaply.") if jobs > 1 else ""
        way_out = BackendOptions(self.name, budget=need) + ", or more."
        if run.plans():
            kept = sum(block.replications for block in run.block_names())
            way_out = run.command("resume", budget=need) + f"  goes on; {kept:,} replications are kept."
        spent = self.budget - left
        return BudgetReached(
            f"the budget of ${self.budget:g} does not allow {jobs} more job{'s' if jobs > 1 else ''} of run {run.id}: "
            f"${spent:.{2 if spent == 0 or spent >= 0.1 else 4}f} are spent, and to start up costs ${least:.2g}",
            way_out + fewer,
        )

    def _dollars(self, run: RunFolder) -> float:
        """By on-demand prices, from when jobs were created: a little more than is billed. NaN where a type has no price here."""
        try:
            return self._cost(run, committed=False)
        except UsageError:
            return math.nan

    def _cost(self, run: RunFolder, committed: bool) -> float:
        """What the run's jobs have cost; committed: will have cost, if those that still run do so for as long as they may."""
        dollars, plans = 0.0, run.plans()
        known = self._list(run, 60) if plans else {}  # which a poll has just asked for
        for plan in plans:
            jobs = self._times(run, plan, known, committed)
            dollars += max(
                cost_so_far([(*times, name, plan.hosts) for times in jobs], _now(), session.region())
                for name in plan.types
            )
        return dollars

    def _times(
        self, run: RunFolder, plan: PlanRecord, known: Mapping[str, ServiceJob], committed: bool
    ) -> list[tuple[datetime.datetime, datetime.datetime]]:
        """When the jobs of a plan began and ended, or will have ended."""
        now, longest = (
            _now(),
            datetime.timedelta(seconds=START_UP_SECONDS + (plan.limit or self.traits.seconds_at_most)),
        )
        times = []
        for job in plan.job_ids:
            one = known.get(job_name(run, job))
            started = one.created if one else now if job in self._submitted else None
            if started:
                ended = one.ended if one else None
                times.append((started, ended or (started + longest if committed else now)))
        return times


def _leave_message(run: RunFolder, job: str, text: str) -> None:
    """Writes why a job could not go on into the run folder, as workers on this machine do."""
    path = run.jobs / job / "message"
    if not path.exists():
        with writing(run.path):
            path.parent.mkdir(exist_ok=True)
            write_whole(path, text.encode())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)
