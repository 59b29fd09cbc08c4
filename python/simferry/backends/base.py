"""What the driver asks of a backend, and nothing more."""

from collections.abc import Sequence
from typing import Any, Protocol

from ..store import RunFolder

# pending -> running -> succeeded | failed | cancelled | lost. That a job ended does not mean that its results are there.
ENDED = ("succeeded", "failed", "cancelled", "lost")


class Backend(Protocol):
    """Jobs are named plan-job (0001-0003); a job's folder is jobs/<name> of its run."""

    name: str
    workers: int  # cores of one job

    def check(self, spec: dict[str, Any]) -> None:
        """Raise what would keep the simulation from running here, before anything starts."""

    def submit(self, run: RunFolder, jobs: Sequence[str]) -> None:
        """Start the jobs whose files lie in the run's plan."""

    def poll(self, run: RunFolder, jobs: Sequence[str]) -> dict[str, str]:
        """The state of each job."""

    def logs(self, run: RunFolder, job: str) -> str:
        """What a job has printed so far."""

    def cancel(self, run: RunFolder, jobs: Sequence[str], at_once: bool) -> None:
        """Stop jobs; unless `at_once`, they may write what they have first."""
