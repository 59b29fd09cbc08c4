"""Runs the worker in the foreground, for checks and replays: with the interpreter of this machine, or in an image."""

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ..aws.contracts import processing as contract
from ..containers.engine import run_once
from ..jobs.launch import JOB, command_here, command_in_container, end_processes, environment_here, environment_of
from ..system.terminal import shown
from .base import Backend, Foreground, Interactive


class Interpreter:
    """The R or Python of this machine."""

    def __init__(self, contract: bool = False, substitute: bool = False, image: str = "") -> None:
        self.contract, self.substitute, self.image = contract, substitute, image

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
            end_processes(root)
            printed = [_text(file) if file else "" for file in (out, err)]
        return subprocess.CompletedProcess(command, status, *printed)


class InImage:
    """A container of an image on this machine. client: a Docker client."""

    contract, substitute = True, False

    def __init__(self, image: str, client: Any) -> None:
        self.image, self.client = image, client

    def ask(
        self, spec: Mapping[str, Any], root: Path, verb: str, show: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        for path in [root, *(p for p in root.rglob("*") if not p.is_symlink())]:
            path.chmod(0o777 if path.is_dir() else 0o666)  # the image's user is not this one
        command = [*command_in_container(spec["language"], contract.CODE), verb]
        volumes = {str(root): {"bind": contract.ROOT, "mode": "rw"}}
        environment = environment_of(spec, contract.INPUTS)
        status, out, err = run_once(self.client, self.image, command, volumes=volumes, environment=environment)
        if show:
            sys.stdout.write(shown(out, sys.stdout))
            sys.stderr.write(shown(err))
        return subprocess.CompletedProcess(command, status, out, err)


def foreground_of(backend: Backend, verb: str) -> Foreground:
    """Where `check` or `replay` runs for a backend."""
    if isinstance(backend, Interactive):
        return backend.foreground(verb)
    return Interpreter(backend.traits.contract, substitute=True)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
