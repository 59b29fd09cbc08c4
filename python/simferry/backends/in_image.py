"""Runs the worker in the foreground in containers of an image, for checks and replays; after a check one may go on as the first job."""

import math
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..aws.contracts import processing as contract
from ..aws.instances import Instance
from ..containers.engine import EngineError, ImageError, connect, find_image, run_once
from ..containers.removal import open_by_image
from ..containers.waiting import WaitingContainer, open_to_all
from ..errors import SimulationError, UsageError
from ..hints import Option, Shell
from ..jobs.launch import command_in_container, environment_of
from ..system import untrusted
from ..system.terminal import shown
from .base import Foreground
from .foreground import Interpreter

LONGEST_ANSWER, LONGEST_MESSAGE = 1 << 26, 1 << 16  # bytes
# bytes of a simulation's files and inputs: copying more takes longer than to start a second container
MOST_COPIED = 1 << 24


class InImage:
    """A container of an image on this machine. client: a Docker client.

    isolated: jobs have no network, so that a setup script has none here either. seconds: that a setup script and a check may take.
    """

    contract, substitute = True, False

    def __init__(self, image: str, client: Any, seconds: float, isolated: bool = False) -> None:
        self.image, self.client, self.seconds, self.isolated = image, client, seconds, isolated

    def check(self, spec: Mapping[str, Any], root: Path) -> "subprocess.CompletedProcess[str]":
        return self.ask(spec, root, "check")

    def ask(
        self, spec: Mapping[str, Any], root: Path, verb: str, show: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        open_to_all(root)
        command = [*command_in_container(spec, contract.CODE), verb]
        network = "bridge" if spec.get("before") and not self.isolated else "none"
        volumes = {str(root): {"bind": contract.ROOT, "mode": "rw"}}
        environment = environment_of(spec, contract.INPUTS)
        given = {"volumes": volumes, "environment": environment, "network_mode": network}
        try:
            at_most = self.seconds if spec.get("before") else None
            status, out, err = run_once(self.client, self.image, command, at_most, **given)
        except TimeoutError:
            raise self._too_long(spec) from None
        finally:
            if spec.get("before"):  # it may have left files, which are its user's
                open_by_image(self.client, self.image, root)
        if show:
            sys.stdout.write(shown(out, sys.stdout))
            sys.stderr.write(shown(err))
        return subprocess.CompletedProcess(command, status, out, err)

    def _too_long(self, spec: Mapping[str, Any]) -> SimulationError:
        return SimulationError(
            f"{spec['before']} and the check of the simulation did not end within {self.seconds:.0f} s, the time limit of a job",
            Option("max_runtime", 3600) + "  allows more.",
        )


def in_image_if_here(image: str, verb: str, seconds: float, isolated: bool = False) -> Foreground:
    """In the image of a service's jobs if Docker has it on this machine. Else a check runs with the interpreter of this machine, and a
    replay is refused: another R or Python may give other numbers. seconds, isolated: as of InImage."""
    try:
        find_image(client := connect(), image, pull=False)
    except (EngineError, ImageError, UsageError):
        if verb == "replay":
            raise UsageError(
                f"a replay needs the image {image}, which is not on this machine", Shell("docker", "pull", image)
            ) from None
        return Interpreter(contract=True, substitute=True, image=image)
    return InImage(image, client, seconds, isolated)


class StayingInImage(InImage):
    """A container that goes on as the first job's, after a check: the engine starts one for both.

    job, owner: names of that job and of its run, which is to come, in the folder `store`; without a job none goes on. kind: has the
    container's limits. meanwhile: what is done while it checks.
    """

    def __init__(
        self,
        image: str,
        client: Any,
        seconds: float,
        kind: Instance,
        job: str,
        owner: str,
        store: Path,
        meanwhile: Callable[[], None],
    ) -> None:
        super().__init__(image, client, seconds)
        self.kind, self.job, self.owner, self.store, self.meanwhile = kind, job, owner, store, meanwhile
        self.waiting: WaitingContainer | None = None

    def check(self, spec: Mapping[str, Any], root: Path) -> "subprocess.CompletedProcess[str]":
        self.end()
        try:
            if self.job and _size(root / "input") <= MOST_COPIED:
                sets_up = bool(spec.get("before"))
                self.waiting = WaitingContainer(self.client, self.image, self.job, self.owner, self.store, sets_up)
        except OSError:
            pass
        if self.waiting:
            try:
                done = self._checked(self.waiting, spec, root)
            except BaseException:
                self.end()
                raise
            if done:
                return done
            self.end()
        return super().check(spec, root)  # says how it ended

    def _checked(
        self, waiting: WaitingContainer, spec: Mapping[str, Any], root: Path
    ) -> "subprocess.CompletedProcess[str] | None":
        """The check's outcome, if it has an answer. Ends the container if it is not fit to go on."""
        command = [*command_in_container(spec, contract.CODE), "check_and_run"]
        waiting.start(command, environment_of(spec, contract.INPUTS), self.kind, root / "input")
        try:
            is_waiting = waiting.is_waiting("checked", self.meanwhile, self.seconds if waiting.sets_up else math.inf)
        except TimeoutError:
            raise self._too_long(spec) from None
        message = untrusted.read(waiting.mount, "processing/message", LONGEST_MESSAGE) if waiting.sets_up else None
        answer = untrusted.read(waiting.mount, "processing/check", LONGEST_ANSWER)
        if message is not None and not is_waiting:  # of the setup script
            (root / "message").write_bytes(message)
            self.end()
            return subprocess.CompletedProcess(command, 1, "", "")
        if answer is None or not (is_waiting or waiting.status == 0):
            return None
        (root / "check").write_bytes(answer)
        done = subprocess.CompletedProcess(command, 0, "", waiting.printed())
        if not (is_waiting and waiting.put_aside(root / "input")):
            self.end()
        return done

    def end(self) -> None:
        if self.waiting:
            self.waiting.end()
            self.waiting = None


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
