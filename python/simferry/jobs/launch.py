"""How a job's worker is started: its files beside the simulation, its command and its environment, here and in containers.

A worker may start before the rest of simferry is loaded (waiting.py): what takes long to load is imported where it is used.
"""

import contextlib
import os
import posixpath
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WorkerError
from ..system.threads import ONE_THREAD
from .setup_script import command_after

if TYPE_CHECKING:
    import psutil

JOB = "SIMFERRY_JOB"  # environment variable of all processes of a local job: its mark
HEAP = "1000k"  # R_NSIZE, read when R starts: fewer garbage collections. worker.R removes it
CHECK_PREFIX = "simferry-check-"  # of the temporary folders in which simulations are checked, and of their marks
WORKER, TOOLKIT = Path(__file__).parents[1] / "worker", Path(__file__).parents[1] / "toolkit"
LAUNCHER = "simferry_worker/toolkit/mpi.py"  # in the folder of the code
_PARTS = (
    "blocks", "rows", "values", "job", "family", "folders", "functions", "seeds", "scripts", "own", "state", "process",
    "supervisor", "needs", "check", "main",
)  # fmt: skip
_OF_PYTHON = (
    "__init__", "streams", "adopted", "hooks", "tasks", "libraries", "below", "as_module", "startup/sitecustomize",
)  # fmt: skip
TRAIN = "simferry_worker/train.sh"  # what a training job runs, which starts the worker
# for R and Python processes that a script or a command starts, and for training jobs
_BELOW = (
    "profile.R",
    *(f"simferry_worker/{part}.R" for part in ("below", "tasks")),
    "private_mount.sh",
    TRAIN,
    *(f"simferry_worker/{part}.py" for part in _OF_PYTHON),
)
_IN_R = ("worker.R", "cluster.R", *_BELOW, *(f"simferry_worker/{part}.R" for part in ("stretches", "unsaved", *_PARTS)))
_IN_PYTHON = (
    "worker.py",
    *_BELOW,
    *(
        f"simferry_worker/{part}.py"
        for part in ("first_use", "forms", "frames", "metrics", "sent", "set_seeds", "unsaved", *_PARTS)
    ),
)
# the worker of Python, with an interpreter in each of its processes
_IN_OCTAVE = (
    *_IN_PYTHON,
    *(
        f"simferry_worker/{part}"
        for part in (
            "octave.py",
            "octave_check.py",
            "octave_program.py",
            "octave_text.py",
            "octave_values.py",
            "worker.m",
            "seed.m",
        )
    ),
)
# files beside the script: the worker's program, and a folder with its parts
WORKER_FILES: dict[str, tuple[str, ...]] = {
    "r": _IN_R, "python": _IN_PYTHON, "octave": _IN_OCTAVE, "command": _IN_PYTHON, "image": (),
}  # fmt: skip
# in an image: the interpreter, and the worker's program
_PYTHON = ("python3", "worker.py")
COMMANDS = {"r": ("Rscript", "worker.R"), "python": _PYTHON, "octave": _PYTHON, "command": _PYTHON}


def write_worker(language: str, folder: Path) -> None:
    """Copy the worker's files into the folder of the script."""
    for name in WORKER_FILES[language]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(WORKER / name.removeprefix("simferry_worker/"), folder / name)


def write_code(language: str, files: Mapping[str, Path | bytes], empty_folders: Iterable[str], folder: Path) -> None:
    """Write a simulation's files and the worker's into a new folder. files: by name, the content or the path to copy from."""
    folder.mkdir(parents=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copy(content, path)
    write_worker(language, folder)
    # stores and services transfer files only
    (folder / "simferry_worker").mkdir(exist_ok=True)
    (folder / "simferry_worker" / "folders").write_text("".join(f"{name}\n" for name in empty_folders))


def command_here(language: str) -> list[str]:
    """The command that runs the worker on this machine in the folder of the code, without arguments."""
    if language == "octave":
        _find_octave()
    if language != "r":
        return [sys.executable, "worker.py"]
    rscript = shutil.which("Rscript")
    if not rscript:
        raise WorkerError(
            "R is not installed: there is no Rscript on the PATH",
            "Install R (Debian, Ubuntu: apt-get install r-base-core; others: https://cran.r-project.org).",
        )
    return [rscript, "worker.R"]


def _find_octave() -> None:
    from ..worker.octave_program import program

    if not program():
        raise WorkerError(
            "Octave is not installed: there is no octave-cli on the PATH, and no matlab",
            "Install Octave (Debian, Ubuntu: apt-get install octave; others: https://octave.org/download).",
        )


def command_in_container(spec: Mapping[str, Any], code: str, hosts: int = 1) -> list[str]:
    """The same in a container, after the simulation's setup script. spec: the simulation, as in run.json. code: the folder of the
    code there. hosts: that the job has; the worker of a script which uses all of them runs on the first one."""
    program, worker = COMMANDS[spec["language"]]
    command = [program, f"{code}/{worker}"]
    if hosts > 1 and (spec.get("mpi") or spec.get("each_host")):
        secret = f"{posixpath.dirname(code)}/plan/job"  # has random bytes, and is in no other job
        messages = [
            "--message",
            f"{posixpath.dirname(posixpath.dirname(code))}/message",
            "--message",
            "/opt/ml/output/message",
        ]
        settings = ["--secret", secret, *messages, *(() if spec.get("mpi") else ("--no-ssh",))]
        command = ["python3", "-I", f"{code}/{LAUNCHER}", "hosts", *settings, "--", *command]
    return command_after(spec, code, command)


def toolkit_files() -> dict[str, Path | bytes]:
    """The files of the snapshot with simferry's toolkit, by name, for scripts that use several processes or hosts."""
    return {f"{posixpath.dirname(LAUNCHER)}/{path.name}": path for path in sorted(TOOLKIT.glob("*.py"))}


def command_in_training(spec: Mapping[str, Any], channel: str, code: str, hosts: int = 1) -> list[str]:
    """The same in a container of a training job. channel: where the code arrives. code: its folder when the worker runs."""
    return ["sh", f"{channel}/{TRAIN}", *command_in_container(spec, code, hosts)]


def environment_of(spec: Mapping[str, Any], inputs: str) -> dict[str, str]:
    """Environment variables of a job on any backend. spec: the simulation, as in run.json. inputs: the folder of its inputs."""
    threads = ONE_THREAD if spec["kind"] == "function" else {}
    # for what is read when a process starts; SageMaker takes 256 characters. The worker sets all of them
    given = {}
    if spec.get("env"):
        from ..sweep.template import constant_variables

        given = {name: value for name, value in constant_variables(spec).items() if len(value) <= 256}
    heap = {"R_NSIZE": HEAP} if spec.get("language") == "r" and spec["kind"] == "function" else {}
    return {**threads, **heap, **given, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "SIMFERRY_INPUT": inputs}


def environment_here(spec: Mapping[str, Any], inputs: str) -> dict[str, str]:
    """The whole environment of a job on this machine: this process's own, and that of `environment_of`."""
    out = {**_with_utf8(os.environ), **environment_of(spec, inputs)}
    out.pop("SIMFERRY_ATTEMPT", None)  # of a job of AWS Batch whose simulation runs simferry
    if out.get("R_NSIZE") == HEAP:
        out["R_NSIZE"] = os.environ.get("R_NSIZE", HEAP)
    if spec["objects"]:  # a function object imports what it imports here
        out["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    if out.pop("SIMFERRY_PROCESSES", ""):  # a simulation runs simferry: this worker is no part of it
        displaced = out.pop("SIMFERRY_R_PROFILE_USER", None)
        out.pop("R_PROFILE_USER", None)
        out |= {} if displaced is None else {"R_PROFILE_USER": displaced}
    return out


def environment_of_job(mark: str) -> dict[str, str]:
    """What else a job on this machine has in its environment. mark: the folder by which its processes are found."""
    out = {"SIMFERRY_DRIVER": str(os.getpid()), JOB: mark}
    return {**out, "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES"} if sys.platform == "darwin" else out


def _with_utf8(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with UTF-8 in C's locale, where R writes <U+017C> for a letter. LC_ALL=C hides what Python sets for LANG=C."""
    if sys.platform != "linux" or environment.get("LC_ALL") not in ("C", "POSIX"):
        return dict(environment)
    others = {name: value for name, value in environment.items() if not name.startswith("LC_")}
    return {**others, "LANG": "C", "LC_CTYPE": "C.UTF-8"}


def end_processes(mark: str, seconds_to_wait: float = 10, spared: int = 0) -> None:
    """Kills every process that a local job started, also those that left its process group, and waits until they are gone.

    mark: what their environment has as JOB. spared: the number of a process that goes on.
    """
    until = time.monotonic() + seconds_to_wait
    while (left := [pid for pid in _processes_of(mark) if pid != spared]) and time.monotonic() < until:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)  # their parents reap them


def _processes_of(mark: str) -> list[int]:
    """The numbers of the processes of a job. Where there is /proc, without psutil, which takes ten times as long."""
    if sys.platform != "linux":
        import psutil

        return [process.pid for process in psutil.process_iter() if job_of(process) == mark]
    variable, found = os.fsencode(f"{JOB}={mark}"), []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if name.isdigit() and variable in Path("/proc", name, "environ").read_bytes().split(b"\0"):
                found.append(int(name))
    return found


def job_of(process: "psutil.Process") -> str | None:
    """The mark of the job to which a process belongs: its folder, or that of a worker which started before it (waiting.py)."""
    import psutil

    try:
        folder: str | None = process.environ().get(JOB)
        return folder
    except (psutil.Error, OSError):
        return None
