"""A whole simferry process watched: its time, and the peak memory of the driver and of its workers, each on its own."""

import os
import re
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from timing import SIMFERRY

_BETWEEN_LOOKS = 0.02  # seconds


@dataclass(frozen=True)
class Watched:
    """What a finished process took. cpu_seconds: user and system time of it and of all processes that it waited for.

    driver_bytes: the peak of the process itself. worker_bytes: of the largest process below it, pages that it shares included;
    0 where it started none.
    """

    seconds: float
    cpu_seconds: float
    driver_bytes: int
    worker_bytes: int
    printed: str


def watch(*arguments: str | Path) -> Watched:
    """Runs simferry to its end. A command that fails ends the benchmarks, with what it said."""
    command = [SIMFERRY, *map(str, arguments)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("SIMFERRY_")}
    with tempfile.TemporaryFile("w+") as printed:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, env=own)
        peaks = {process.pid: 0}
        ended = threading.Event()
        looking = threading.Thread(target=_look, args=(process.pid, peaks, ended))
        looking.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        ended.set()
        looking.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        said = printed.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)[:1000]}\nfailed ({process.returncode}):\n{said}")
    driver = peaks.pop(process.pid)
    return Watched(seconds, usage.ru_utime + usage.ru_stime, driver, max(peaks.values(), default=0), said)


def _look(driver: int, peaks: dict[int, int], ended: threading.Event) -> None:
    """Keeps the highest memory of a process and of those below it, by process number, until it has ended."""
    words = _read(driver, "cmdline")
    while not ended.wait(_BETWEEN_LOOKS):
        try:
            below = psutil.Process(driver).children(recursive=True)
        except psutil.Error:
            return
        words = words or _read(driver, "cmdline")
        for pid in [driver, *(one.pid for one in below)]:
            if pid != driver and _read(pid, "cmdline") in ("", words):
                continue  # one that is just starting is still a copy of the driver
            peaks[pid] = max(peaks.get(pid, 0), peak_of(pid))


def peak_of(pid: int) -> int:
    """The peak memory of a process in bytes; 0 if it has ended."""
    found = re.search(r"^VmHWM:\s+(\d+) kB", _read(pid, "status"), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _read(pid: int, name: str) -> str:
    try:
        return Path("/proc", str(pid), name).read_text(errors="replace")
    except OSError:
        return ""
