"""Drivers: processes that compute runs for R, so that R can be interrupted and keeps its own handlers of signals.

A driver is this module run as a program. It imports all it needs, reads an order (a line of JSON) from standard input, writes its
progress, and at the end its warnings and its error. Then it waits for the next order. It ends when its input ends. An order may also
be to follow the logs of a run, or to start the worker of the next run, which has no answer. After a run of a function of R on this
machine, such a worker starts in any case: a script may have many loops (see docs/decisions/loops-ahead.md).
"""

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import WorkerError
from ..hints import Face, speaking
from ..jobs import waiting
from .words import described, warnings_and_notes


class DriverProcess:
    """A process that computes runs, one after the other. messages: those that it has sent about the current run, oldest first."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simferry._rbridge.drivers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.messages: list[dict[str, Any]] = []
        self._rest = b""

    def send(self, order: dict[str, Any]) -> None:
        """Send it the next order."""
        assert self.process.stdin is not None
        self.messages = []
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def has_ended(self, seconds_to_wait: float = 0) -> bool:
        """Whether it has finished its run, or has itself ended."""
        assert self.process.stdout is not None
        until = time.monotonic() + seconds_to_wait
        while not self._answered():
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            if not ready:
                return False
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                self.process.wait()
                return True
            *lines, self._rest = (self._rest + more).split(b"\n")
            self.messages += map(json.loads, lines)
        return True

    def _answered(self) -> bool:
        return bool(self.messages) and "error" in self.messages[-1]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, seconds_to_wait: float) -> bool:
        """Interrupt its run and let the process end. Returns whether the run has stopped in time."""
        self.process.terminate()
        stopped = self.has_ended(seconds_to_wait)
        self.let_go()
        return stopped

    def let_go(self) -> None:
        """Close its pipes: it ends after its current run."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def outcome(self, found: Any) -> dict[str, Any]:
        """Its last message about a run: the error (or None), warnings and notes."""
        if self._answered():
            return self.messages[-1]
        how = f"exit code {self.process.wait()}"
        error = WorkerError(f"the process that computed run {found.id} ended ({how})", found.command("resume"))
        return {"error": described(error), "warnings": [], "notes": []}


drivers: dict[str, DriverProcess] = {}  # by the address of the run that each computes
_spare: list[DriverProcess] = []  # at most one, ready for the next run


def keep_spare(used: DriverProcess | None = None) -> None:
    """Keep a driver ready for the next run, because starting one takes almost a second. used: one that has finished its run."""
    if _spare or (used is not None and not used.alive):
        if used is not None:
            used.let_go()
        used = None
    if not _spare:
        _spare.append(used or DriverProcess())


@atexit.register
def _let_go() -> None:
    for driver in _spare:
        driver.process.kill()
        driver.process.wait()
        driver.let_go()
    for driver in drivers.values():  # those that still compute go on
        driver.let_go()
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.process.wait(0.5)


def order(found: Any, task: dict[str, Any]) -> DriverProcess:
    """Send an order about a run to a driver. task: the verb, and its options."""
    driver = _spare.pop() if _spare else DriverProcess()
    if not driver.alive:
        driver.let_go()
        driver = DriverProcess()
    driver.send({"run": found.address, **_here(), **task})
    return driver


def _here() -> dict[str, Any]:
    return {"cwd": os.getcwd(), "environment": dict(os.environ)}


LIKE_LOOP = {"language": "r", "kind": "function", "objects": "objects.rds"}  # what a worker has to know of a loop


def start_worker(spec: Mapping[str, Any], store: Path, idle: bool = False) -> DriverProcess | None:
    """Let the spare driver start a worker for the next run (jobs/waiting.py). idle: whether that may be a while. Returns the
    driver, or None if there is none."""
    spare = _spare[0] if _spare and _spare[0].alive else None
    if spare:
        spare.send({"verb": "wait", "spec": spec, "store": str(store), "idle": idle, **_here()})
    return spare


@contextlib.contextmanager
def worker_started(sweep: Any) -> Iterator[None]:
    """Within the block, in which the run is created, the spare driver starts the worker of its first job. If there is an error, it
    ends it."""
    from ..backends import backend_of
    from ..backends.local import Local
    from ..store.places import store_at

    backend, spare = backend_of(sweep.backend), None
    if isinstance(backend, Local):
        store = store_at(sweep.options.store, backend.default_store).path
        spare = start_worker(sweep.simulation.spec(), store)
    try:
        yield
    except BaseException:
        if spare:
            spare.send({"verb": "wait", "spec": None, **_here()})
        raise


def main() -> None:
    """The main loop of a driver."""
    from ..verbs import compute, runs  # noqa: F401  early: they take longer to load than a short run

    try:
        for text in sys.stdin:
            order = json.loads(text)
            become(order["environment"])
            forget_aws()
            os.chdir(order["cwd"])
            if order["verb"] == "wait":
                _start_worker(order)
            elif not _answered(order):
                return  # R has ended
            elif "spec" in order:
                _start_worker(order)
    finally:
        waiting.end()


def _answered(order: dict[str, Any]) -> bool:
    """Carry out an order and answer. Returns False if nobody reads the answer."""
    answer: dict[str, Any] = {"error": None}
    with speaking(Face.R), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            _carry_out(order)
        except BaseException as error:
            answer["error"] = described(error)
        answer |= warnings_and_notes(warned)
    try:
        print(json.dumps(answer), flush=True)
    except OSError:
        return False
    return True


def _carry_out(order: dict[str, Any]) -> None:
    from ..verbs import runs
    from ..verbs.compute import backend_of_run, compute

    found = runs.open(order["run"])
    if order["verb"] == "follow":
        for job, line in found.follow(order["job"]):
            print(json.dumps({"job": job, "line": line}), flush=True)
        return
    with open(found.folder / "jobs" / "driver.log", "ab") as log:
        os.dup2(log.fileno(), 2)
    folder = found._folder
    here, spec = folder.record.options.backend == "local", folder.record.simulation
    if here and LIKE_LOOP.items() <= spec.items():
        order |= {"spec": LIKE_LOOP, "store": str(folder.path.parent), "idle": True}  # for the next one
    if order["verb"] == "run":
        _forget_old_worker()
        folder.waiting = waiting.take(spec, folder.path.parent) if here else None
        try:
            compute(folder, backend_of_run(folder), "run", found.replications, on_progress=_report)
        finally:
            folder.end_waiting()
    else:
        getattr(found, order["verb"])(**order["options"], on_progress=_report)


_read_by_r: list[Any] = []  # of the files that R reads at its start, when the last worker was started


def _start_worker(order: dict[str, Any]) -> None:
    """Start the worker of the next run, unless there is one that would do."""
    _forget_old_worker()
    if order["spec"]:
        waiting.start(order["spec"], Path(order["store"]), order["idle"])
    else:
        waiting.end()


def _forget_old_worker() -> None:
    """End the worker that waits if a file has changed since that a user's R reads when it starts."""
    files = [Path.home() / name for name in (".Rprofile", ".Renviron")]
    now = [(file.stat().st_mtime_ns, file.stat().st_size) if file.exists() else None for file in files]
    if now != _read_by_r:
        waiting.end()
        _read_by_r[:] = now


def _report(now: Any) -> None:
    """Send the progress, unless the pipe is full: R may be busy, or have ended."""
    if select.select([], [sys.stdout], [], 0)[1]:
        with contextlib.suppress(OSError):
            print(json.dumps(progress_fields(now)), flush=True)


def progress_fields(now: Any) -> dict[str, Any]:
    """The fields of a Progress, as R needs them."""
    from ..driver.progress import jobs_text, rate_texts

    jobs = "" if now.dollars is None and len(now.jobs) <= 20 else jobs_text(now)
    counts = {"total": now.total, "done": now.done, "failed": now.failed, "state": now.state, "said": jobs}
    return {**counts, "pace": ", ".join(rate_texts(now))}


def become(environment: Mapping[str, str]) -> None:
    """Replace the environment by these variables. If those of AWS change, forget its sessions."""
    if _of_aws(environment) != _of_aws(os.environ):
        forget_aws()
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _of_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("AWS_")}


def forget_aws() -> None:
    """Forget the AWS sessions: an R session may last longer than a login or an emulator."""
    session = sys.modules.get("simferry.aws.session")
    for kept in (session.session, session.client, session.account) if session else ():
        kept.cache_clear()


if __name__ == "__main__":
    main()
