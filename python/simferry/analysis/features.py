"""The features of rows of estimates that measures are means of: error, squared error, whether an interval covers the truth ..."""

import statistics
from dataclasses import dataclass, field

import numpy as np

from .outliers import Limits, Outliers


@dataclass
class Excluded:
    """What happened to values that are not as they should be, in words, and to how many."""

    counts: dict[str, int] = field(default_factory=dict)

    def without(self, values: np.ndarray, bad: np.ndarray, what: str) -> np.ndarray:
        """The values, NaN where they are bad."""
        many = int(np.count_nonzero(bad))
        self.count(f"{what} count as missing", many)
        return np.where(bad, np.nan, values) if many else values

    def count(self, what: str, many: int) -> None:
        """Count what happened to values."""
        if many:
            self.counts[what] = self.counts.get(what, 0) + many


@dataclass
class Raw:
    """The columns of some rows by role, as doubles; None for a role that is not given. NaN is missing."""

    estimate: np.ndarray
    truth: np.ndarray | None = None
    se: np.ndarray | None = None
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    p_value: np.ndarray | None = None
    df: np.ndarray | None = None

    def cleaned(self, excluded: Excluded, complete: bool) -> None:
        """Make missing what can't be used. complete: also all else of a row without estimate, or without standard error."""
        self.estimate = excluded.without(self.estimate, np.isinf(self.estimate), "infinite estimates")
        if (s := self.se) is not None:
            bad = (s <= 0) | np.isinf(s)
            self.se = excluded.without(s, bad, "standard errors that are not above 0, or infinite")
        if self.lower is not None and self.upper is not None:
            crossed = self.lower > self.upper
            self.lower = excluded.without(self.lower, crossed, "intervals whose lower end is above the upper one")
        if (p := self.p_value) is not None:
            self.p_value = excluded.without(p, (p < 0) | (p > 1), "p-values that are not between 0 and 1")
        if (df := self.df) is not None:
            self.df = excluded.without(df, df <= 0, "degrees of freedom that are not above 0")
        if complete:
            self._complete()

    def _complete(self) -> None:
        """Without estimate or standard error a row has nothing."""
        lost = np.isnan(self.estimate) if self.se is None else np.isnan(self.estimate) | np.isnan(self.se)
        if lost.any():
            for name in ("estimate", "se", "lower", "upper", "p_value"):
                if (values := getattr(self, name)) is not None:
                    setattr(self, name, np.where(lost, np.nan, values))

    def limited(self, cell: np.ndarray, limits: Limits, how: Outliers, excluded: Excluded, complete: bool) -> None:
        """Leave out, or move, what is outside of the limits of its cell."""
        low, high, b = limits.low[cell], limits.high[cell], self.estimate
        if not how.drop:
            self.estimate = np.where(b < low, low, np.where(b > high, high, b))
            excluded.count(
                "estimates far from the others are moved to the limit", int(np.count_nonzero((b < low) | (b > high)))
            )
            return
        self.estimate = excluded.without(b, (b < low) | (b > high), "estimates far from the others")
        if self.se is not None:
            bad = (self.se < limits.low_error[cell]) | (self.se > limits.high_error[cell])
            self.se = excluded.without(self.se, bad, "standard errors far from the others")
        if complete:
            self._complete()

    def ends(self, alpha: float) -> tuple[np.ndarray, np.ndarray] | None:
        """The intervals: those that are given, else estimate -/+ quantile x standard error."""
        if self.lower is not None and self.upper is not None:
            return self.lower, self.upper
        if self.se is None:
            return None
        half = critical(alpha, self.df) * self.se
        return self.estimate - half, self.estimate + half

    def features(self, alpha: tuple[float, ...], ends: tuple[np.ndarray, np.ndarray] | None) -> dict[str, np.ndarray]:
        """The features that the columns allow, by name. ends: of the intervals."""
        b, s, truth = self.estimate, self.se, self.truth
        out = {"estimate": b}
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if truth is not None:
                error = b - truth
                out |= {"truth": truth, "error": error, "squared": error * error}
                out["relative"] = np.where(truth == 0, np.nan, error / truth)
            if s is not None:
                out["variance"] = s * s
            if ends is not None:
                lower, upper = ends
                out["width"] = upper - lower
                if truth is not None:
                    out["covered"] = indicator((lower <= truth) & (truth <= upper), lower, upper, truth)
            for number, level in enumerate(alpha):
                name = f"rejected_{number + 1}" if number else "rejected"
                if self.p_value is not None:
                    out[name] = indicator(self.p_value < level, self.p_value)
                elif s is not None:
                    half = np.asarray(critical(level, self.df) * s)
                    out[name] = indicator(np.abs(b) >= half, b, half)
        return out


def indicator(values: np.ndarray, *of: np.ndarray) -> np.ndarray:
    """1 or 0, and NaN where one of the values that it is made of is."""
    return np.where(np.logical_or.reduce([np.isnan(one) for one in of]), np.nan, values.astype(np.float64))


def critical(alpha: float, df: np.ndarray | None) -> np.ndarray | float:
    """The quantile 1 - alpha / 2 of the normal, or of t with degrees of freedom."""
    if df is None:
        return statistics.NormalDist().inv_cdf(1 - alpha / 2)
    from scipy.special import stdtrit

    different, at = np.unique(df, return_inverse=True)
    return np.asarray(stdtrit(different, 1 - alpha / 2)[at])
