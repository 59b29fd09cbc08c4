"""The local backend: jobs are process groups on this machine."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from ..errors import SimulationError
from ..simulation import interpreter, worker_environment
from ..store import RunFolder, write_whole, writing


def cores_here() -> int:
    """The cores that this process may use, as affinity and containers limit them."""
    import joblib

    return int(joblib.cpu_count())


class Local:
    name = "local"

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or cores_here()
        self._processes: dict[Path, subprocess.Popen[bytes]] = {}

    def check(self, spec: dict[str, Any]) -> None:
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

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        for job in jobs:
            root = run.jobs / job
            plan, _, number = job.partition("-")
            with writing(run.path):
                (root / "input" / "plan").mkdir(parents=True)
                (root / "scratch").mkdir()
                shutil.copy(run.path / "plan" / plan / f"job-{number}", root / "input" / "plan" / "job")
                # a copy, so that what the simulation writes beside its script does not change the snapshot
                shutil.copytree(run.path / "code", root / "input" / "code")
                for folder in ("blocks", "artifacts"):
                    (root / folder).symlink_to(Path("..", "..", folder))
                log = open(root / "log.txt", "wb")  # noqa: SIM115
            spec = run.record["simulation"]
            environment = {**worker_environment(spec), "SIMFERRY_DRIVER": str(os.getpid())}
            if sys.platform == "darwin":
                environment["OBJC_DISABLE_INITIALIZE_FORK_SAFETY"] = "YES"
            command = interpreter(spec["language"])
            with log:
                process = subprocess.Popen(
                    [*command, "run", str(root)], cwd=root / "input" / "code", env=environment,
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            self._processes[root] = process
            started = None
            with contextlib.suppress(psutil.NoSuchProcess):
                started = psutil.Process(process.pid).create_time()
            self._record(root, {"pid": process.pid, "started": started, "state": "running"})

    def poll(self, run: RunFolder, jobs: Sequence[str]) -> dict[str, str]:
        return {job: self._state(run.jobs / job) for job in jobs}

    def logs(self, run: RunFolder, job: str) -> str:
        path = run.jobs / job / "log.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        for job in jobs:
            root = run.jobs / job
            if self._state(root) == "running":
                if not at_once:
                    (root / "scratch" / "stop").touch()
                self._signal(root, signal.SIGKILL if at_once else signal.SIGINT)

    def _state(self, root: Path) -> str:
        try:
            record = json.loads((root / "job.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return "lost" if root.exists() else "pending"
        if record["state"] != "running":
            return str(record["state"])
        process = self._processes.get(root)
        if process is None:
            if _alive(record):
                return "running"
            state = "lost"  # its driver ended before it did
        else:
            status = process.poll()
            if status is None:
                return "running"
            stopped = (root / "scratch" / "stop").exists()
            state = "cancelled" if stopped else "succeeded" if status == 0 else "failed"
        self._signal(root, signal.SIGKILL)  # whatever the job's processes left behind
        self._record(root, {**record, "state": state})
        for folder in ("input", "scratch"):
            shutil.rmtree(root / folder, ignore_errors=True)
        return state

    def _signal(self, root: Path, number: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            record = json.loads((root / "job.json").read_bytes())
            if root in self._processes or _alive(record) or (number == signal.SIGKILL and _same_group(record)):
                os.killpg(record["pid"], number)

    def _record(self, root: Path, record: dict[str, Any]) -> None:
        with writing(root):
            write_whole(root / "job.json", json.dumps(record).encode())


def _alive(record: dict[str, Any]) -> bool:
    """Whether that very process, and not another with its number, still runs."""
    try:
        process = psutil.Process(record["pid"])
        return process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _same_group(record: dict[str, Any]) -> bool:
    """Whether processes of a job outlived its supervisor: they are in its group, and older than a new process of that number."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(record["pid"], 0)
        return not psutil.pid_exists(record["pid"])
    return False
