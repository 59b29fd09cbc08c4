"""The local backend: jobs are process groups on this machine."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import SimulationError
from ..hints import Option
from ..jobs.launch import CHECK_PREFIX, command_here, end_processes, environment_here, environment_of_job, job_of
from ..store import records
from ..store.folder_store import DEFAULT_STORE, Store
from ..store.run_folder import LOCK, RunFolder
from ..sweep.inputs import bring
from ..sweep.options import LocalOptions
from ..system import untrusted
from ..system.cores import cores_here
from ..system.files import write_whole, writing
from ..system.processes import alive, identity, process_of
from .base import (
    ENDED,
    LONGEST_LOG,
    Cursor,
    Foreground,
    JobState,
    Lines,
    Prepared,
    Report,
    Standing,
    Staying,
    Traits,
    new_lines,
)  # fmt: skip
from .foreground import Interpreter, StayingHere


class Local:
    name = "local"

    def __init__(self, options: LocalOptions | None = None) -> None:
        self.options = options or LocalOptions()
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    @cached_property
    def traits(self) -> Traits:
        return Traits(self.options.workers or cores_here())

    def default_store(self) -> str:
        return DEFAULT_STORE

    def prepare(self, spec: Mapping[str, Any], store: str, on_progress: Report) -> Prepared:
        if spec["private_mount"] and not _allows_private_mounts():
            raise SimulationError(
                f"{spec['script']} writes to /opt/ml/processing/output, and this system allows no private mount there",
                "Let it write to the folder named by the environment variable SIMFERRY_OUTPUT, or run it with "
                + Option("backend", "docker"),
            )
        return Prepared()

    def foreground(self, verb: str) -> Foreground:
        return Interpreter()

    def staying(self, spec: Mapping[str, Any], home: Store, run_id: str, meanwhile: Callable[[], None]) -> Staying:
        return StayingHere(spec, home.path, meanwhile)

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        for job in jobs:
            root = run.jobs / job
            with writing(run.path):
                make_root(run, job)
            spec = run.record.simulation
            record = {"driver": identity(os.getpid()), "state": "running"}
            waiting, run.waiting = run.waiting, None
            if waiting:  # recorded before it runs: if this driver dies, another one finds its processes
                _record(root, {**identity(waiting.process.pid), **record, "mark": waiting.mark})
                if waiting.run(root):
                    self._processes[root] = waiting.process
                    continue
            self._processes[root] = process = _started(spec, root)
            _record(root, {**identity(process.pid), **record})

    def poll(self, run: RunFolder, jobs: Sequence[str], begin: bool = False) -> Standing:
        there = set(os.listdir(run.jobs))  # one listing: a plan may have very many jobs that never started
        states = {job: self._state(run.jobs / job) if job in there else "pending" for job in jobs}
        return Standing({job: JobState(state, cut_short=state == "lost") for job, state in states.items()})

    def wait(self, seconds: float) -> None:
        running = [process.pid for process in self._processes.values() if process.returncode is None]
        until_then = select.poll() if hasattr(os, "pidfd_open") else None
        if until_then is None:
            time.sleep(seconds)
            return
        with contextlib.ExitStack() as at_end:
            for pid in running:
                with contextlib.suppress(OSError):  # it has just ended, or there are too many open files
                    file = os.pidfd_open(pid)
                    at_end.callback(os.close, file)
                    until_then.register(file, select.POLLIN)
            until_then.poll(seconds * 1000)

    def read_logs(self, run: RunFolder, jobs: Sequence[str], after: Cursor | None = None) -> tuple[Lines, Cursor]:
        cursor = dict(after or {})
        logs = {job: untrusted.read(run.jobs, f"{job}/log.txt", LONGEST_LOG) or b"" for job in jobs}
        return [line for job, log in logs.items() for line in new_lines(job, "", log, cursor)], cursor

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        for job in jobs:
            root = run.jobs / job
            record = _record_of(root)
            if record["state"] == "pending" or record["state"] in ENDED:
                continue
            if not at_once:
                with contextlib.suppress(OSError, KeyError):  # a job that has just started has no process number yet
                    (root / "scratch" / "stop").touch()
                    process = process_of(record)
                    if process and job_of(process) == _mark(root, record):  # a record may name any process
                        os.killpg(record["pid"], signal.SIGINT)
            elif root in self._processes:
                end_processes(_mark(root, record))
            else:
                _settle(root, record, "lost")

    def _state(self, root: Path) -> str:
        record = _record_of(root)
        if record["state"] != "running":
            return "lost" if record["state"] == "unknown" else str(record["state"])
        process = self._processes.get(root)
        if process is None:  # another driver started it, and will record its end if it is alive
            lock = root.parent / LOCK
            return "running" if alive(record, lock) or alive(record.get("driver", {}), lock) else "lost"
        status = process.poll()
        if status is None:
            return "running"
        stopped = (root / "scratch" / "stop").exists()
        return _settle(root, record, "cancelled" if stopped else "succeeded" if status == 0 else "failed")


def _started(spec: Mapping[str, Any], root: Path) -> "subprocess.Popen[bytes]":
    """The worker of a job, started."""
    environment = {**environment_here(spec, str(root / "input")), **environment_of_job(str(root))}
    command = command_here(spec["language"])
    with writing(root):
        log = open(root / "log.txt", "wb")  # noqa: SIM115
    with log:
        return subprocess.Popen(
            [*command, "run", str(root)], cwd=root / "input" / "code", env=environment,
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def _mark(root: Path, record: Mapping[str, Any]) -> str:
    """By which the processes of a job are found. A record could name any job's: only the folder of a check counts."""
    mark = str(record.get("mark", ""))
    return mark if Path(mark).name.startswith(CHECK_PREFIX) else str(root)


def _allows_private_mounts() -> bool:
    command = ["unshare", "--mount", "true"]
    if os.getuid() != 0:
        command.insert(1, "--map-root-user")
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    return False


def make_root(run: RunFolder, job: str) -> Path:
    """Create a job's folder on a machine that has the run folder, with everything that its worker needs."""
    root = run.jobs / job
    (root / "input" / "plan").mkdir(parents=True)
    (root / "scratch").mkdir()
    shutil.copy(run.job_folder(job) / "job", root / "input" / "plan" / "job")
    # a copy: files that the simulation writes beside its script must not change the run's code
    _copy(run.code, root / "input" / "code")
    for name, one in run.inputs.items():
        (root / "input" / name).symlink_to(bring(name, one, run))
    for folder in ("blocks", "artifacts"):
        (root / folder).symlink_to(Path("..", "..", folder))
    return root


def _copy(source: Path, target: Path) -> None:
    """As shutil.copytree, whose errors do not say that a disk is full."""
    target.mkdir()
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        else:
            shutil.copy(path, copy)


def _record_of(root: Path) -> dict[str, Any]:
    """The content of a job's job.json. State `unknown`: its driver ended while it started the job."""
    return records.read_job(root, "job.json") or {"state": "unknown" if root.exists() else "pending"}


def _record(root: Path, record: dict[str, Any]) -> None:
    with writing(root):
        write_whole(root / "job.json", json.dumps(record).encode())


def _settle(root: Path, record: dict[str, Any], state: str) -> str:
    """End a job's processes, remove its inputs and record its state."""
    if root.is_symlink():  # not a job's folder: its content belongs to somebody else
        return state
    end_processes(_mark(root, record))
    for folder in ("input", "scratch"):
        shutil.rmtree(root / folder, ignore_errors=True)
    _record(root, {**record, "state": state})
    return state
