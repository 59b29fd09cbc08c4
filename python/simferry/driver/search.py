"""The driver of a search: computes the points that a searcher asks for, several at a time, and tells it what they gave.

An evaluation is a plan of its own: some replications of one condition. Its record says what had been told before the point was asked
(store/steps.py). So the plans are the log of the search; a driver that finds some makes the state that they were asked in again, and
goes on. See docs/decisions/search.md.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ..backends.base import ENDED, Backend
from ..errors import BudgetReached, Interrupted, SimulationError, StoreError
from ..jobs import plan
from ..jobs.stretches import Work
from ..results.collect import of_some_blocks
from ..search.searcher import Searcher
from ..store import steps
from ..store.keys import JobId, key_of, of_key
from ..store.run_folder import RunFolder
from ..store.spans import Spans, size_of, without
from ..store.steps import Evaluation, Step, Told
from ..sweep.conditions import joined, read_conditions
from ..sweep.design import Design
from ..words import counted
from .drive import conducting, only_too_short, shared_is_written, stop_leftovers, watch
from .progress import Progress, job_names, progress_of

LEAST_FAILED = 5  # evaluations that fail, and no other has come, before the search is given up


@dataclass(frozen=True)
class Outcome:
    """What the replications of a condition gave. rows: with the parameters. design: of the condition alone. done, failed: how many."""

    rows: pa.Table
    design: Design
    done: int
    failed: int


Objective = Callable[[Outcome], tuple[float, float]]


@dataclass(frozen=True)
class Search:
    """What a search computes, and how long.

    objective: mean and Monte Carlo standard error of the objective in a condition; NaN where it has none. replications: of an
    evaluation. at_once: evaluations that are under way. rounds: instead of one as another ends, so many together, when all of the last
    ones have ended. evaluations, most, seconds: no point is asked after so many evaluations or replications, or so long.
    """

    searcher: Searcher
    objective: Objective
    replications: int
    at_once: int = 1
    rounds: bool = False
    evaluations: int | None = None
    most: int | None = None
    seconds: float | None = None


def drive_search(
    run: RunFolder,
    backend: Backend,
    search: Search,
    reason: str,
    *,
    changed_code: Mapping[str, str] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> None:
    """Go on with a search until it is over. reason, changed_code: as of `drive`.

    Raises what `drive` does, and SimulationError where each evaluation fails.
    """
    with conducting(run, backend):
        run.look()
        if steps.over(run.plans()):
            return
        if not backend.traits.outlives_driver:
            stop_leftovers(run, backend)
            run.push()
        one = _Driver(run, backend, search, reason, dict(changed_code or {}), on_progress)
        one.replay()
        one.adopt()
        one.go()
        run.look()
        on_progress(progress_of(run, backend))


@dataclass
class _Underway:
    """An evaluation of which nothing was told. jobs: those that are watched. missing: replications that were given up."""

    of: Evaluation
    jobs: list[JobId] = field(default_factory=list)
    failures: int = 0
    missing: int = 0
    complete: bool = False


class _Driver:
    def __init__(
        self,
        run: RunFolder,
        backend: Backend,
        search: Search,
        reason: str,
        changed_code: dict[str, str],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.run, self.backend, self.search, self.reason = run, backend, search, reason
        self.changed_code, self.on_progress = changed_code, on_progress
        self.began = time.monotonic()
        self.before = 0.0  # seconds that earlier drivers took
        self.plans = 0
        self.design = read_conditions(run)
        self.ids = {text: i + 1 for i, text in enumerate(self.design.canonical())}
        self.evaluations: dict[str, Evaluation] = {}
        self.underway: dict[str, _Underway] = {}
        self.fresh: list[Told] = []  # was told since the last plan
        self.message = ""  # of the first replication that failed
        self.held: Design | None = None  # was asked, and a budget does not allow it yet

    # ---- what there is ----

    def replay(self) -> None:
        """Give the searcher the log of the plans."""
        plans, searcher = self.run.plans(), self.search.searcher
        self.run.wanted(plans)  # raises where they do not fit
        self.evaluations, self.plans = steps.evaluations(plans), len(plans)
        for one in plans:
            if one.step is None:
                continue
            for told in one.step.told:
                self._tell(told)
            if one.number in self.evaluations:
                searcher.asked(self.design.condition(one.step.condition - 1))
            self.before = max(self.before, one.step.seconds)
        self.underway = {number: _Underway(one) for number, one in self.evaluations.items() if one.told is None}

    def _tell(self, told: Told) -> None:
        point = self.design.condition(self.evaluations[told.evaluation].condition - 1)
        self.search.searcher.tell(point, told.mean, told.mcse, told.replications, told.failed)

    def adopt(self) -> None:
        """Go on with jobs that outlive their driver, and start those that have not started; see drive.adopt."""
        if not self.backend.traits.outlives_driver or not self.underway:
            return
        if self.run.is_cancelled(self.run.plans()[-1].number):
            stop_leftovers(self.run, self.backend)
            return
        given = self.backend.options.given()
        same = {one.number for one in self.run.plans() if one.backend_options == given}
        for one in self.underway.values():
            jobs = [job for job in job_names(self.run) if job.plan in one.of.plans]
            states = self.backend.poll(self.run, jobs).states
            pending = [job for job in jobs if states[job] == "pending"]
            start = [job for job in pending if job.plan in same]
            if left := [job for job in pending if job not in start]:
                self.backend.cancel(self.run, left, at_once=True)
            if start:
                self.backend.submit(self.run, start)
            one.jobs = [*(job for job in jobs if states[job] == "running"), *start]

    # ---- the loop ----

    def go(self) -> None:
        """Ask, wait, tell, until there is nothing more to ask."""
        self.settle()
        while True:
            if not self.search.rounds:
                self.tell(one for one in self.underway.values() if one.complete)
            over = self.fill()
            if not self.underway:
                self.close(over or "the search has nothing more to ask")
                return
            if not self.wait(all if self.search.rounds else any):
                return
            if self.search.rounds:
                self.tell(self.underway.values())

    def fill(self) -> str:
        """Ask for points until so many are under way as may be. Returns why no more will be asked; empty if some may be."""
        while len(self.underway) < self.search.at_once:
            if over := self.reached() or self.search.searcher.over:
                return over
            if self.held is None:
                point = self.search.searcher.ask()
                if point is None:
                    return ""
                self.held = self._row(point)
            try:
                self.begin(self.held)
            except BudgetReached:
                if not self.underway:
                    raise
                return ""  # jobs that end may leave some of it
            self.held = None
        return ""

    def reached(self) -> str:
        """The limit that the next evaluation would be beyond, in words."""
        many, each = len(self.evaluations), self.search.replications
        if self.search.evaluations is not None and many >= self.search.evaluations:
            return counted(many, "evaluation")
        asked = sum(one.count for one in self.evaluations.values())
        if self.search.most is not None and asked + each > self.search.most:
            return counted(asked, "replication")
        if self.search.seconds is not None and self.seconds() >= self.search.seconds:
            return f"{self.search.seconds:g} seconds"
        return ""

    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def wait(self, enough: Callable[[Iterable[bool]], bool]) -> bool:
        """Wait until any or all evaluations under way are complete. Returns False when the run must not continue (--on-error stop)."""
        while not enough(one.complete for one in self.underway.values()):
            jobs = sorted(job for one in self.underway.values() for job in one.jobs)
            if self.backend.traits.outlives_driver and self.run.is_cancelled(self.run.plans()[-1].number):
                self.backend.cancel(self.run, jobs, at_once=True)
                raise Interrupted(f"the jobs of run {self.run.id} were stopped by somebody", self.run.command("resume"))
            if watch(self.run, self.backend, jobs, self.on_progress, enough=any):
                return False
            self.settle()
        return True

    def settle(self) -> None:
        """Evaluations whose jobs have ended are complete, or what they lack is dealt again."""
        live = [job for one in self.underway.values() for job in one.jobs]
        states = self.backend.poll(self.run, live).states if live else {}
        for one in [*self.underway.values()]:
            ended = all(states[job] in ENDED for job in one.jobs)
            if one.complete or not ended:
                continue
            missing = self.missing(one.of)
            if not size_of(missing):
                one.complete = True
            elif one.jobs and not self._counts(one, size_of(missing)):
                self.again(one, missing, "retry")
            elif one.jobs and one.failures > self.run.record.options.retries:
                one.missing, one.complete = size_of(missing), True
            else:
                self.again(one, missing, "retry" if one.jobs else self.reason)

    def _counts(self, one: _Underway, missing: int) -> bool:
        """Whether what an evaluation lacks counts as a failed attempt, which is then counted."""
        if shared_is_written(self.run, one.jobs) or only_too_short(self.run, self.backend, one.jobs, missing):
            return False
        one.failures += 1
        return True

    # ---- evaluations ----

    def _row(self, point: Mapping[str, object]) -> Design:
        types = self.run.record.parameters
        if point.keys() != types.keys():
            raise StoreError(f"the search asks for {sorted(point)}, and run {self.run.id} has {sorted(types)}")
        return Design({name: [point[name]] for name in types}, types, known_distinct=True)

    def begin(self, row: Design) -> None:
        """Compute replications of a condition, further ones if it has some."""
        condition = self.ids.get(text := next(row.canonical()), len(self.design) + 1)
        before = max((one.last for one in self.evaluations.values() if one.condition == condition), default=0)
        last = before + self.search.replications
        new = condition > len(self.design)
        range_ = _range(condition, before + 1, last)
        work = _work(range_ if new else without(range_, self._done(self._names(()))))
        number = self.add(work, self.reason, last, Step(condition=condition), row if new else None)
        if new:
            self.design = joined(self.design, row)
            self.ids[text] = condition
        self.evaluations[number] = Evaluation(number, condition, before + 1, last, [number])
        self.underway[number] = _Underway(self.evaluations[number])
        self.start(self.underway[number], number)

    def again(self, one: _Underway, missing: Spans, reason: str) -> None:
        """Compute what an evaluation lacks."""
        number = self.add(_work(missing), reason, one.of.last, Step(of=one.of.number), None)
        one.of.plans.append(number)
        self.start(one, number)

    def add(self, work: Work, reason: str, last: int, step: Step, added: Design | None) -> str:
        """Write a plan, whose record takes what was told since the last one. Returns its number."""
        if len(self.run.plans()) != self.plans:
            raise self.run.busy()
        step = Step(
            told=tuple(self.fresh), condition=step.condition, of=step.of, over=step.over, seconds=self.seconds()
        )
        plan.add_plan(
            self.run, self.backend, work, reason, replications=last, jobs=1, changed_code=self.changed_code,
            copies=shared_is_written(self.run, [job for one in self.underway.values() for job in one.jobs]),
            step=step, added=added, beside=self.search.at_once - len(self.underway) - 1,
        )  # fmt: skip
        self.fresh, self.plans = [], self.plans + 1
        return f"{self.plans:04d}"

    def start(self, one: _Underway, number: str) -> None:
        one.jobs = [job for job in job_names(self.run) if job.plan == number]
        one.complete = not one.jobs
        if one.jobs:
            self.backend.submit(self.run, one.jobs)

    def close(self, over: str) -> None:
        """Record what was told last, and why the search ends."""
        nothing = np.empty(0, dtype=np.int64)
        self.add(Work(nothing, nothing, nothing), "end", 1, Step(over=over), None)
        self.check_failures(1)

    # ---- what evaluations gave ----

    def _names(self, chosen: Iterable[Evaluation]) -> list[str]:
        """The blocks of some evaluations, and those that are of none: of earlier runs, and of extensions."""
        others = {number for one in self.evaluations.values() for number in one.plans}
        others -= {number for one in chosen for number in one.plans}
        return [block.name for block in self.run.block_names() if block.plan not in others]

    def _done(self, names: list[str]) -> np.ndarray:
        if not names:
            return np.empty(0, dtype=np.int64)
        with of_some_blocks(self.run, names, ()) as found:
            return found.done

    def missing(self, one: Evaluation) -> Spans:
        """The replications of an evaluation that are not done."""
        return without(_range(one.condition, one.first, one.last), self._done(self._names([one])))

    def tell(self, complete: Iterable[_Underway]) -> None:
        """Tell the searcher what evaluations gave, in the order in which they were asked."""
        for one in sorted(complete, key=lambda one: int(one.of.number)):
            told = self.told(one)
            self._tell(told)
            self.fresh.append(told)
            one.of.told = told
            del self.underway[one.of.number]
            self.check_failures(LEAST_FAILED)

    def told(self, one: _Underway) -> Told:
        """What a condition's evaluations give that have been told, and this one."""
        condition = one.of.condition
        mine = [e for e in self.evaluations.values() if e.condition == condition and (e.told or e is one.of)]
        last = max(e.last for e in mine)
        with of_some_blocks(self.run, self._names(mine), ("results", "failures")) as found:
            done, failed = (_within(keys, condition, last) for keys in (found.done, found.failed))
            design = self.design.rows(np.array([condition - 1]))
            self.message = self.message or found.first_message()
            mean, mcse = math.nan, math.nan
            if 2 * failed <= done and done:
                mean, mcse = self.search.objective(Outcome(found.rows(condition, last), design, done, failed))
        return Told(one.of.number, mean, mcse, done, not math.isfinite(mean), one.missing)

    def check_failures(self, least: int) -> None:
        """Raises SimulationError where so many evaluations were told, and all of them have failed."""
        told = [one.told for one in self.evaluations.values() if one.told]
        if len(told) >= max(least, 1) and all(one.failed for one in told):
            many = "the evaluation" if len(told) == 1 else f"all {len(told)} evaluations"
            why = f": {self.message}" if self.message else ", with their jobs"
            raise SimulationError(f"{many} of run {self.run.id} failed{why}", self.run.command("errors"))


def _range(condition: int, first: int, last: int) -> Spans:
    one = np.array([condition])
    return key_of(one, np.array([first])), key_of(one, np.array([last]))


def _work(spans: Spans) -> Work:
    condition, first = of_key(spans[0])
    return Work(condition, first, spans[1] - spans[0] + 1)


def _within(keys: np.ndarray, condition: int, last: int) -> int:
    """How many of these are of a condition's first replications."""
    of, replication = of_key(keys)
    return int(np.count_nonzero((of == condition) & (replication <= last)))
