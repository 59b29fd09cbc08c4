"""Identifies processes, on this machine and on others that share a folder."""

import contextlib
import os
import platform
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil


def identity(pid: int) -> dict[str, Any]:
    """What identifies a process: its number (PID), when it started, the host, and the space in which the number is unique."""
    import psutil  # here and below: it takes longer to load than the rest

    started = None
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(pid).create_time()
    return {"pid": pid, "started": started, "host": platform.node(), "space": _space()}


@cache
def _space() -> str:
    """The space in which process numbers are unique: this machine since it started, or one of its containers. Empty where the
    system does not show it; all numbers are then taken as this machine's."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return ""


def is_here(record: dict[str, Any]) -> bool:
    return bool(record.get("space", _space()) == _space())


def process_of(record: dict[str, Any]) -> "psutil.Process | None":
    """The process of a record, if it runs on this machine; None where another process has its number now."""
    import psutil

    with contextlib.suppress(psutil.Error, KeyError, OverflowError):
        process = psutil.Process(record["pid"])
        if is_here(record) and process.create_time() == record["started"] and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def has_ended(record: dict[str, Any]) -> bool:
    """Whether the process of a record has certainly ended: it was one of this machine, where its number can be looked up, or from
    before the machine's last start."""
    boot, here = (str(space).partition(" ")[0] for space in (record["space"], _space()))
    if record["host"] != platform.node() or not boot or not here:
        return False
    return boot != here or (is_here(record) and process_of(record) is None)


def alive(record: dict[str, Any], lock: Path | None = None) -> bool:
    """Whether the process of a record runs. lock: a file that the process keeps locked, for a process on another machine."""
    if is_here(record) or lock is None:
        return process_of(record) is not None
    return is_held(lock)


def claim(file: IO[bytes]) -> bool:
    """Lock a file. Returns whether this process holds the lock; the system releases it when the process ends."""
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
    except (ImportError, OSError):  # no locks on this system: only driver.json and the unique numbers of plans remain
        pass
    return True
