"""The progress of a run, in numbers and as text."""

import datetime
import time
from collections import Counter
from dataclasses import dataclass

from ..backends.base import ENDED, Backend
from ..results import collect
from ..store import counts
from ..store.keys import BlockName, JobId
from ..store.records import PlanRecord
from ..store.run_folder import RunFolder
from ..store.spans import size_of
from ..store.steps import evaluations, grown, over
from ..system.notebook import facts
from ..words import are, counted, dollars, duration
from .claim import is_driven


@dataclass
class Progress:
    """The progress of a run.

    total, done, failed: numbers of replications; failed ones count as done.
    state: "running", "complete" or "incomplete". jobs: the state of each job, by its name.
    dollars: US dollars so far; None where jobs cost no money. note: what the backend waits for. saved: US dollars that jobs would have
    cost more without Spot machines; None if none are known.
    per_second: replications per second since the last submission; None before the first results, and shortly after.
    settled: no more replications will be wanted: False of a run that goes on until it is precise enough, before it is. precision: how
    far that is, in words; else empty.
    """

    total: int
    done: int
    failed: int
    state: str
    jobs: dict[str, str]
    dollars: float | None = None
    note: str = ""
    per_second: float | None = None
    saved: float | None = None
    settled: bool = True
    precision: str = ""

    @property
    def done_all(self) -> bool:
        """Whether every replication that is wanted now is done, failed ones included."""
        return self.done >= self.total

    @property
    def finished(self) -> bool:
        """Whether every replication is done, failed ones included, and no more will be wanted."""
        return self.done_all and self.settled

    @property
    def text(self) -> str:
        """Failures, rate, time left, jobs and what they wait for, in a line."""
        return progress_text(self)

    def _repr_html_(self) -> str:
        jobs = Counter(self.jobs.values())
        return facts(
            f"{self.done:,} of {counted(self.total, 'replication')} done",
            {
                "state": self.state,
                "failed": self.failed,
                "rate": ", ".join(rate_texts(self)),
                "jobs": ", ".join(f"{number} {state}" for state, number in jobs.items()),
                "cost so far": None if self.dollars is None or self.dollars != self.dollars else dollars(self.dollars),
                "saved by Spot": dollars(self.saved) if self.saved else None,
                "waiting for": self.note,
            },
        )

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds to the end at the present rate; None if the rate is not known or nothing is left."""
        return (self.total - self.done) / self.per_second if self.per_second and not self.finished else None


def progress_of(run: RunFolder, backend: Backend) -> Progress:
    """The progress of a run at the last look. It comes from listings; blocks are read only where their names are not enough."""
    plans = run.plans()
    now = backend.poll(run, [job for plan in plans for job in plan.job_ids])
    jobs = now.states
    names = run.block_names()  # after the jobs: the blocks of those that have ended are there by then
    total = max(counts.total(run.wanted(plans), grown(run.record.conditions, plans)), _foreseen(run, plans))
    done, failed = sum(b.replications for b in names), sum(b.failed for b in names)
    goes_on = "running" in jobs.values() or (done < total and now.active)
    running = is_driven(run) or (backend.traits.outlives_driver and goes_on)
    # a results file may turn out to be unreadable
    if not running and (_tried_twice(plans, names, run.conditions) or run.record.simulation["results_file"]):
        done = size_of(collect.done_spans(run))
        failed = done - size_of(collect.done_spans(run, failed=False))
    settled, precision = _precision(run, plans)
    state = "running" if running else "complete" if done >= total and settled else "incomplete"
    per_second = _replications_per_second(run, plans[-1], names) if running and plans else None
    return Progress(
        total,
        min(done, total),
        failed,
        state,
        jobs,
        now.dollars,
        now.waits_for,
        per_second,
        now.saved,
        settled,
        precision,
    )


def _precision(run: RunFolder, plans: list[PlanRecord]) -> tuple[bool, str]:
    """Whether a run has as many replications as it will have, and how precise it is, in words."""
    if run.record.search:
        return bool(over(plans)), _of_search(run, plans)
    if not run.record.until:
        return True, ""
    found, conditions = run.read_precision(), run.conditions
    if found is None:
        return False, ""
    words = f"{found.enough:,} of {counted(conditions, 'condition')} {are(found.enough)} precise enough"
    if found.enough < conditions:
        times = f"{found.ratio:.2g} times its target" if found.ratio < float("inf") else "not known yet"
        words += f"; furthest is condition {found.condition}: the MCSE of {found.measure} is {times}"
    return found.settled, words


def _foreseen(run: RunFolder, plans: list[PlanRecord]) -> int:
    """The replications that a search will have at the most, as long as it goes on, where that is known."""
    limits = [run.record.search.get(name) for name in ("evaluations", "replications", "most")]
    evaluations, each, most = (one if isinstance(one, int) else 0 for one in limits)
    return 0 if over(plans) else min(filter(None, (evaluations * each, most)), default=0)


def _of_search(run: RunFolder, plans: list[PlanRecord]) -> str:
    """How far a search is, in words."""
    asked = evaluations(plans).values()
    told, most = sum(one.told is not None for one in asked), run.record.search.get("evaluations")
    ended = f"; it has ended: {over(plans)}" if over(plans) else f", {len(asked) - told} under way"
    return f"{told} of {most} evaluations" + ended if isinstance(most, int) else counted(told, "evaluation") + ended


def _tried_twice(plans: list[PlanRecord], names: list[BlockName], conditions: int) -> bool:
    """Whether blocks may hold a replication twice: failed ones were tried again, or blocks of earlier plans arrived after the last
    plan was made."""
    if len(plans) < 2:
        return False
    last = plans[-1]
    if any(plan.step for plan in plans):
        return any(plan.step and plan.step.of for plan in plans)
    before = sum(b.replications for b in names if b.plan != last.number)
    known = counts.total(last.replications, conditions) - last.to_do
    return before > known or any(p.reason == "retry failed" for p in plans)


def _replications_per_second(run: RunFolder, plan: PlanRecord, names: list[BlockName]) -> float | None:
    """Who follows a run counts from the first results that it saw, so that the jobs' start does not count."""
    done, now = sum(b.replications for b in names if b.plan == plan.number), time.monotonic()
    follows = plan.number in run.first_results
    since, before = run.first_results.get(plan.number, (now, 0))
    if before == 0:
        run.first_results[plan.number] = (now, done)
    elif done > before and now - since >= 1:
        return (done - before) / (now - since)
    seconds = (datetime.datetime.now(datetime.timezone.utc) - plan.created).total_seconds()
    # the clock that wrote `created` may be ahead of this one
    return done / seconds if done and seconds > (10 if follows else 0) else None


def job_names(run: RunFolder) -> list[JobId]:
    """The ids of the jobs of all plans: plan-job."""
    return [job for plan in run.plans() for job in plan.job_ids]


def rate_texts(now: Progress) -> list[str]:
    """Replications per second, and the time left, as far as they are known."""
    if now.per_second is None or now.seconds_left is None:
        return []
    each = f"{now.per_second:,.0f}/s" if now.per_second >= 10 else f"{now.per_second:.2g}/s"
    return [each, f"{duration(now.seconds_left)} left"]


def progress_text(now: Progress) -> str:
    """Failures, rate, time left, jobs and what they wait for, in a line."""
    parts = [f"{now.failed:,} failed", *rate_texts(now)]
    if now.dollars is not None:
        parts += [f"jobs: {jobs_text(now)}"]
    elif now.note:
        parts += [f"waiting for {now.note}"]
    return ", ".join(parts)


def jobs_text(now: Progress) -> str:
    """How many jobs are in each state, what they have cost, and what they wait for."""
    counts = Counter(now.jobs.values())
    parts = [f"{counts[state]} {state}" for state in ("pending", "running", *ENDED) if counts[state]]
    cost = "" if now.dollars is None or now.dollars != now.dollars else f", {dollars(now.dollars)} so far"
    cost += f", {dollars(now.saved)} saved by Spot" if now.saved else ""
    waiting = f", waiting for {now.note}" if now.note else ""
    return f"{', '.join(parts) or 'none yet'}{cost}{waiting}"
