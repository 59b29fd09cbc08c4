"""Objectives on the scale that a model sees: smaller is better, and the noise is known there too."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import UsageError, nearest

SCALES = ("linear", "log", "probit")


@dataclass(frozen=True)
class Scale:
    """name: "linear", "log" for what is positive (standard errors, MSE, widths), or "probit" for rates. minimize: False turns it over."""

    name: str
    minimize: bool

    def __post_init__(self) -> None:
        if self.name not in SCALES:
            hint = nearest(str(self.name), SCALES) or f"Scales: {', '.join(SCALES)}."
            raise UsageError(f"scale={self.name!r} is no scale of an objective", hint)

    def check(self, mean: float, where: Any) -> None:
        """Raises UsageError if the scale does not have the value. where: its point, for the message."""
        if self.name == "log" and mean < 0:
            raise UsageError(f"the objective is {mean:g} at {where}, which has no logarithm", "Use the scale linear.")
        if self.name == "probit" and not 0 <= mean <= 1:
            raise UsageError(
                f"the objective is {mean:g} at {where}, and a rate is from 0 to 1", "Use the scale linear."
            )

    def forth(self, mean: np.ndarray, mcse: np.ndarray, replications: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values on the scale and the variances of their noise (delta method), NaN where the MCSE is.

        replications: 0 where unknown. A rate is (k + 1/2) / (n + 1), so that none and all have a probit, and its variance is at least
        the binomial's. A 0 on the log scale becomes half of the smallest other value, with a noise as large as itself. An MCSE of 0
        beside others above 0 is luck, such as that of few replications that agree: the smallest of the others takes its place.
        """
        sign = 1.0 if self.minimize else -1.0
        if self.name != "probit" and (mcse > 0).any():
            mcse = np.where(mcse == 0, mcse[mcse > 0].min(), mcse)
        if self.name == "linear":
            return sign * mean, mcse**2
        if self.name == "log":
            above = mean > 0
            floor = mean[above].min() / 2 if above.any() else 1.0
            safe = np.where(above, mean, floor)
            return sign * np.log(safe), np.where(above, (mcse / safe) ** 2, 1.0)
        from scipy.special import ndtri

        with np.errstate(divide="ignore", invalid="ignore"):  # those that are enough for this MCSE
            enough = np.nan_to_num(mean * (1 - mean) / mcse**2, nan=1.0, posinf=1e6)
        n = np.where(replications > 0, replications, np.clip(enough, 1.0, 1e6))
        rate = (mean * n + 0.5) / (n + 1)
        z = ndtri(rate)
        density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
        return sign * z, np.maximum(rate * (1 - rate) / n, mcse**2) / density**2

    def back(self, value: float, sd: float) -> tuple[float, float]:
        """A value on the scale and its standard deviation in the objective's own unit (delta method)."""
        value = value if self.minimize else -value
        if self.name == "linear":
            return value, sd
        if self.name == "log":
            return math.exp(value), math.exp(value) * sd
        from scipy.special import ndtr

        return float(ndtr(value)), math.exp(-0.5 * value**2) / math.sqrt(2 * math.pi) * sd
