"""Runs the worker in the foreground, for checks and replays, with the interpreter of this machine. In an image: in_image.py."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from ..jobs import waiting
from ..jobs.launch import JOB, command_here, end_processes, environment_here
from .base import Backend, Foreground, Interactive


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
        print(end="", flush=True)  # a session may have no standard output
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
    """A worker that goes on as the first job's after a check: its interpreter starts once (see jobs/waiting.py).

    spec: the simulation. store: the folder of the run to come. meanwhile: what is done while it checks.
    """

    def __init__(self, spec: Mapping[str, Any], store: Path, meanwhile: Callable[[], None]) -> None:
        super().__init__()
        self.store, self.meanwhile = store, meanwhile
        self.waiting = waiting.started(spec, store)

    def check(self, spec: Mapping[str, Any], root: Path) -> "subprocess.CompletedProcess[str]":
        if self.waiting is None or self.waiting.asked:  # a simulation may be checked twice
            self.end()
            self.waiting = waiting.started(spec, self.store)
        if self.waiting and self.waiting.check(root, self.meanwhile):
            return subprocess.CompletedProcess([], 0, "", self.waiting.printed())
        self.end()
        return super().check(spec, root)  # says how it ended

    def end(self) -> None:
        """End the process that waits, if any."""
        if self.waiting:
            self.waiting.end()
            self.waiting = None


def foreground_of(backend: Backend, verb: str) -> Foreground:
    """Where `check` or `replay` runs for a backend."""
    if isinstance(backend, Interactive):
        return backend.foreground(verb)
    return Interpreter(backend.traits.contract, substitute=True)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
