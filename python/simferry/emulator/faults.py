"""Faults on demand: what goes wrong on the service now and then, drawn from a seed."""

import random
import threading
from dataclasses import dataclass, field

LOST_WITHIN_SECONDS = 3.0  # a host that gets lost does so within these seconds of its start


@dataclass
class Faults:
    """Probabilities of each fault, and how long jobs take to start and to be listed. May be changed while the emulator runs.

    throttle: of a request to SageMaker or Logs being answered with ThrottlingException. capacity: of an instance type not being
    there for a job. lost_host: of a job losing a host. start_seconds: from CreateProcessingJob until the job starts.
    list_lag_seconds: from there until ListProcessingJobs shows it. seed: with the same one, and requests in the same order, the
    same requests and jobs are hit.
    """

    seed: int = 0
    throttle: float = 0.0
    capacity: float = 0.0
    lost_host: float = 0.0
    start_seconds: float = 0.2
    list_lag_seconds: float = 0.0
    _draws: dict[str, random.Random] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def _draw(self, kind: str) -> float:
        """The next number of a kind's own sequence: how often one kind is drawn changes no other."""
        with self._lock:
            return self._draws.setdefault(kind, random.Random(f"{self.seed} {kind}")).random()

    def throttles(self) -> bool:
        return self._draw("throttle") < self.throttle

    def has_capacity(self) -> bool:
        return self._draw("capacity") >= self.capacity

    def seconds_until_lost(self) -> float | None:
        """How long after its start a job loses a host; None if it does not."""
        lost, when = self._draw("lost_host"), self._draw("lost_host")
        return when * LOST_WITHIN_SECONDS if lost < self.lost_host else None
