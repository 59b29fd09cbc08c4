"""A worker that starts before it is known what it has to do: its interpreter takes longer to start than ten short replications.

It reads what to do from its standard input, a line for each: `check ROOT`, then `run ROOT` or `end`. It checks in a fork, so that
it has loaded nothing of the simulation when it runs the job. If its input ends without `end`, the driver has died: the worker then
removes what nobody else will. It starts in the folder of simferry's own worker, with the environment of a job: `take` gives it
only to a simulation that has exactly this environment. What it prints goes into a file of the store, which becomes the job's log.

Nothing that takes long to load is imported here: the command line starts it before anything else (simferry/__main__.py).
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import WorkerError
from .launch import CHECK_PREFIX, WORKER, command_here, end_processes, environment_here, environment_of_job

# R reads them in the folder in which it starts, which has to be the job's then
_READ_AT_START = (".Rprofile", ".Renviron")


class Waiting:
    """A worker that waits for what to do.

    language: of the worker. environment: of the job, but for its inputs. mark: by which its processes are found. log: takes what it
    prints. made: whether the folder of the log is new.
    """

    def __init__(self, language: str, environment: Mapping[str, str], store: Path) -> None:
        """Start it. Raises OSError where nothing can be written into the store, WorkerError without an interpreter."""
        command = command_here(language)
        self.language, self.environment, self.store = language, environment, store
        self.asked = self.answered = False
        self.made = not store.exists()
        store.mkdir(exist_ok=True)
        self.log = store / f".log-{os.urandom(6).hex()}"  # where it can be moved to the job's folder
        self.mark = f"{store}/{CHECK_PREFIX}{os.urandom(6).hex()}"
        try:
            with open(self.log, "xb", opener=_append) as log:  # so that it can be emptied
                self.process = subprocess.Popen(
                    [*command, "wait", str(self.log), *([str(store)] if self.made else [])],
                    cwd=WORKER, env={**environment, **environment_of_job(self.mark)},
                    stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
        except BaseException:
            self._remove_log()
            raise

    def check(self, root: Path, meanwhile: Callable[[], None]) -> bool:
        """Let it check the simulation in this root. meanwhile: what is done until it has answered.

        Returns whether there is an answer, and it waits for the job.
        """
        if not self._can_start_in(root):
            return False
        try:
            self.asked = True
            self._say(f"check {root}")
            meanwhile()
            while self.process.poll() is None and not (root / "checked").exists():
                time.sleep(0.002)
        except OSError:
            return False
        self.answered = self.process.poll() is None and (root / "check").exists()
        if self.answered:  # what the check left running would still be there when the job loads the simulation
            end_processes(self.mark, spared=self.process.pid)
        return self.answered

    def printed(self) -> str:
        """What it has printed while it checked."""
        return self.log.read_text(errors="replace")

    def prepare(self) -> None:
        """Let it compile, while there is time, what a job may repeat. Only R does."""
        if self.language == "r":
            with contextlib.suppress(OSError):
                self._say("prepare")

    def run(self, root: Path) -> bool:
        """Let it run the job with this root. Returns False if it can't; it has ended then."""
        try:
            if not self._can_start_in(root):
                raise OSError
            os.truncate(self.log, 0)
            os.rename(self.log, root / "log.txt")
            self._say(f"run {root}")
        except OSError:
            self.end()
            return False
        return True

    def end(self) -> None:
        """End it, and remove its log. One that may be starting yet ends by itself, as soon as it reads that it is to end."""
        with contextlib.suppress(OSError):
            self._say("end")
        if self.asked:
            if not self.answered:
                self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)  # R removes its temporary folder
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            end_processes(self.mark)
        else:
            threading.Thread(target=self.process.wait, daemon=True).start()  # reaps it
        self._remove_log()

    def _say(self, line: str) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        if stdin.closed:
            raise BrokenPipeError
        stdin.write(os.fsencode(line) + b"\n")
        stdin.flush()
        if line.startswith(("run ", "end")):
            stdin.close()

    def _can_start_in(self, root: Path) -> bool:
        code = root / "input" / "code"
        return self.language != "r" or not any((code / name).exists() for name in _READ_AT_START)

    def _remove_log(self) -> None:
        self.log.unlink(missing_ok=True)
        if self.made:
            with contextlib.suppress(OSError):  # it holds runs by now
                self.store.rmdir()


def _append(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_APPEND)


_ahead: Waiting | None = None  # the one that was started, and that nobody has taken


def start(spec: Mapping[str, Any], store: Path, idle: bool = False) -> None:
    """Start a worker for a simulation that is to be run here, unless there is one already, or none can be started.

    spec: as in run.json, or what is known of it: language, kind, objects. store: the folder of the run to come. idle: whether it
    is expected to wait for a while.
    """
    global _ahead
    environment = environment_here(spec, "")
    if _ahead and _fits(_ahead, spec, environment, store):
        return
    end()
    with contextlib.suppress(OSError, WorkerError):
        _ahead = Waiting(spec["language"], environment, store)
        if idle:
            _ahead.prepare()


def take(spec: Mapping[str, Any], store: Path) -> Waiting | None:
    """The worker that was started, if it is one for this simulation. It is the caller's from now on."""
    global _ahead
    taken, _ahead = _ahead, None
    if taken is None or _fits(taken, spec, environment_here(spec, ""), store):
        return taken
    taken.end()
    return None


def started(spec: Mapping[str, Any], store: Path) -> Waiting | None:
    """A worker for this simulation, which is the caller's. None if none can be started."""
    start(spec, store)
    return take(spec, store)


def end() -> None:
    """End the worker that nobody has taken."""
    global _ahead
    left, _ahead = _ahead, None
    if left:
        left.end()


def _fits(one: Waiting, spec: Mapping[str, Any], environment: Mapping[str, str], store: Path) -> bool:
    return (one.language, one.environment, one.store) == (spec["language"], environment, store)
