"""The supervisor: it forks the worker processes of a job and survives their crashes."""

import contextlib
import copy
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from . import blocks
from .family import ending, family, kill
from .job import Job, Stretch, facts_here, give_up, in_container, known_facts
from .process import Process, cut_pieces, finished, marker_file, save_block
from .rows import ids_of, records, table


class Supervisor:
    """Forks the processes of a job, ends those that hang, and gives the work of dead ones to new processes."""

    def __init__(self, job: Job) -> None:
        job.workers = max(1, job.workers // job.cores)
        self.job = job
        if done := replications_of(sorted((job.root / "done").glob("*"))):  # by an attempt whose machine was lost
            job.stretches = self.without(job.stretches, done)
        careful = job.timeout_seconds > 0 and job.kind == "function"
        self.everything = Part(
            job.stretches, cut_pieces([count for _, _, count in job.stretches], job.workers), careful
        )
        self.children: dict[int, tuple[Part, Any]] = {}
        self.seen: dict[int, tuple[str, float]] = {}
        self.hung: set[int] = set()
        self.started = 0
        self.died_without_progress = 0  # processes in a row that died before finishing a replication
        self.driver = int(os.environ.get("SIMFERRY_DRIVER", "0"))

    def start(self, part: "Part") -> None:
        self.started += 1
        job = copy.copy(self.job)
        job.stretches = part.stretches
        process = Process(job, self.started, part.pieces, part.careful)
        # forked, so that a second process costs milliseconds; see docs/decisions/worker-processes.md
        child = multiprocessing.get_context("fork").Process(target=process.work)
        child.start()
        self.children[self.started] = (part, child)

    def run(self) -> None:
        # an interrupt is meant for the processes: they write their open block and end
        signal.signal(signal.SIGINT, self.forward_signal if in_container(self.job) else signal.SIG_IGN)
        (self.job.scratch / "claims").mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(ImportError):
            if self.job.objects:
                import cloudpickle  # noqa: F401  once, here, and not in every process
        self.killed_before = memory_kills()
        for _ in range(min(self.job.workers, len(self.everything.pieces or ()))):
            self.start(self.everything)
        while self.children:
            self.check_children()

    def forward_signal(self, number: int, _frame: Any) -> None:
        """Send a signal on to the processes: in a container only the first process receives it."""
        for _, child in list(self.children.values()):
            with contextlib.suppress(OSError):
                os.kill(child.pid, number)

    def check_children(self) -> None:
        job = self.job
        multiprocessing.connection.wait([child.sentinel for _, child in self.children.values()], timeout=0.2)
        if (job.root / "message").exists() or (self.driver and os.getppid() != self.driver):
            self.end_all()
        for number, (part, child) in list(self.children.items()):
            if child.exitcode is not None:
                del self.children[number]
                child.join()
                if (job.scratch / "stop").exists() or (job.root / "message").exists():
                    continue
                if not finished(job, number).exists():
                    self.recover(number, part, child.exitcode)
                elif part.then:
                    self.start(part.then)
            elif part.careful and job.timeout_seconds > 0 and number not in self.hung:
                now = marker(job, number)
                if now and self.seen.get(number, ("", 0.0))[0] != now:
                    self.seen[number] = (now, time.monotonic())
                elif now and time.monotonic() - self.seen[number][1] > job.timeout_seconds:
                    self.hung.add(number)
                    kill(family(child.pid))

    def end_all(self) -> NoReturn:
        for _, child in self.children.values():
            kill(family(child.pid))
        sys.exit(1)

    def recover(self, number: int, part: "Part", died: int) -> None:
        """A process died. Run the rest of its claimed work in a careful process, whose marker names the replication that crashes.

        died: its exit code, or the negative number of a signal."""
        job, left, then = self.job, part.stretches, part.then
        if part.pieces is not None:
            claimed = job.scratch / f"claimed-{number}"
            spans = [map(int, line.split()) for line in claimed.read_text().splitlines()] if claimed.exists() else []
            left, then = [stretch for before, end in spans for stretch in job.stretches[before:end]], part
        done = replications_of((job.root / "blocks").glob(f"{job.prefix}-{number:02d}.*"))
        left = self.without(left, done)
        at = marker(job, number) if part.pieces is None or number in self.hung else ""
        if at:
            culprit = tuple(map(int, at.split()))
            why = (
                f"timed out after {job.timeout_seconds:g} s"
                if number in self.hung
                else "out of memory"
                if memory_kills() > self.killed_before
                else f"the process ended with {ending(died)}"
            )
            status = {"ok": blocks.numbers("logical", [False]), "seconds": blocks.numbers("double", [np.nan])}
            tables = [
                table("replications", ids_of(*([v] for v in culprit)), status),
                records("failures", ("message", "call", "traceback"), [(*culprit, why, "", "")]),
            ]
            save_block(job, number, "999999-r1-f1", {"run": job.run, **facts_here(), **known_facts(job)}, tables)
            left = self.without(left, {culprit})
        self.died_without_progress = (
            0 if at or done or (part.pieces is not None and left) else self.died_without_progress + 1
        )
        if self.died_without_progress > 2:
            give_up(job, "worker: its processes end before they have run anything (out of memory?)")
        if left:
            self.start(Part(left, None, True, then))
        elif then:
            self.start(then)

    def without(self, stretches: list[Stretch], done: set[Any]) -> list[Stretch]:
        """Stretches without some (condition, replication)."""
        out: list[Stretch] = []
        for row, first, count in stretches:
            condition, begin = self.job.ids[row], first
            for r in range(first, first + count + 1):
                if r == first + count or (condition, r) in done:
                    if r > begin:
                        out.append((row, begin, r - begin))
                    begin = r + 1
        return out


@dataclass
class Part:
    """The work of one process. pieces: it claims pieces of the stretches; None means all of them. then: the part to run after it."""

    stretches: list[Stretch]
    pieces: list[int] | None
    careful: bool
    then: "Part | None" = None


def replications_of(paths: Iterable[Path]) -> set[tuple[int, int]]:
    """The (condition, replication) in blocks."""
    done: set[tuple[int, int]] = set()
    for path in paths:
        columns = blocks.decode(path.read_bytes()).table("replications").columns
        done |= set(zip(columns["condition"].values.tolist(), columns["replication"].values.tolist(), strict=True))
    return done


def marker(job: Job, process: int) -> str:
    try:
        return marker_file(job, process).read_text()
    except FileNotFoundError:
        return ""


def memory_kills() -> int:
    """How many processes the system has killed for lack of memory, here or in this container (cgroup v2, v1)."""
    for path in ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"):
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
