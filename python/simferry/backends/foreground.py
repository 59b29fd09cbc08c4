"""Runs the worker in the foreground, for checks and replays, with the interpreter of this machine. In an image: in_image.py."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ..jobs.launch import (
    JOB,
    command_here,
    end_processes,
    environment_here,
    environment_of_job,
)
from .base import Backend, Foreground, Interactive

_READ_AT_START = (".Rprofile", ".Renviron")


class Interpreter:
    """The R or Python of this machine."""

    def __init__(self, contract: bool = False, substitute: bool = False, image: str = "") -> None:
        self.contract, self.substitute, self.image = contract, substitute, image

    def check(self, spec: Mapping[str, Any], root: Path) -> "subprocess.CompletedProcess[str]":
        """Run the worker's `check` with `root` as its root."""
        return self.ask(spec, root, "check")

    def ask(
        self, spec: Mapping[str, Any], root: Path, verb: str, show: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        sys.stdout.flush()
        command = [*command_here(spec["language"]), verb, str(root)]
        environment = {**environment_here(spec, str(root / "input")), JOB: str(root)}
        with contextlib.ExitStack() as until_done:
            # files, because a pipe stays open while a program that was left running holds it
            out, err = (None if show else until_done.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            status = subprocess.run(
                command, cwd=root / "input" / "code", env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False,
            ).returncode  # fmt: skip
            end_processes(str(root))
            printed = [_text(file) if file else "" for file in (out, err)]
        return subprocess.CompletedProcess(command, status, *printed)


class StayingHere(Interpreter):
    """R that goes on as the first job's worker after a check: it starts once.

    store: the folder of the run to come. meanwhile: what is done while it checks.
    """

    def __init__(self, store: Path, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.store, self.meanwhile = store, meanwhile
        self.waiting: Waiting | None = None

    def check(self, spec: Mapping[str, Any], root: Path) -> "subprocess.CompletedProcess[str]":
        self.end()
        if spec["language"] == "r" and (started := Waiting.started(spec, root, self.store)):
            self.waiting = started
            if started.has_answered(root, self.meanwhile):
                # what the check left running would still be there when the job loads the simulation
                end_processes(started.mark, spared=started.process.pid)
                return subprocess.CompletedProcess([], 0, "", started.printed())
            self.end()
        return super().check(spec, root)  # says how it ended

    def end(self) -> None:
        """End the process that waits, if any."""
        if self.waiting:
            self.waiting.end()
            self.waiting = None


class Waiting:
    """A worker that has checked a simulation, and waits for its first job. made: whether the folder of its log is new."""

    def __init__(self, process: "subprocess.Popen[bytes]", mark: str, log: Path, made: bool) -> None:
        self.process, self.mark, self.log, self.made = process, mark, log, made
        self.answered = False

    @classmethod
    def started(cls, spec: Mapping[str, Any], root: Path, store: Path) -> "Waiting | None":
        """Starts one, whose root is `root` as yet. None where it would not do: nothing can be written beside the run to come,
        or R is told by files of its folder what to do when it starts, for which the folder has to be the job's."""
        code = root / "input" / "code"
        if any((code / name).exists() for name in _READ_AT_START):
            return None
        try:
            made = not store.exists()
            store.mkdir(exist_ok=True)
            number, name = tempfile.mkstemp(prefix=".log-", dir=store)  # where it can be moved to the job's folder
        except OSError:
            return None
        os.close(number)
        command = [*command_here(spec["language"]), "check_and_run", str(root), name]
        environment = {**environment_here(spec, str(root / "input")), **environment_of_job(str(root))}
        with open(name, "ab") as log:  # to append, so that it can be emptied
            process = subprocess.Popen(
                command, cwd=code, env=environment,
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        return cls(process, str(root), Path(name), made)

    def has_answered(self, root: Path, meanwhile: Callable[[], None]) -> bool:
        """Waits until the check is done. Whether there is an answer, and the process goes on."""
        try:
            meanwhile()
            while self.process.poll() is None and not (root / "checked").exists():
                time.sleep(0.002)
        except BaseException:
            self.end()
            raise
        self.answered = self.process.poll() is None and (root / "check").exists()
        return self.answered

    def printed(self) -> str:
        """What it has printed while it checked."""
        return self.log.read_text(errors="replace")

    def run(self, root: Path) -> bool:
        """Let it run the job with this root. Returns False if it can't; it has ended then."""
        try:
            os.truncate(self.log, 0)
            os.rename(self.log, root / "log.txt")
            assert self.process.stdin is not None
            self.process.stdin.write(os.fsencode(root) + b"\n")
            self.process.stdin.close()
        except OSError:
            self.end()
            return False
        return True

    def end(self) -> None:
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(OSError):  # it has ended
                self.process.stdin.write(b"\n")  # there is no job
                self.process.stdin.close()
        if not self.answered:
            self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)  # R removes its temporary folder
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        end_processes(self.mark)
        self.log.unlink(missing_ok=True)
        if self.made:
            with contextlib.suppress(OSError):  # it holds runs by now
                self.log.parent.rmdir()


def foreground_of(backend: Backend, verb: str) -> Foreground:
    """Where `check` or `replay` runs for a backend."""
    if isinstance(backend, Interactive):
        return backend.foreground(verb)
    return Interpreter(backend.traits.contract, substitute=True)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
