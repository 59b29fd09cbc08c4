"""The local backend: jobs are process groups on this machine."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

from .. import untrusted
from ..errors import SimulationError
from ..files import write_whole, writing
from ..jobs.launch import command_here, environment_here
from ..processes import alive, identity, process_of
from ..store import records
from ..store.folder_store import DEFAULT_STORE
from ..store.run_folder import LOCK, RunFolder
from ..sweep.inputs import bring
from .base import ENDED, LONGEST_LOG, follow_here

JOB = "SIMFERRY_JOB"  # in the environment of all processes of a job: its folder


def cores_here() -> int:
    """The cores that this process may use, as affinity and containers limit them."""
    import joblib

    return int(joblib.cpu_count())


class Local:
    name = "local"
    jobs = 1
    seconds_at_most = float("inf")
    contract = False
    note = ""
    jobs_go_on = False
    seconds_between_polls = 0.25
    waits_for = ""
    asks_elsewhere = False
    begun = True

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores_here()
        self.options: dict[str, Any] = {}
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    def default_store(self) -> str:
        return DEFAULT_STORE

    def found(self) -> dict[str, Any]:
        return {}

    def check(self, spec: dict[str, Any], store: str = "") -> None:
        if spec["private_mount"]:
            command = ["unshare", "--mount", "true"]
            if os.getuid() != 0:
                command.insert(1, "--map-root-user")
            with contextlib.suppress(OSError):
                if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                    return
            raise SimulationError(
                f"{spec['script']} writes to /opt/ml/processing/output, and this system does not allow a private mount there",
                "Let it write to the folder that the environment variable SIMFERRY_OUTPUT names, or run it with --backend docker.",
            )

    def image_digest(self) -> None:
        return None

    def ask(
        self, spec: dict[str, Any], root: Path, verb: str, show: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        sys.stdout.flush()
        command = [*command_here(spec["language"]), verb, str(root)]
        environment = {**environment_here(spec, str(root / "input")), JOB: str(root)}
        with contextlib.ExitStack() as until_done:
            # files: a pipe would be waited for as long as a program that was left running holds it
            out, err = (None if show else until_done.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            status = subprocess.run(
                command, cwd=root / "input" / "code", env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, check=False,
            ).returncode  # fmt: skip
            end_processes(root)
            said = [_text(file) if file else "" for file in (out, err)]
        return subprocess.CompletedProcess(command, status, *said)

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        for job in jobs:
            root = run.jobs / job
            with writing(run.path):
                (root / "input" / "plan").mkdir(parents=True)
                (root / "scratch").mkdir()
                shutil.copy(run.job_folder(job) / "job", root / "input" / "plan" / "job")
                # a copy, so that what the simulation writes beside its script does not change the snapshot
                _copy(run.code, root / "input" / "code")
                for name, one in run.inputs.items():
                    (root / "input" / name).symlink_to(bring(name, one, run))
                for folder in ("blocks", "artifacts"):
                    (root / folder).symlink_to(Path("..", "..", folder))
                log = open(root / "log.txt", "wb")  # noqa: SIM115
            spec = run.record["simulation"]
            environment = environment_here(spec, str(root / "input"))
            environment |= {"SIMFERRY_DRIVER": str(os.getpid()), JOB: str(root)}
            if sys.platform == "darwin":
                environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
            command = command_here(spec["language"])
            with log:
                process = subprocess.Popen(
                    [*command, "run", str(root)], cwd=root / "input" / "code", env=environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            self._processes[root] = process
            _record(root, {**identity(process.pid), "driver": identity(os.getpid()), "state": "running"})

    def poll(self, run: RunFolder, jobs: Sequence[str]) -> dict[str, str]:
        there = set(os.listdir(run.jobs))  # a plan may name very many that were never begun
        return {job: self._state(run.jobs / job) if job in there else "pending" for job in jobs}

    def logs(self, run: RunFolder, job: str) -> str:
        return (untrusted.read(run.jobs, f"{job}/log.txt", LONGEST_LOG) or b"").decode(errors="replace")

    def terms(self, run: RunFolder, jobs: int) -> dict[str, Any]:
        return {}

    def cut_short(self, run: RunFolder, job: str) -> bool:
        return self._state(run.jobs / job) == "lost"

    def just_now(self, run: RunFolder) -> bool:
        return False

    def go_on(self, run: RunFolder) -> None:
        pass

    def follow(self, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
        return follow_here(self, run, jobs)

    def dollars(self, run: RunFolder) -> None:
        return None

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        for job in jobs:
            root = run.jobs / job
            record = _record_of(root)
            if record["state"] == "pending" or record["state"] in ENDED:
                continue
            if not at_once:
                with contextlib.suppress(OSError, KeyError):  # one that was only just begun has no number yet
                    (root / "scratch" / "stop").touch()
                    process = process_of(record)
                    if process and _job_of(process) == str(root):  # a record may name any process
                        os.killpg(record["pid"], signal.SIGINT)
            elif root in self._processes:
                end_processes(root)
            else:
                _settle(root, record, "lost")

    def _state(self, root: Path) -> str:
        record = _record_of(root)
        if record["state"] != "running":
            return "lost" if record["state"] == "unknown" else str(record["state"])
        process = self._processes.get(root)
        if process is None:  # another driver's: if that one lives, it will see to the job's end
            lock = root.parent / LOCK
            return "running" if alive(record, lock) or alive(record.get("driver", {}), lock) else "lost"
        status = process.poll()
        if status is None:
            return "running"
        stopped = (root / "scratch" / "stop").exists()
        return _settle(root, record, "cancelled" if stopped else "succeeded" if status == 0 else "failed")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _copy(source: Path, target: Path) -> None:
    """shutil.copytree, whose errors do not tell a full disk from other faults."""
    target.mkdir()
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir()
        else:
            shutil.copy(path, copy)


def _record_of(root: Path) -> dict[str, Any]:
    """What is known of a job: job.json. `unknown` is the state of one whose driver ended while it started the job."""
    return records.read_job(root, "job.json") or {"state": "unknown" if root.exists() else "pending"}


def _record(root: Path, record: dict[str, Any]) -> None:
    with writing(root):
        write_whole(root / "job.json", json.dumps(record).encode())


def _settle(root: Path, record: dict[str, Any], state: str) -> str:
    """The end of a job: nothing of it runs any more, and what it needed is gone."""
    if root.is_symlink():  # it is no job's folder, and what lies there is somebody's
        return state
    end_processes(root)
    for folder in ("input", "scratch"):
        shutil.rmtree(root / folder, ignore_errors=True)
    _record(root, {**record, "state": state})
    return state


def end_processes(root: Path, seconds_to_wait: float = 10) -> None:
    """Kills every process that a job started, also those that left its process group, and waits until they are gone.

    They are known by their environment, which names the job's folder.
    """
    until = time.monotonic() + seconds_to_wait
    while (left := [p for p in psutil.process_iter() if _job_of(p) == str(root)]) and time.monotonic() < until:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(0.01)  # without reaping them: that is for whoever started them


def _job_of(process: psutil.Process) -> str | None:
    try:
        job: str | None = process.environ().get(JOB)
        return job
    except (psutil.Error, OSError):
        return None
