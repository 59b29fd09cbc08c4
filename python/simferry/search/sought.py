"""What a root finder looks for: the value of a parameter at which a measure reaches a target, and on which scales it looks."""

import math
from dataclasses import dataclass

import numpy as np

from ..errors import UsageError
from ..words import joined

KINDS = ("auto", "rate", "positive", "mean")
SCALES = ("sqrt", "log", "linear")
X_SHOWN = {"sqrt": "√{}", "log": "log {}", "linear": "{}"}
Y_SHOWN = {"rate": "probit of {}", "auto": "{}", "positive": "log {}", "mean": "{}"}


@dataclass(frozen=True)
class Sought:
    """The question of a root finder.

    parameter: what is varied, from low to high. target: what the measure shall reach; kind: what the measure is, a rate (a share of
    replications, as power), positive (a width, a standard error), any other mean, or auto: a rate if what is told looks like shares,
    otherwise a mean. within: it ends when the half-width of the root's
    interval is at most this; None: at `most` alone. most: replications of each root, with those that confirm its answer. batch:
    replications of an evaluation. confirm: replications that confirm the answer, at each of its points; None: a twentieth of most.
    whole: whole numbers only. scale: of the parameter, on which the curve is nearly straight: sqrt, log or linear; without it sqrt for a
    rate over whole numbers, log for a positive measure, otherwise linear. level: of intervals.

    Raises UsageError for what can't be.
    """

    parameter: str
    low: float
    high: float
    measure: str
    target: float
    kind: str = "auto"
    within: float | None = None
    most: int = 10_000
    batch: int = 100
    confirm: int | None = None
    whole: bool = False
    scale: str = ""
    level: float = 0.95

    def __post_init__(self) -> None:
        for name, value, known in (("kind", self.kind, KINDS), ("scale", self.scale, ("", *SCALES))):
            if value not in known:
                raise UsageError(f"{name}={value!r} is not {joined([one for one in known if one])}")
        self._check_ends()
        self._check_target()
        if self.within is not None and not (self.within > 0 and math.isfinite(self.within)):
            raise UsageError(f"within={self.within!r} is not above 0", "It is the half-width of the root's interval.")
        if not 0 < self.level < 1:
            raise UsageError(f"level={self.level!r} is not between 0 and 1")
        if self.batch < 1 or (self.confirm is not None and self.confirm < 0):
            raise UsageError("replications of an evaluation are at least 1, and those that confirm are not negative")
        least = 2 * self.batch + self.confirming
        if self.most < least:
            raise UsageError(
                f"most={self.most:,} is not enough: both ends and what confirms the answer take {least:,} replications",
                f"Evaluations have {self.batch:,} replications.",
            )

    def _check_ends(self) -> None:
        between = f"between {self.low:g} and {self.high:g}"
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise UsageError(f"{between}: the ends of {self.parameter} are finite numbers")
        if not self.low < self.high:
            raise UsageError(f"{between}: the first end of {self.parameter} is not below the second")
        if self.whole and (self.low != round(self.low) or self.high != round(self.high)):
            raise UsageError(f"{between}: the ends of {self.parameter} are not whole numbers")
        if (self.scale == "log" and self.low <= 0) or (self.scale == "sqrt" and self.low < 0):
            what = "above 0" if self.scale == "log" else "at least 0"
            raise UsageError(f"{between}: on the scale {self.scale} both ends of {self.parameter} are {what}")

    def _check_target(self) -> None:
        name, target = self.measure, self.target
        if not math.isfinite(target):
            raise UsageError(f"the target {name}={target!r} is not a finite number")
        if self.kind == "rate" and not 0 < target < 1:
            raise UsageError(
                f"the target {name}={target:g} is not between 0 and 1", f"{name} is a share of replications."
            )
        if self.kind == "positive" and target <= 0:
            raise UsageError(f"the target {name}={target:g} is not above 0, but {name} always is")

    @property
    def confirming(self) -> int:
        """Replications that are kept for confirming an answer: at 3 points if whole numbers are sought, otherwise at 1."""
        return self._batches * self.batch * (3 if self.whole else 1)

    @property
    def _batches(self) -> int:
        return math.ceil((self.most / 20 if self.confirm is None else self.confirm) / self.batch)

    @property
    def confirmations(self) -> int:
        """Evaluations that confirm an answer, at each of its points."""
        return self._batches

    @property
    def x_scale(self) -> str:
        if self.scale:
            return self.scale
        if self.kind == "positive" and self.low > 0:
            return "log"
        return "sqrt" if self.kind == "rate" and self.whole and self.low >= 0 else "linear"

    @property
    def shown(self) -> str:
        """What is drawn against what, for notes: probit of power against √n."""
        return f"{Y_SHOWN[self.kind].format(self.measure)} against {X_SHOWN[self.x_scale].format(self.parameter)}"

    def to(self, x: float) -> float:
        """A value of the parameter on the curve's scale."""
        return {"sqrt": math.sqrt, "log": math.log, "linear": float}[self.x_scale](x)

    def back(self, u: float) -> float:
        """A place of the curve's scale as a value of the parameter."""
        if self.x_scale == "sqrt":
            return max(u, 0.0) ** 2
        with np.errstate(over="ignore"):
            return float(np.exp(u)) if self.x_scale == "log" else u

    def value(self, u: float) -> float | int:
        """The nearest value that can be computed. Continuous ones have 7 digits: typing and storing them loses nothing."""
        x = min(max(self.back(u), self.low), self.high)
        if self.whole:
            return round(x)
        fine = (x if self.x_scale == "log" else self.high - self.low) * 1e-7
        return min(max(round(x, max(0, math.ceil(-math.log10(fine)))), self.low), self.high)
