"""What a backend is: where jobs run. Nothing above this package asks which one it is.

A backend for a service that runs jobs by itself is a `ServiceBackend` (service.py), which needs four functions more of it.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple, Protocol, runtime_checkable

from ..aws.instances import Instance
from ..errors import ServiceError
from ..store.run_folder import RunFolder
from ..sweep.options import Options

# pending -> running -> succeeded | failed | cancelled | lost. That a job ended does not mean that its results are there.
ENDED = ("succeeded", "failed", "cancelled", "lost")
LONGEST_LOG = 1 << 30  # bytes of a job's log that are read
LOG_REQUESTS_PER_SECOND = 10  # of a service that keeps logs: others read them too
Report = Callable[[str], None]  # called with a line that says what is being done


@dataclass(frozen=True)
class Traits:
    """What the driver has to know of a backend; it follows from the options alone.

    workers: cores of one job. jobs: at the most. seconds_at_most: that a job may run. contract: jobs run in containers and see
    /opt/ml/processing as SageMaker's do. outlives_driver: jobs go on without their driver. poll_seconds: between two polls, at the
    least. remote_logs: a service keeps the logs, and a job's last lines come a little after its end. service: who runs the
    jobs, as users call it.
    """

    workers: int
    jobs: int = 1
    hosts: int = 1
    seconds_at_most: float = math.inf
    contract: bool = False
    outlives_driver: bool = False
    poll_seconds: float = 0.25
    remote_logs: bool = False
    service: str = "this machine"


@dataclass(frozen=True)
class Prepared:
    """What `prepare` has found. options: that the user did not give, to be kept with the run. image_digest: the content of the
    image in which jobs run. note: what the user should know about where it runs."""

    options: Mapping[str, Any] = field(default_factory=dict)
    image_digest: str | None = None
    note: str = ""


@dataclass(frozen=True)
class JobState:
    """The state of a job.

    cut_short: it was ended by its time limit or with its host, and not by what it ran. reason: how it ended, in the service's
    words. refusal: why the service could not run it, where that may hold for any other job of the run.
    """

    state: str
    cut_short: bool = False
    reason: str = ""
    refusal: ServiceError | None = None


@dataclass(frozen=True)
class Standing:
    """The state of jobs. waits_for: what pending ones wait for, in words. dollars: that the run's jobs have cost so far; None where
    they cost nothing. active: jobs ended, or were planned, so short a time ago that a driver elsewhere may be about to start more.
    """

    jobs: dict[str, JobState]
    waits_for: str = ""
    dollars: float | None = None
    active: bool = False

    @property
    def states(self) -> dict[str, str]:
        return {name: job.state for name, job in self.jobs.items()}


class Line(NamedTuple):
    """A line that a job printed. host: which of its hosts did. text: with the line's end, unless it has none yet."""

    job: str
    host: str
    text: str


Lines = list[Line]
Cursor = dict[str, Any]  # how far each log was read, by a name of the log's own


@runtime_checkable
class Backend(Protocol):
    """Jobs are named plan-job (0001-0003); a job's folder is jobs/<name> of its run."""

    name: str

    @property
    def options(self) -> Options:
        """The options with which it was made."""

    @property
    def traits(self) -> Traits: ...

    def default_store(self) -> str:
        """Where runs live unless the user says."""

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        """Raise what would keep a simulation from running here, before anything starts. store: its address."""

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        """Take over jobs whose files lie in the run's plan, and start those that can start now."""

    def poll(self, run: RunFolder, jobs: Sequence[str], begin: bool = False) -> Standing:
        """The state of jobs. begin: start submitted jobs that wait and can start now; only the run's driver asks for that."""

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        """Stop jobs; unless `at_once`, they may write what they have first."""

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        """What jobs have printed, or have printed since: `after` is what an earlier call returned. A last line without its end
        is read again by the next call."""


class Foreground(Protocol):
    """Where the worker is asked something while the user waits: foreground.py.

    contract: of Traits, of the jobs. stands_in: it is not where jobs run, but has to do for it.
    """

    contract: bool
    stands_in: bool

    def ask(self, spec: Mapping[str, Any], root: Path, verb: str, show: bool = False) -> "CompletedProcess[str]":
        """Run the worker's `check` or `replay` with `root` as its root. show: print as it goes."""


@runtime_checkable
class Interactive(Protocol):
    """A backend that checks simulations and replays replications: where it can, in the very place where its jobs run."""

    def foreground(self, verb: str) -> Foreground:
        """Where `check` or `replay` runs. Raises UsageError where that can't be."""


@dataclass(frozen=True)
class JobLimits:
    """The limits of each job of a plan. seconds: the longest that a job may run. record: what plan.json has of the limits."""

    seconds: float
    record: Mapping[str, Any]


@runtime_checkable
class Metered(Protocol):
    """A backend whose jobs cost money. instances: on which they may run."""

    instances: list[Instance]

    def job_limits(self, run: RunFolder, jobs: int) -> JobLimits:
        """The limits of so many jobs, which are not planned yet. Raises BudgetReached."""


def new_lines(job: str, host: str, log: bytes, cursor: Cursor) -> Lines:
    """The lines of a log that is read whole, from where `cursor` says that it was read to; moves it behind the last whole line."""
    read_to = int(cursor.get(name := f"{job}/{host}", 0))
    cursor[name] = max(read_to, log.rfind(b"\n") + 1)
    return [Line(job, host, text.decode(errors="replace")) for text in log[read_to:].splitlines(keepends=True)]


def log_text(backend: Backend, run: RunFolder, job: str) -> str:
    """All that a job has printed, and how it ended where its service says so."""
    lines, _ = backend.read_logs(run, [job])
    several = len({line.host for line in lines}) > 1
    reason = backend.poll(run, [job]).jobs[job].reason
    text = "".join(f"[{line.host}] {line.text}" if several else line.text for line in lines)
    return f"{text}{reason}\n" if reason else text


def follow(backend: Backend, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The lines that jobs print, as they come, with the job's name, until all have ended."""
    traits, going_on = backend.traits, list(jobs)
    cursor: Cursor = {}
    had_ended: set[str] = set()
    while going_on:
        before = had_ended
        states = backend.poll(run, going_on).states
        had_ended = {job for job in going_on if states[job] in ENDED}
        last_look = before if traits.remote_logs else had_ended
        lines, cursor = backend.read_logs(run, going_on, cursor)
        for line in lines:
            if line.text.endswith("\n") or line.job in last_look:
                text = line.text.rstrip("\n")
                yield line.job, f"[{line.host}] {text}" if traits.hosts > 1 else text
        going_on = [job for job in going_on if job not in last_look]
        if going_on:
            many = len(cursor) / LOG_REQUESTS_PER_SECOND if traits.remote_logs and len(had_ended) < len(going_on) else 0
            time.sleep(max(0.5, traits.poll_seconds / 2, many))
