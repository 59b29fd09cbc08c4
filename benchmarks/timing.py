"""Whole processes timed in turn, and the rows of the table that run.py prints."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
SIMULATIONS = HERE / "simulations"
SIMFERRY = str(Path(sys.executable).parent / "simferry")
PYTHON = sys.executable

T = TypeVar("T")


@dataclass(frozen=True)
class Process:
    """What a finished process took: wall time, the peak memory of its largest process, and what it printed."""

    seconds: float
    peak_bytes: int
    printed: str


@dataclass(frozen=True)
class Row:
    """One line of the table: figures of both sides (one for each repeat), and whether the bar is met.

    A benchmark whose bar has nothing to do with a peer may have none: `peer` is then empty.
    """

    name: str
    unit: str
    peer_name: str
    peer: Sequence[float]
    simferry: Sequence[float]
    bar: str
    meets: Callable[[float, float], bool]  # of the peer's median (NaN without a peer) and simferry's

    @property
    def peer_median(self) -> float:
        return statistics.median(self.peer) if self.peer else float("nan")

    @property
    def simferry_median(self) -> float:
        return statistics.median(self.simferry)

    @property
    def ratio(self) -> float:
        return self.simferry_median / self.peer_median

    @property
    def met(self) -> bool:
        return self.meets(self.peer_median, self.simferry_median)


def run_process(command: Sequence[str | Path], cwd: Path | None = None) -> Process:
    """Runs a command to its end. One that fails ends the benchmarks, with what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIMFERRY_")}
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complaints:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=complaints,
            cwd=cwd,
            env=environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        complaints.seek(0)
        output = printed.read().decode(errors="replace")
        if process.returncode != 0:
            line = " ".join(str(word) for word in command)
            raise SystemExit(f"{line}\nfailed ({process.returncode}):\n{output}{complaints.read().decode()}")
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return Process(seconds, usage.ru_maxrss * kilobytes, output)


def run_simferry(*arguments: str | Path, cwd: Path | None = None) -> Process:
    return run_process([SIMFERRY, *arguments], cwd)


def in_turn(repeats: int, sides: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Runs every side once, then every side again, and so on: what disturbs the machine disturbs them all."""
    taken: dict[str, list[T]] = {name: [] for name in sides}
    for repeat in range(1, repeats + 1):
        for name, side in sides.items():
            tell(f"{name} ({repeat} of {repeats})")
            taken[name].append(side())
    tell("")
    return taken


def tell(what: str) -> None:
    """Shows on the terminal's last line what is being measured."""
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)


def fresh_folder() -> tempfile.TemporaryDirectory[str]:
    """An empty folder for a store. A run in a store that knew the same run already would find it computed."""
    return tempfile.TemporaryDirectory(prefix="simferry-benchmark-")


@contextmanager
def r_library() -> Iterator[Path]:
    """A library in which the R package is installed."""
    with fresh_folder() as folder:
        package = HERE.parent / "r_package"
        run_process(["R", "CMD", "INSTALL", "--no-docs", "--no-test-load", "-l", folder, package])
        yield Path(folder)


def rows_of_parquet(file: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(file).num_rows


def must_be_equal(what: str, found: int, wanted: int) -> None:
    """A benchmark of the wrong work is worth nothing."""
    if found != wanted:
        raise SystemExit(f"{what}: {found:,}, not {wanted:,}")
