"""What the driver asks of a backend, and nothing more."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, Protocol

from ..store.run_folder import RunFolder

# pending -> running -> succeeded | failed | cancelled | lost. That a job ended does not mean that its results are there.
LONGEST_LOG = 1 << 30  # bytes of a job's log that are read
ENDED = ("succeeded", "failed", "cancelled", "lost")


class Backend(Protocol):
    """Jobs are named plan-job (0001-0003); a job's folder is jobs/<name> of its run."""

    name: str
    workers: int  # cores of one job
    jobs: int  # at the most
    seconds_at_most: float  # for one job
    contract: bool  # whether jobs see /opt/ml/processing as SageMaker's containers do
    note: str  # what the user should know about where it runs
    jobs_go_on: bool  # without their driver, on other machines
    seconds_between_polls: float  # at the least
    begun: bool  # whether a run is to stay although it could not be driven: jobs may have begun
    waits_for: str  # what jobs wait for, in words, while they do
    options: dict[str, Any]  # with which it was made
    asks_elsewhere: bool  # `ask` may answer for another machine or image than the one in which jobs run

    def default_store(self) -> str:
        """Where runs live unless the user says."""

    def check(self, spec: dict[str, Any], store: str) -> None:
        """Raise what would keep the simulation from running here, before anything starts. store: its address."""

    def found(self) -> dict[str, Any]:
        """The options that `check` has found where the user gave none, to be kept with the run."""

    def image_digest(self) -> str | None:
        """The content of the image in which jobs run, if they do."""

    def ask(self, spec: dict[str, Any], root: Path, verb: str, show: bool = False) -> "CompletedProcess[str]":
        """Run the worker's `check` or `replay` where jobs run, with `root` as its root; show: print as it goes."""

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        """Start the jobs whose files lie in the run's plan."""

    def terms(self, run: RunFolder, jobs: int) -> dict[str, Any]:
        """What holds for so many jobs that are about to be planned, to be kept in their plan."""

    def go_on(self, run: RunFolder) -> None:
        """Begin jobs that have been waiting, where they can be begun now."""

    def poll(self, run: RunFolder, jobs: Sequence[str]) -> dict[str, str]:
        """The state of each job."""

    def logs(self, run: RunFolder, job: str) -> str:
        """What a job has printed so far."""

    def follow(self, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The lines that jobs print, with the job's name, until they have ended."""

    def just_now(self, run: RunFolder) -> bool:
        """Whether jobs ended, or were planned, so short a time ago that a driver elsewhere may be about to begin more."""

    def dollars(self, run: RunFolder) -> float | None:
        """What a run's jobs have cost so far; None where they cost nothing."""

    def cut_short(self, run: RunFolder, job: str) -> bool:
        """Whether a job ended by its time limit or with its host, and not by what it ran."""

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        """Stop jobs; unless `at_once`, they may write what they have first."""


def follow_here(backend: Backend, run: RunFolder, jobs: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`follow` for jobs on this machine, whose logs cost nothing to read again."""
    shown = dict.fromkeys(jobs, 0)
    while True:
        states = backend.poll(run, jobs)
        over = all(state in ENDED for state in states.values())
        for job in jobs:
            lines = backend.logs(run, job).splitlines(keepends=True)
            whole = lines if over or not lines or lines[-1].endswith("\n") else lines[:-1]
            for line in whole[shown[job] :]:
                yield job, line.rstrip("\n")
            shown[job] = max(shown[job], len(whole))
        if over:
            return
        time.sleep(0.5)
