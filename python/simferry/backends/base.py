"""The interface of backends. A backend runs jobs; no module above this package depends on which backend it is.

If a service runs the jobs, derive from `ServiceBackend` (service.py), which needs only four functions.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from ..errors import ServiceError
from ..store.run_folder import RunFolder
from ..sweep.options import Options

if TYPE_CHECKING:
    from ..aws.instances import Instance
    from ..images.find import Image
    from ..store.folder_store import Store

# pending -> running -> succeeded | failed | cancelled | lost. The results of an ended job may be incomplete.
ENDED = ("succeeded", "failed", "cancelled", "lost")
LONGEST_LOG = 1 << 30  # bytes of a job's log that are read
LOG_REQUESTS_PER_SECOND = 10  # to a service that keeps logs; other users of the account share its limit
Report = Callable[[str], None]  # called with a line about progress


@dataclass(frozen=True)
class Traits:
    """What the driver needs to know about a backend. It depends only on the options.

    workers: cores of one job. jobs: maximum number of jobs. seconds_at_most: maximum run time of a job. contract: jobs run in
    containers with /opt/ml/processing, as on SageMaker. outlives_driver: jobs go on after their driver ends. poll_seconds:
    minimum time between two polls. remote_logs: a service keeps the logs, and a job's last lines arrive shortly after its end.
    carry_files: jobs bring their files from the store and send their results there themselves.
    service: the name of whatever runs the jobs, for users.
    """

    workers: int
    jobs: int = 1
    hosts: int = 1
    seconds_at_most: float = math.inf
    contract: bool = False
    outlives_driver: bool = False
    poll_seconds: float = 0.25
    remote_logs: bool = False
    carry_files: bool = False
    service: str = "this machine"


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`. options: to be recorded with the run, beside those that the user gave. image_digest: identifies the
    image in which jobs run. note: is shown to the user."""

    options: Mapping[str, Any] = field(default_factory=dict)
    image_digest: str | None = None
    note: str = ""


@dataclass(frozen=True)
class JobState:
    """The state of a job.

    cut_short: its time limit ended it, or its host was lost; the simulation is not the cause. reason: how it ended, in the
    service's words. refusal: why the service could not run it, if that may be true of all other jobs of the run.
    """

    state: str
    cut_short: bool = False
    reason: str = ""
    refusal: ServiceError | None = None


@dataclass(frozen=True)
class Standing:
    """The state of jobs.

    waits_for: what pending jobs wait for, in words. dollars: cost of the run's jobs so far (US dollars); None if they cost nothing.
    active: jobs ended or were planned so recently that a driver on another machine may start more. saved: what they would have cost more
    without Spot machines (US dollars); None if nothing is known to be saved.
    """

    jobs: dict[str, JobState]
    waits_for: str = ""
    dollars: float | None = None
    active: bool = False
    saved: float | None = None

    @property
    def states(self) -> dict[str, str]:
        return {name: job.state for name, job in self.jobs.items()}


class Line(NamedTuple):
    """A line that a job printed. host: the host that printed it. text: ends with a line break, unless the line is incomplete."""

    job: str
    host: str
    text: str


Lines = list[Line]
Cursor = dict[str, Any]  # the position up to which each log was read, by the log's name


@runtime_checkable
class Backend(Protocol):
    """Names of jobs are plan-job (0001-0003). A job's folder is jobs/<name> in its run folder."""

    name: str

    @property
    def options(self) -> Options:
        """The options of this backend."""

    @property
    def traits(self) -> Traits: ...

    def default_store(self) -> str:
        """The address of the store if the user names none."""

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        """Raises an error if the simulation can't run here. Starts nothing. store: its address."""

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        """Accept jobs whose files are in the run's plan, and start those that can start now."""

    def poll(self, run: RunFolder, jobs: Sequence[str], begin: bool = False) -> Standing:
        """The state of jobs. begin: start submitted jobs that wait and can start now; only the run's driver sets it."""

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        """Stop jobs. Unless `at_once`, each first writes the results that it has."""

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        """The lines that jobs have printed: all, or only those since `after`, the cursor that an earlier call returned.
        An incomplete last line is read again by the next call."""


class Foreground(Protocol):
    """Runs the worker while the user waits (foreground.py).

    contract: as in Traits. substitute: jobs run elsewhere, in another environment than this one. image: of the jobs, if they have one.
    """

    contract: bool
    substitute: bool
    image: str

    def check(self, spec: Mapping[str, Any], root: Path) -> "CompletedProcess[str]":
        """Run the worker's `check` with `root` as its root."""

    def ask(self, spec: Mapping[str, Any], root: Path, verb: str, show: bool = False) -> "CompletedProcess[str]":
        """Run the worker's `check` or `replay` with `root` as its root. show: print its output."""


@runtime_checkable
class Interactive(Protocol):
    """A backend that can check simulations and replay replications, if possible in the environment of its jobs."""

    def foreground(self, verb: str) -> Foreground:
        """Where `check` or `replay` runs. Raises UsageError if it can't run."""


class Staying(Foreground, Protocol):
    """A foreground whose worker, after a check, waits for the first job. waiting: that worker, if there is one: it has `end()`."""

    waiting: Any

    def end(self) -> None:
        """End the worker that waits, if any."""


@runtime_checkable
class GoesOn(Protocol):
    """A backend whose first job may go on in the process, or container, that has checked the simulation."""

    def staying(self, spec: Mapping[str, Any], home: "Store", run_id: str, meanwhile: Callable[[], None]) -> Staying:
        """Where a new run of a simulation is checked. run_id: which it will have, in the store `home`. meanwhile: what is done while
        it checks."""


@runtime_checkable
class Waits(Protocol):
    """A backend that knows at once when a job ends."""

    def wait(self, seconds: float) -> None:
        """Sleep for so long, or until a job ends that this backend started."""


@runtime_checkable
class Settles(Protocol):
    """A backend that removes what ended jobs have left while the driver goes on."""

    def settle(self) -> None:
        """Wait until it is removed."""


@dataclass(frozen=True)
class JobLimits:
    """The limits of each job of a plan. seconds: maximum run time. types, hosts: its instances, of a backend that is Metered."""

    seconds: float
    types: Sequence[str] = ()
    hosts: int = 1


@runtime_checkable
class Metered(Protocol):
    """A backend whose jobs cost money. instances: the instance types that jobs may use."""

    instances: "list[Instance]"

    def default_store(self) -> str:
        """As of any backend."""

    def check_store(self, store: str) -> None:
        """Raises UsageError if jobs can't write to the store at this address."""

    def known_image(self, spec: Mapping[str, Any], in_ecr: bool) -> "Image | None":
        """The image of a run's jobs, if they have one and it is on this machine. in_ecr: else it is looked for in ECR, and an error is
        raised if it is not there either. Nothing is pushed."""

    def job_limits(self, run: RunFolder, jobs: int) -> JobLimits:
        """The limits of the jobs of the next plan. jobs: their number. Raises BudgetReached."""


@dataclass(frozen=True)
class Machine:
    """What a job runs on, for a forecast. name: an instance type, or a size in words. cores: which a job uses of its vCPUs.

    dollars_an_hour: at the most. start_up: seconds until a job computes. jobs_at_most: of a run; jobs_at_once: how many of them can
    run at a time. attempts: of a job whose machine is lost, which a budget counts. notes: what the forecast assumes of it.
    """

    name: str
    vcpus: float
    cores: int
    dollars_an_hour: float
    start_up: float
    jobs_at_most: int
    jobs_at_once: int
    attempts: int = 1
    notes: Sequence[str] = ()


@runtime_checkable
class Sized(Protocol):
    """A backend that is Metered, whose jobs have the size that they ask for instead of an instance type."""

    def machine(self, spec: Mapping[str, Any], image: "Image | None", region: str) -> Machine:
        """What jobs run on. image: of the run, if it is known. Raises UsageError if AWS says that no such job could start."""


def new_lines(job: str, host: str, log: bytes, cursor: Cursor) -> Lines:
    """The new lines of a log. log: all its bytes. cursor: is moved to the end of the last complete line."""
    read_to = int(cursor.get(name := f"{job}/{host}", 0))
    cursor[name] = max(read_to, log.rfind(b"\n") + 1)
    return [Line(job, host, text.decode(errors="replace")) for text in log[read_to:].splitlines(keepends=True)]


def log_text(backend: Backend, run: RunFolder, job: str) -> str:
    """Everything that a job has printed, then the reason why it ended, if its service gives one."""
    lines, _ = backend.read_logs(run, [job])
    several = len({line.host for line in lines}) > 1
    reason = backend.poll(run, [job]).jobs[job].reason
    text = "".join(f"[{line.host}] {line.text}" if several else line.text for line in lines)
    return f"{text}{reason}\n" if reason else text


def follow(backend: Backend, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields (job, line) as jobs print lines, until all jobs have ended. A job's last line is the reason why it ended, as in log_text."""
    traits, going_on = backend.traits, list(jobs)
    cursor: Cursor = {}
    had_ended: set[str] = set()
    while going_on:
        before = had_ended
        now = backend.poll(run, going_on)
        had_ended = {job for job in going_on if now.states[job] in ENDED}
        last_look = before if traits.remote_logs else had_ended
        lines, cursor = backend.read_logs(run, going_on, cursor)
        for line in lines:
            if line.text.endswith("\n") or line.job in last_look:
                text = line.text.rstrip("\n")
                yield line.job, f"[{line.host}] {text}" if traits.hosts > 1 else text
        yield from ((job, now.jobs[job].reason) for job in going_on if job in last_look and now.jobs[job].reason)
        going_on = [job for job in going_on if job not in last_look]
        if going_on:
            many = len(cursor) / LOG_REQUESTS_PER_SECOND if traits.remote_logs and len(had_ended) < len(going_on) else 0
            time.sleep(max(0.5, traits.poll_seconds / 2, many))
