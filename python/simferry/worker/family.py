"""A process and its descendants."""

import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn


def family(pid: int) -> list[int]:
    """The ids of a process and of all its descendants, as far as the system shows them."""
    found = [pid]
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += family(int(child))
    return found


def kill(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def ending(status: int) -> str:
    """How a process ended, in words. status: its exit code, or the negative number of the signal that ended it."""
    if status >= 0:
        return f"exit code {status}"
    known = [one.name for one in signal.Signals if one == -status]
    memory = "; out of memory?" if -status == signal.SIGKILL else ""
    return f"signal {-status} ({known[0] if known else 'unknown'}{memory})"


def leave(status: int = 0) -> NoReturn:
    """End this process and its descendants at once. A normal exit would wait for idle pool workers, threads and programs."""
    ended: set[int] = set()
    for _ in range(10):  # a thread may start another process meanwhile
        left = [pid for pid in family(os.getpid())[1:] if pid not in ended]
        if not left:
            break
        kill(left)
        ended.update(left)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or replaced by the simulation
            stream.flush()
    os._exit(status)
