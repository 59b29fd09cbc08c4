"""The verbs: run, status, watch, logs, cancel, resume, extend, results, summary, errors, replay."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import driver, planning, reuse
from . import results as results_
from .backends import backend as backend_of
from .design import Design
from .driver import Progress
from .errors import SimferryError, UsageError, nearest
from .prepare import as_design, as_simulation, check_replications, create
from .simulation import Simulation
from .store import RunFolder, Store, writing
from .summary import same_values, summary

ProgressCallback = Callable[[Progress], None]


class Run:
    """One sweep, from design to results. Made by `run()`, `open()` and `runs()`."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._collected: tuple[list[str], results_.Collected] | None = None

    @property
    def id(self) -> str:
        return self._folder.id

    @property
    def folder(self) -> Path:
        """The run folder on this machine."""
        return self._folder.path

    @property
    def record(self) -> dict[str, Any]:
        """run.json: simulation, parameters, seed, versions, code hash; it never changes."""
        return self._folder.record

    @property
    def seed(self) -> int:
        return int(self.record["seed"])

    @property
    def replications(self) -> int:
        """How many replications of each condition are wanted, after all extensions."""
        return self._folder.replications

    def __repr__(self) -> str:
        now = self.status()
        failed = f", {now.failed:,} failed" if now.failed else ""
        return (
            f"<Run {self.id}: {now.state}, {now.done:,} of {now.total:,} replications{failed}, in {self.folder.parent}>"
        )

    @property
    def note(self) -> str:
        """What to know about where it runs, if there is anything."""
        return str(self._backend().note)

    def design(self) -> Any:
        """The conditions: pandas.DataFrame of condition (from 1) and the parameters."""
        frame = self._folder.conditions().to_pandas()
        frame.insert(0, "condition", np.arange(1, self.record["conditions"] + 1, dtype=np.int32))
        return frame

    def status(self) -> Progress:
        """How far the run is: total, done and failed replications, its state, and the states of its jobs."""
        return driver.progress(self._folder, self._backend())

    def watch(self, on_progress: ProgressCallback | None = None, seconds_between_looks: float = 0.25) -> Progress:
        """Wait until the run is no longer being computed, telling `on_progress` about it; returns the last progress."""
        while True:
            now = self.status()
            if on_progress:
                on_progress(now)
            if now.state != "running":
                return now
            time.sleep(seconds_between_looks)

    def logs(self, job: str | None = None) -> dict[str, str]:
        """What the jobs have printed, by the job's name (plan-job, such as 0001-0001)."""
        jobs = driver.job_names(self._folder)
        if job is not None and job not in jobs:
            raise UsageError(
                f"run {self.id} has no job {job}", nearest(job, jobs) or f"Its jobs: {', '.join(jobs[:10])}"
            )
        backend = self._backend()
        return {name: backend.logs(self._folder, name) for name in ([job] if job else jobs)}

    def cancel(self, seconds_to_wait: float = 10) -> Progress:
        """Stop computing; what is done stays, and the run can be resumed."""
        process = driver.driver_of(self._folder)
        if process is not None and process.pid != os.getpid():
            process.terminate()
            until = time.monotonic() + seconds_to_wait
            while time.monotonic() < until and driver.driver_of(self._folder) is not None:
                time.sleep(0.05)
            if driver.driver_of(self._folder) is not None:
                process.kill()
                process.wait(seconds_to_wait)
        driver.stop_leftovers(self._folder, self._backend())
        return self.status()

    def resume(
        self, *, retry_failed: bool = False, workers: int | None = None, on_progress: ProgressCallback | None = None
    ) -> "Run":
        """Compute what is missing, with the run's own snapshot of the code; with `retry_failed` failed replications too."""
        if changed_since(self.record, self.folder / "code"):
            warnings.warn(
                f"{self.record['simulation']['path']} has changed since run {self.id} began; the run goes on with its own snapshot",
                stacklevel=2,
            )
        reason = "retry failed" if retry_failed else "resume"
        self._drive(reason, self.replications, retry_failed, workers, on_progress)
        return self

    def extend(
        self, replications: int, *, workers: int | None = None, on_progress: ProgressCallback | None = None
    ) -> "Run":
        """Bring every condition to `replications` in all; those that are there already stay as they are."""
        check_replications(replications)
        if replications < self.replications:
            raise UsageError(
                f"run {self.id} has {self.replications} replications of each condition, more than {replications}",
                "extend names the number that there should be in all.",
            )
        self._drive("extend", replications, False, workers, on_progress)
        return self

    def results(self) -> Any:
        """The run's one table, as a pandas.DataFrame: condition, replication, the parameters, the outputs."""
        table = results_.table(self._folder)
        self._warn_about_same_values(table)
        return results_.as_pandas(table, self.record["parameters"])

    def results_table(self) -> Any:
        """The same as a pyarrow.Table."""
        return results_.table(self._folder)

    def summary(self) -> Any:
        """Per condition and numeric output: n, failed, missing, warnings, mean, sd and MCSE, as a pandas.DataFrame."""
        collected = self._collect()
        self._warn_about_same_values(collected.results)
        return summary(self._folder, collected)

    def errors(self) -> Any:
        """The failed replications: condition, replication, parameters, message, call, traceback, as a pandas.DataFrame."""
        return results_.as_pandas(
            results_.with_parameters(self._folder, self._collect().failures), self.record["parameters"]
        )

    def warnings(self) -> Any:
        """What replications warned of: condition, replication, parameters, message, count, as a pandas.DataFrame."""
        return results_.as_pandas(
            results_.with_parameters(self._folder, self._collect().warnings), self.record["parameters"]
        )

    def artifacts(self, condition: int, replication: int) -> list[Path]:
        """The files that a replication left: those of a script's output folder, value.rds or value.pkl of a function."""
        folder = self.folder / "artifacts" / str(condition) / str(replication)
        return sorted(p for p in folder.rglob("*") if p.is_file()) if folder.is_dir() else []

    def replay(self, condition: int, replication: int) -> int:
        """Run one replication again in the foreground, on its stream, with its output shown. Returns 0, or 3 if it failed."""
        if not 1 <= condition <= self.record["conditions"]:
            raise UsageError(f"run {self.id} has conditions 1 to {self.record['conditions']}, not {condition}")
        check_replications(replication)
        spec = self.record["simulation"]
        one = planning.Work(*(np.array([v], dtype=np.int64) for v in (condition, replication, 1)))
        design = self._folder.conditions()
        with tempfile.TemporaryDirectory(prefix="simferry-replay-") as name:
            root = Path(name)
            shutil.copytree(self.folder / "code", root / "input" / "code")
            (root / "input" / "plan").mkdir()
            (root / "scratch").mkdir()
            facts = {k: spec[k] for k in ("language", "kind", "function", "script", "objects", "results_file")}
            facts |= {"private_mount": "yes" if spec["private_mount"] else "", "cores": self._backend().workers}
            job = planning.job_bytes(facts, one, self._streams(design), spec, design)
            (root / "input" / "plan" / "job").write_bytes(job)
            return int(self._backend().ask(spec, root, "replay", show=True).returncode)

    def _streams(self, design: Design) -> planning.Streams:
        common = driver.left_out(design.names, self.record["common"])
        return planning.Streams(self.seed, design.canonical(common), self.record["simulation"]["kind"] == "script")

    def _backend(self, workers: int | None = None) -> Any:
        options = self.record["options"]
        place = {**options["place"], **({"workers": workers} if workers else {})}
        return backend_of(options["backend"], **place)

    def _drive(
        self,
        reason: str,
        replications: int,
        retry_failed: bool,
        workers: int | None,
        on_progress: ProgressCallback | None,
    ) -> None:
        driver.drive(
            self._folder,
            self._backend(workers),
            reason,
            replications=replications,
            retry_failed=retry_failed,
            on_progress=on_progress or (lambda _: None),
        )

    def _collect(self) -> results_.Collected:
        names = [b.name for b in self._folder.block_names()]
        if self._collected is None or self._collected[0] != names:
            self._collected = (names, results_.collect(self._folder))
        return self._collected[1]

    def _warn_about_same_values(self, rows: Any) -> None:
        for condition in same_values(rows, self.record["parameters"])[:3]:
            warnings.warn(
                f"condition {condition} of run {self.id} returned the same values in every replication. Does the simulation "
                "call set.seed() (or seed its generator itself)? simferry gives each replication its own stream: leave it out.",
                stacklevel=3,
            )


def run(
    simulation: "str | Path | Callable[..., Any] | Simulation",
    design: "Design | Mapping[str, Any] | Any | None" = None,
    *,
    replications: int,
    seed: int | None = None,
    function: str = "simulate",
    args: str | None = None,
    include: Iterable[str | Path] = (),
    constants: Mapping[str, Any] | None = None,
    results_file: str = "",
    common: str | Iterable[str] = (),
    store: str | Path | None = None,
    backend: str = "local",
    workers: int | None = None,
    image: str | None = None,
    instance_type: str | None = None,
    jobs: int | None = None,
    max_runtime: float | None = None,
    hosts: int | None = None,
    cores: int | None = None,
    on_error: str = "continue",
    replication_timeout: float | None = None,
    retries: int = 2,
    fresh: bool = False,
    on_progress: ProgressCallback | None = None,
    on_start: Callable[[Run, int, bool], None] | None = None,
    detach: bool | Callable[[Run], Any] = False,
) -> Run:
    """Run a simulation: `replications` times for each condition of a design.

    simulation: path of a script, a function, or a program (with `args`); see `Simulation`.
    design: a Design (grid, zipped, table, random, latin_hypercube, sobol), or anything that `table` reads; None is one
        condition without parameters.
    seed: whole number from 0 to 2^31 - 1. Without one, one is drawn; it stands in `run.seed`.
    common: names of parameters (or "all") that do not change the random numbers: conditions that differ only there share them.
    workers: cores to use; all of them unless told otherwise. cores: how many one replication uses (1 for functions, all
        workers for scripts and commands).
    backend: "local", or "docker": containers of `image` here, under the contract of SageMaker Processing, with the cores and
        memory of `instance_type` (such as ml.m5.xlarge; all of this machine's otherwise), `jobs` of them, each for at most
        `max_runtime` seconds; `hosts` containers to a job give a whole script one cluster over all of them.
    on_error: "continue", or "stop" to end the run at the first failed replication.
    replication_timeout: seconds after which a replication is ended and recorded as failed.
    retries: how often what a lost job left undone is tried again.
    fresh: compute anew what an earlier run in the same store has computed.
    on_progress: called with a `Progress` while it runs. on_start: called once with the run, how many replications earlier
        runs had computed, and whether the seed was drawn.
    detach: return at once; the run goes on in the background (or with a function that is given it, and sees to that).

    Raises SimulationError, DesignError or UsageError before anything starts, Interrupted on Ctrl-C (the run can be resumed).
    """
    simulation = as_simulation(simulation, function, args, include, constants, results_file)
    design = as_design(design)
    check_replications(replications)
    folder = create(
        simulation, design, replications=replications, seed=seed, common=common, store=store, backend=backend,
        place={"workers": workers, "image": image, "instance_type": instance_type, "jobs": jobs,
               "max_runtime": max_runtime, "hosts": hosts},
        cores=cores, on_error=on_error, replication_timeout=replication_timeout, retries=retries,
    )  # fmt: skip
    new = Run(folder)
    taken_over = 0 if fresh else reuse.take_over(folder, Store(store), design)
    if on_start:
        on_start(new, taken_over, seed is None)
    if detach:
        (detach if callable(detach) else start_detached)(new)
    else:
        new._drive("run", replications, False, None, on_progress)
    return new


def open(name: str | Path, store: str | Path | None = None) -> Run:
    """The run of that id (or the beginning of it), folder, or `latest`. Raises RunNotFound, with the nearest ones."""
    return Run(Store(store).find(name))


def runs(store: str | Path | None = None) -> list[Run]:
    """Every run in a store, oldest first."""
    return [Run(folder) for folder in Store(store).folders()]


def start_detached(new: Run) -> None:
    """Go on with a run in the background; `watch` and `cancel` find it from any shell."""
    log = new.folder / "jobs" / "driver.log"
    with writing(new.folder), log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "simferry", "resume", str(new.folder)],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + 10
    while time.monotonic() < until and process.poll() is None and driver.driver_of(new._folder) is None:
        time.sleep(0.02)
    if process.poll() not in (None, 0) and driver.driver_of(new._folder) is None:
        raise SimferryError(
            f"the run could not go on in the background: {log.read_text().strip()[-500:]}", f"Its log is {log}"
        )


def changed_since(record: Mapping[str, Any], code: Path) -> bool:
    """Whether the script is another one now than when the run began."""
    path = Path(record["simulation"]["path"] or "/nowhere")
    snapshot = code / record["simulation"]["script"]
    return path.is_file() and snapshot.is_file() and path.read_bytes() != snapshot.read_bytes()
