"""An optimiser of objectives that simulations estimate: it is asked for points, and told means with their Monte Carlo errors.

    opt = simferry.optimizer(space, seed=1)
    while not opt.over:
        x = opt.ask()
        opt.tell(x, mean, mcse)

The default is asynchronous Thompson sampling (Kandasamy et al. 2018, AISTATS, PMLR 84): whenever somebody is free, one function is drawn
from the posterior given what was told, and its minimiser is asked for. Pending points need no treatment: the draws differ. Expected
improvement (Jones et al. 1998, 10.1023/A:1008306431147) takes pending points as if they had given their posterior means.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError, nearest
from ..sweep.sampling import quasi_random
from ..system.threads import one_thread
from ..words import counted
from .gaussian_process import Data, GaussianProcess, Hyperparameters, fitted
from .scale import Scale
from .space import Point, Space

METHODS = ("thompson", "ei")
SPREAD, NEAR, AGAIN = (
    1000,
    300,
    100,
)  # candidates over the whole space, near the best points, and near the best candidates
_ROUNDS = 4  # of candidates near the best ones
_EVERY = 30  # points up to which each one told leads to new hyperparameters; from there every 15 % more
_PENALTY = 0.9  # a failed point counts as this quantile of the others
_SAME = (
    0.5  # of the MCSE: a point whose objective differs by less from that of one already told is replaced by that one
)

Objective = Callable[[np.ndarray], np.ndarray]  # of points of the unit cube; smaller is better


@dataclass(frozen=True)
class Told:
    """What was told of a point last. unit: its place in the unit cube."""

    point: Point
    unit: np.ndarray
    mean: float
    mcse: float
    replications: int
    failed: bool


@dataclass(frozen=True)
class Best:
    """The point that is recommended. mean, standard_error: the objective there by the model, which knows all points. told, mcse,
    replications: by the replications of this point alone."""

    point: Point
    mean: float
    standard_error: float
    told: float
    mcse: float
    replications: int


class Optimizer:
    """Asks for points of a space and is told their objective, in any order; `simferry.optimizer` makes one. It is a `Searcher`."""

    def __init__(
        self,
        space: Space,
        seed: int,
        method: str,
        scale: Scale,
        evaluations: int | None,
        until_mcse: bool,
    ) -> None:
        self.space, self.seed, self.method, self.scale = space, seed, method, scale
        self.evaluations, self.until_mcse = evaluations, until_mcse
        self.start = max(2 * space.dimensions, 5)
        self._asked = 0
        self._pending: Counter[tuple[float, ...]] = Counter()
        self._told: dict[tuple[float, ...], Told] = {}
        self._log: list[tuple[tuple[float, ...], Told]] = []
        self._fits: dict[int, Hyperparameters] = {}
        self._ended = ""

    def ask(self) -> Point | None:
        """The next point, a dict of all parameters; it may be one that was asked before, for more replications. None if `over` says why.

        Raises DesignError if the space's function allows no point, or fails.
        """
        if self.over:
            return None
        with one_thread():
            unit = self._next(np.random.default_rng((self.seed, self._asked)))
        if unit is None:
            return None
        point = self.space.point(unit)
        self.asked(point)
        return point

    def asked(self, point: Mapping[str, Any]) -> None:
        """Count a point as asked, without computing which one would be: for a log that is replayed.

        point: the parameters by name. Raises DesignError if it is no point of the space.
        """
        self._pending[_key(self.space.unit(point))] += 1
        self._asked += 1

    def tell(
        self, point: Mapping[str, Any], mean: float, mcse: float = 0.0, replications: int = 0, failed: bool = False
    ) -> None:
        """What a point gave: it replaces what was told of it before.

        point: the parameters by name; it need not have been asked for. mean: the objective, of all replications that the point has so
        far. mcse: its Monte Carlo standard error, in the same unit; 0 without noise, NaN if unknown. replications: how many there
        are; rates need them. failed: True if there is no objective; mean and mcse are then not looked at.

        Raises DesignError if it is no point of the space, and UsageError if mean or mcse are no such numbers.
        """
        unit = self.space.unit(point)
        if not failed:
            if not math.isfinite(mean):
                raise UsageError(
                    f"the objective is {mean} at {dict(point)}, which is no finite number",
                    "Tell a point without an objective with failed=True.",
                )
            if mcse < 0 or math.isinf(mcse):
                raise UsageError(f"mcse={mcse} at {dict(point)} is no standard error", "0: no noise; NaN: unknown.")
            self.scale.check(mean, dict(point))
        key = _key(unit)
        told = Told(self.space.point(unit), unit, float(mean), float(mcse), int(replications), bool(failed))
        self._told[key] = told
        self._log.append((key, told))
        if self._pending[key] > 0:
            self._pending[key] -= 1
        self._ended = ""

    @property
    def over(self) -> str:
        """Why it ends, such as "60 evaluations"; empty while it goes on. What is pending can still be told."""
        if self.evaluations is not None and self._asked >= self.evaluations:
            return counted(self.evaluations, "evaluation")
        if len(self._log) >= 2 * self.start and all(told.failed for told in self._told.values()):
            return f"all of the {counted(len(self._log), 'evaluation')} failed"
        return self._ended

    @property
    def best(self) -> Best | None:
        """The recommended point: the one with the best posterior mean of those told, not the best value seen, which is that low by luck.

        None if no point has an objective.
        """
        known = self._known()
        if not known:
            return None
        with one_thread():
            model = self._model()
            means, sds = model.mean_and_sd(self.space.features(np.array([told.unit for told in known])))
        at = int(np.argmin(means))
        told = known[at]
        mean, standard_error = self.scale.back(float(means[at]), float(sds[at]))
        return Best(told.point, mean, standard_error, told.mean, told.mcse, told.replications)

    def _known(self) -> list[Told]:
        return [told for told in self._told.values() if not told.failed]

    def _next(self, rng: np.random.Generator) -> np.ndarray | None:
        """The place of the next point; None, with the reason in `_ended`, if there is none."""
        if max(self._asked, len(self._told)) < self.start or len(self._known()) < 2:
            return self._of_start(rng)
        model = self._model()
        best = self._lowest(model)
        if self.until_mcse and len(self._log) >= 2 * self.start and self._is_enough(model, best, rng):
            return None
        objective = self._drawn(model, rng) if self.method == "thompson" else self._improvement(model)
        unit = self._minimum(objective, best, rng)
        return unit if unit is None else self._merged(unit, model)

    def _of_start(self, rng: np.random.Generator) -> np.ndarray | None:
        """The point of a Sobol' sequence whose turn it is, without those that are forbidden or known."""
        points = quasi_random("Sobol")(1 << (4 * self.start - 1).bit_length(), self.space.dimensions, self.seed)
        for unit in self.space.snapped(points):
            if self._is_new(unit) and self.space.allows(self.space.point(unit)):
                return np.asarray(unit)
        return self._any_new(rng)

    def _any_new(self, rng: np.random.Generator) -> np.ndarray | None:
        for _ in range(10):
            for unit in self.space.random(rng, SPREAD):
                if self._is_new(unit):
                    return np.asarray(unit)
        self._ended = f"all {counted(len(self._told) or self._asked, 'point')} of the space"
        return None

    def _is_new(self, unit: np.ndarray) -> bool:
        """Whether a point is neither told nor pending."""
        key = _key(self.space.unit(self.space.point(unit)))
        return key not in self._told and not self._pending[key]

    def _model(self) -> GaussianProcess:
        """The posterior given all that was told, with hyperparameters that depend on the log's beginning alone."""
        told = len(self._log)
        last = told
        if told > _EVERY:
            last = _EVERY
            while (more := math.ceil(last * 1.15)) <= told:
                last = more
        if last not in self._fits:
            self._fits[last] = fitted(self._data(dict(self._log[:last])))
        return GaussianProcess(self._fits[last], self._data(self._told))

    def _data(self, points: Mapping[Any, Told]) -> Data:
        """The points as a model sees them. Failed ones count as bad ones, without noise."""
        of = list(points.values())
        failed = np.array([told.failed for told in of])
        y, noise = np.zeros(len(of)), np.zeros(len(of))
        if not failed.all():
            mean, mcse, n = (
                np.array([getattr(told, name) for told in of if not told.failed], dtype=float)
                for name in ("mean", "mcse", "replications")
            )
            y[~failed], noise[~failed] = self.scale.forth(mean, mcse, n)
            y[failed] = np.quantile(y[~failed], _PENALTY)
        return Data(self.space.features(np.array([told.unit for told in of])), y, noise, self.space.groups)

    def _lowest(self, model: GaussianProcess) -> np.ndarray:
        """The known points in the order of their posterior means, as places of the unit cube."""
        units = np.array([told.unit for told in self._known()])
        return np.asarray(units[np.argsort(model.mean(self.space.features(units)), kind="stable")])

    def _drawn(self, model: GaussianProcess, rng: np.random.Generator) -> Objective:
        draw = model.draw(rng)
        return lambda units: draw(self.space.features(units))

    def _improvement(self, model: GaussianProcess) -> Objective:
        """The negative expected improvement on the lowest posterior mean, if the pending points give their means."""
        pending = [key for key, count in self._pending.items() if count > 0]
        if pending:
            model = model.believing(self.space.features(np.array(pending)), float(np.median(model.noise)))
        lowest = float(model.mean(model.data.x).min())
        return lambda units: -log_improvement(lowest, *model.mean_and_sd(self.space.features(units)))

    def _minimum(self, objective: Objective, best: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """The best of candidates over the whole space and near the best points, refined."""
        candidates = np.vstack([self.space.random(rng, SPREAD), self._near(best[:5], NEAR, rng), best])
        candidates = self._offered(candidates)
        if not len(candidates):
            return self._any_new(rng)
        values = objective(candidates)
        for round_ in range(_ROUNDS):
            top = candidates[np.argsort(values, kind="stable")[:5]]
            more = self._offered(self._near(top, AGAIN, rng, 0.3 * 0.3**round_))
            if len(more):
                candidates, values = np.vstack([candidates, more]), np.concatenate([values, objective(more)])
        return np.asarray(candidates[int(np.argmin(values))])

    def _offered(self, units: np.ndarray) -> np.ndarray:
        """Those of some points that may be asked for: all, but without noise none again."""
        if math.isinf(self.space.size) or not len(units) or any(told.mcse != 0 for told in self._known()):
            return units
        return units[[self._is_new(unit) for unit in units]]

    def _near(self, centres: np.ndarray, size: int, rng: np.random.Generator, widest: float = 0.3) -> np.ndarray:
        """Allowed points near some others, at distances of all magnitudes, in some or all of the parameters."""
        shape = (size, self.space.dimensions)
        middle = centres[rng.integers(len(centres), size=size)]
        distance = widest * np.exp(-7 * rng.random((size, 1)))
        moves = rng.random(shape) < rng.choice([0.3, 1.0], (size, 1))
        units = middle + distance * rng.standard_normal(shape) * moves
        units = np.abs(units)  # reflected at both ends
        return self.space.allowed(self.space.snapped(np.clip(np.where(units > 1, 2 - units, units), 0, 1)))

    def _merged(self, unit: np.ndarray, model: GaussianProcess) -> np.ndarray:
        """A point, or the known one that it can't be told from: more replications there say more than a condition of its own."""
        known = self._known()
        units = np.array([told.unit for told in known])
        noise = model.noise[[not told.failed for told in self._told.values()]]
        apart = model.difference_sd(self.space.features(unit[None, :])[0], self.space.features(units))
        same = np.flatnonzero(apart < _SAME * np.sqrt(noise))
        return np.asarray(units[same[np.argmin(apart[same])]]) if len(same) else unit

    def _is_enough(self, model: GaussianProcess, best: np.ndarray, rng: np.random.Generator) -> bool:
        """Whether the expected improvement anywhere is below the MCSE of the best; then `_ended` says so."""
        units = np.vstack([self.space.random(rng, SPREAD), self._near(best[:5], NEAR, rng)])
        means, sds = model.mean_and_sd(self.space.features(units))
        lowest = float(model.mean(self.space.features(best[:1]))[0])
        largest = math.exp(float(log_improvement(lowest, means, sds).max()))
        mcse = math.sqrt(float(model.noise[list(self._told).index(_key(best[0]))]))
        if largest < mcse:
            self._ended = f"the expected improvement ({largest:.2g}) is below the MCSE of the best ({mcse:.2g})"
        return largest < mcse


def optimizer(
    space: Space,
    *,
    seed: int = 1,
    method: str = "thompson",
    minimize: bool = True,
    scale: str = "linear",
    evaluations: int | None = None,
    until_mcse: bool = False,
) -> Optimizer:
    """An optimiser for a loop of one's own: ask for points, tell what they gave, in any order and as many at once as you like.

    space: what `space` gives. seed: a whole number from 0; the same seed and the same asks and tells give the same points. method:
        "thompson" or "ei" (expected improvement). minimize: False looks for the largest objective. scale: of the objective in the
        model: "linear", "log" (what is positive: an MSE, a width), "probit" (rates). evaluations: how many points are asked for in
        all. until_mcse: end when the expected improvement is below the MCSE of the best point, too.

    The first max(2 x parameters, 5) points are a Sobol' sequence. Raises UsageError if an argument is none of these.
    """
    if not isinstance(space, Space):
        raise UsageError(f"{space!r} is no space", 'Example: simferry.space(lam=(0.001, 10, "log"), k=(1, 20, int))')
    if method not in METHODS:
        raise UsageError(f"method={method!r} is no method", nearest(str(method), METHODS) or "Methods: thompson, ei.")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise UsageError(f"seed={seed!r} is no whole number from 0")
    found = Optimizer(space, int(seed), method, Scale(scale, minimize), evaluations, until_mcse)
    if evaluations is not None and evaluations <= found.start:
        raise UsageError(
            f"evaluations={evaluations} is too few: the first {found.start} points only cover the space",
            f"Give {found.start + 1} or more.",
        )
    return found


def log_improvement(lowest: float, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """The logarithm of the expected improvement, E max(lowest - f, 0), where f is normal; exact far from the lowest too."""
    from scipy.special import log_ndtr

    z = (lowest - mean) / sd
    near = np.maximum(z, -25.0)
    density = np.exp(-0.5 * near**2) / math.sqrt(2 * math.pi)
    exact = np.log(density + near * np.exp(log_ndtr(near)) + 1e-300)
    # z far below 0: phi(z) + z Phi(z) = phi(z) / z^2 x (1 + O(1 / z^2))
    far = -0.5 * z**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(np.maximum(np.abs(z), 1.0))
    return np.asarray(np.log(sd) + np.where(z < -10, far, exact))


def _key(unit: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(unit, 10).tolist())
