"""Who computes: a process of this machine, or one of another machine that shares the folder."""

import contextlib
import os
import platform
from functools import cache
from pathlib import Path
from typing import IO, Any

import psutil

# of a process whose linear algebra is to have the same bits on any machine: the number of threads changes them
ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
    "VECLIB_MAXIMUM_THREADS": "1",
}


def identity(pid: int) -> dict[str, Any]:
    """A process's number, when it started, which no other process of that number shares, and where its number counts."""
    started = None
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(pid).create_time()
    return {"pid": pid, "started": started, "host": platform.node(), "space": _space()}


@cache
def _space() -> str:
    """Where process numbers count: on this machine since it started, and containers have numbers of their own. Empty where the
    system does not tell: process numbers are then taken to be this machine's."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def is_here(record: dict[str, Any]) -> bool:
    return bool(record.get("space", _space()) == _space())


def process_of(record: dict[str, Any]) -> psutil.Process | None:
    """That very process, and not another with its number, if it runs, and here."""
    with contextlib.suppress(psutil.Error, KeyError, OverflowError):
        process = psutil.Process(record["pid"])
        if is_here(record) and process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def alive(record: dict[str, Any], lock: Path | None = None) -> bool:
    """Whether that process runs. Of one that is not here: whether anybody holds the lock that it has as long as it lives."""
    if is_here(record) or lock is None:
        return process_of(record) is not None
    return is_held(lock)


def claim(file: IO[bytes]) -> bool:
    """Whether this process now holds the lock of a file; the system lets go of it when the process ends, however it does."""
    return _flock(file, shared=False)


def is_held(path: Path) -> bool:
    """Whether a process, here or elsewhere, holds the lock of a file."""
    try:
        with open(path, "rb") as file:
            return not _flock(file, shared=True)
    except OSError:
        return False


def _flock(file: IO[bytes], shared: bool) -> bool:
    try:
        import fcntl

        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # no locks on this system: driver.json and the race for a plan's number have to do
        pass
    return True
