"""Faults on demand: errors that the service makes now and then, drawn from a seed."""

import random
import threading
from dataclasses import dataclass, field

LOST_WITHIN_SECONDS = 3.0  # a host is lost, and Spot taken back, within this time after its start


@dataclass
class Faults:
    """Probabilities of faults, and delays. They may be changed while the emulator runs.

    throttle: probability that a request to SageMaker, Batch or Logs is refused as one too many. capacity: probability that an instance
    type is not available for a job: one of SageMaker fails, one of Batch stays RUNNABLE. lost_host: probability that a job, or an attempt
    of Batch, loses a host. start_seconds: time from a job's creation until it starts. list_lag_seconds: time until ListProcessingJobs,
    and ListJobs of a queue, show it. lost_answer: probability that a job is submitted to Batch, and the answer is an error. pace: Batch's
    limits of time (a job's timeout, the patience of a queue), those of hosted containers (start, requests) and the time that a training
    job has to end are multiplied by it. spot_interruptions: how often each training job on managed Spot is interrupted, if it runs for
    so long.
    resources: by (verb, logical name) of a stack's resource, the reason why its "create", "update", "rollback" (of an update) or "delete"
    fails.
    seed: the same seed and the same order of requests give the same faults.
    """

    seed: int = 0
    throttle: float = 0.0
    capacity: float = 0.0
    lost_host: float = 0.0
    start_seconds: float = 0.2
    list_lag_seconds: float = 0.0
    lost_answer: float = 0.0
    pace: float = 1.0
    spot_interruptions: int = 0
    resources: dict[tuple[str, str], str] = field(default_factory=dict)
    _draws: dict[str, random.Random] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def _draw(self, kind: str) -> float:
        """The next uniform number of this kind of fault. Each kind has its own sequence."""
        with self._lock:
            return self._draws.setdefault(kind, random.Random(f"{self.seed} {kind}")).random()

    def throttles(self) -> bool:
        return self._draw("throttle") < self.throttle

    def loses_answer(self) -> bool:
        return self._draw("lost_answer") < self.lost_answer

    def has_capacity(self) -> bool:
        return self._draw("capacity") >= self.capacity

    def of_resource(self, verb: str, logical: str) -> str | None:
        return self.resources.get((verb, logical))

    def seconds_until_interrupted(self) -> list[float]:
        """Of each interruption of a job on Spot the time since its start, or its last one."""
        return [self._draw("spot") * LOST_WITHIN_SECONDS for _ in range(self.spot_interruptions)]

    def seconds_until_lost(self) -> float | None:
        """The time from the start of a job until it loses a host; None if it loses none."""
        lost, when = self._draw("lost_host"), self._draw("lost_host")
        return when * LOST_WITHIN_SECONDS if lost < self.lost_host else None
