"""Problems with known minima, and workers in virtual time: what optimisers are compared on. It needs numpy alone."""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

WORKERS = 4


@dataclass(frozen=True)
class Problem:
    """A function on the unit cube. lowest: its minimum. evaluations: of one study. noise: its standard deviation at a point."""

    name: str
    dimensions: int
    of: Callable[[np.ndarray], float]
    lowest: float
    evaluations: int
    noise: Callable[[np.ndarray], float] | None = None


def branin(u: np.ndarray) -> float:
    x, y = 15 * u[0] - 5, 15 * u[1]
    inside = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(inside**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def hartmann(u: np.ndarray) -> float:
    return float(-_ALPHA @ np.exp(-(_A * (u - _P) ** 2).sum(axis=1)))


_SHIFT = np.array([0.37, 0.58, 0.22, 0.71])  # where Ackley's minimum is


def ackley(u: np.ndarray) -> float:
    x = 40 * (u - _SHIFT)
    far, waves = math.sqrt(float(np.mean(x**2))), float(np.mean(np.cos(2 * math.pi * x)))
    return -20 * math.exp(-0.2 * far) - math.exp(waves) + 20 + math.e


PROBLEMS = (
    Problem("Branin", 2, branin, 0.397887, 60),
    Problem("Hartmann 6", 6, hartmann, -3.32237, 100),
    Problem("Ackley 4", 4, ackley, 0.0, 80),
)
NOISY = Problem("Branin, noisy", 2, branin, 0.397887, 60, noise=lambda u: 4 + 16 * float(u[0]))


class Peer:
    """An optimiser on the unit cube: ask() gives a point; tell(point, value, sd of its noise)."""

    in_rounds = False

    def ask(self) -> Any:
        raise NotImplementedError

    def tell(self, asked: Any, value: float, noise: float) -> None:
        raise NotImplementedError

    def unit(self, asked: Any) -> np.ndarray:
        return np.asarray(asked)

    def recommended(self) -> np.ndarray | None:
        """The point that it would recommend; None: the best value seen."""
        return None


def study(problem: Problem, peer: Peer, seed: int) -> dict[str, float]:
    """One study: the regret after half of the evaluations, after all, and at the time in which workers that never wait do half of them.

    Each evaluation takes a half-normal time of mean 1. A peer that works in rounds waits until all workers are done.
    """
    half_time = problem.evaluations / WORKERS / 2
    told = list(_told(problem, peer, seed))
    regret = [true - problem.lowest for _, _, true in told]
    if problem.noise is not None:
        best = peer.recommended()
        lowest = min(told, key=lambda one: one[1])[2] if best is None else problem.of(best)
        return {"recommended": lowest - problem.lowest}
    return {
        "half": min(regret[: problem.evaluations // 2]),
        "all": min(regret),
        "time": min(one for one, (when, _, _) in zip(regret, told, strict=True) if when <= half_time),
    }


def _told(problem: Problem, peer: Peer, seed: int) -> Iterator[tuple[float, float, float]]:
    """When each evaluation ended, its value, and its value without noise."""
    rng = np.random.default_rng((20261129, seed))
    durations = np.abs(rng.standard_normal(problem.evaluations)) * math.sqrt(math.pi / 2)
    noises = rng.standard_normal(problem.evaluations)
    begun, now = 0, 0.0
    running: list[tuple[float, int, Any]] = []
    while begun < problem.evaluations or running:
        while (
            begun < problem.evaluations
            and len(running) < WORKERS
            and not (peer.in_rounds and begun % WORKERS == 0 and running)
        ):
            heapq.heappush(running, (now + float(durations[begun]), begun, peer.ask()))
            begun += 1
        now, number, asked = heapq.heappop(running)
        unit = peer.unit(asked)
        true = problem.of(unit)
        sd = problem.noise(unit) if problem.noise else 0.0
        value = true + sd * float(noises[number])
        peer.tell(asked, value, sd)
        yield now, value, true
