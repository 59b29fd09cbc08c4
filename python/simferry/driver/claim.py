"""A run's driver: one process at a time computes a run. It holds the run's lock, and jobs/driver.json names it."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import psutil

from ..errors import RunBusy
from ..hints import Text
from ..store import records
from ..store.run_folder import LOCK, RunFolder
from ..system.files import write_whole, writing
from ..system.processes import claim, identity, is_held, is_here, process_of


def driver_of(run: RunFolder) -> psutil.Process | None:
    """The process on this machine that computes the run now, if there is one."""
    return process_of(_driver_record(run))


def computes(process: psutil.Process, run: RunFolder) -> bool:
    """Whether a process has the run's lock open. driver.json may name any process, and only the driver may be stopped."""
    with contextlib.suppress(psutil.Error, OSError):
        return str((run.jobs / LOCK).resolve()) in [file.path for file in process.open_files()]
    return False


def is_driven(run: RunFolder) -> bool:
    """Whether a process computes the run now, on this machine or another one."""
    record = _driver_record(run)
    return bool(record) and (process_of(record) is not None or bool(_elsewhere(run, record)))


def driven_elsewhere(run: RunFolder) -> str:
    """The name of another machine that shares the folder and computes the run now; empty where there is none."""
    return _elsewhere(run, _driver_record(run))


def _elsewhere(run: RunFolder, record: dict[str, Any]) -> str:
    return str(record["host"]) if not is_here(record) and is_held(run.jobs / LOCK) else ""


def _driver_record(run: RunFolder) -> dict[str, Any]:
    return records.read_job(run.jobs, "driver.json")


@contextlib.contextmanager
def driving(run: RunFolder) -> Iterator[None]:
    """Within the block, this process is the run's driver, and SIGTERM acts as Ctrl-C. Raises RunBusy if there is another driver."""
    path = run.jobs / "driver.json"
    before = None
    with contextlib.ExitStack() as until_done:
        with writing(run.path):
            no_link = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = until_done.enter_context(open(os.open(run.jobs / LOCK, no_link, 0o666), "r+b"))
        until = time.monotonic() + 2
        while not claim(lock):
            other, host = driver_of(run), driven_elsewhere(run)
            # the other driver is starting or ending
            if other is None and not host and time.monotonic() < until:
                time.sleep(0.02)
                continue
            who = f"by process {other.pid}" if other else f"on {host}" if host else "by another process"
            raise RunBusy(
                f"run {run.id} is being computed {who}",
                Text(run.command("watch"), "  follows it, ", run.command("cancel"), "  stops it."),
            )
        with writing(run.path):
            write_whole(path, json.dumps(identity(os.getpid())).encode())
        with contextlib.suppress(ValueError):  # outside the main thread
            before = signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)
            with contextlib.suppress(OSError):
                path.unlink()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
