"""Estimates and MCSEs of performance measures by cell (a condition, and a method in it), streamed over rows."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .moments import Moments
from .statistics import Statistic, without_each


@dataclass(frozen=True)
class Rows:
    """Rows of replications. cell: the number of each one's cell. features: by name the values of each row; NaN is missing.
    ends: lower and upper ends of intervals, where there are some."""

    cell: np.ndarray
    features: Mapping[str, np.ndarray]
    ends: tuple[np.ndarray, np.ndarray] | None = None

    def of(self, names: Iterable[str]) -> "Rows":
        """The rows in which none of some features is missing, with these."""
        return self.where(self.have(names), names)

    def have(self, names: Iterable[str]) -> np.ndarray:
        """Whether a row has all of some features."""
        return np.asarray(~np.logical_or.reduce([np.isnan(self.features[name]) for name in names]))

    def where(self, chosen: np.ndarray, names: Iterable[str]) -> "Rows":
        """Some rows, with some features."""
        if chosen.all():
            return Rows(self.cell, {name: self.features[name] for name in names})
        return Rows(self.cell[chosen], {name: self.features[name][chosen] for name in names})

    def with_mean_covered(self, mean: np.ndarray) -> "Rows":
        """With the feature mean_covered. mean: of the estimates, by cell."""
        assert self.ends is not None
        (lower, upper), at = self.ends, mean[self.cell]
        covered = np.where(np.isnan(lower + upper), np.nan, (lower <= at) & (at <= upper))
        return Rows(self.cell, {**self.features, "mean_covered": covered})


Pieces = Callable[[], Iterable[Rows]]  # gives the rows in the order of their replications, and may be called again


class Measured(NamedTuple):
    """A measure of each cell. n: the replications that it stands on."""

    estimate: np.ndarray
    mcse: np.ndarray
    n: np.ndarray


class Sums:
    """The means and variances that statistics are functions of. Features that one takes together are summed over the rows that have
    all of them."""

    def __init__(self, cells: int, statistics: Iterable[Statistic]) -> None:
        sets = dict.fromkeys(one.features for one in statistics)
        self._moments = {some: {feature: Moments(cells) for feature in some} for some in sets}

    def add(self, rows: Rows) -> None:
        for features in self._moments:
            self.add_of(features, rows.of(features))

    def add_of(self, features: tuple[str, ...], rows: Rows) -> None:
        """Add rows that have all of some features, which a statistic takes together."""
        for feature, one in self._moments[features].items():
            one.add(rows.cell, rows.features[feature])

    def of(self, one: Statistic) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """n, means and variances for a statistic, by cell."""
        moments = self._moments[one.features]
        mean = {feature: some.mean for feature, some in moments.items()}
        variance = {feature: some.variance for feature, some in moments.items()}
        return moments[one.features[0]].n, mean, variance


class LeftOut:
    """A statistic without each row in turn, from the sums over all rows."""

    def __init__(self, one: Statistic, sums: Sums) -> None:
        self._one = one
        self.n, self._mean, self._variance = sums.of(one)

    def of(self, rows: Rows) -> np.ndarray:
        """Its values for rows that have all of its features."""
        n, mean, variance = self.n[rows.cell], {}, {}
        with np.errstate(invalid="ignore", divide="ignore"):
            for name in self._one.features:
                of_all = n, self._mean[name][rows.cell], self._variance[name][rows.cell]
                mean[name], variance[name] = without_each(*of_all, rows.features[name])
            return self._one.of(mean, variance)


def jackknife(found: Moments, n: np.ndarray) -> np.ndarray:
    """sqrt((n - 1) / n * sum of squared deviations) of a statistic without each of n rows; NaN where one of these is undefined."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((found.n == n) & (n > 2), np.sqrt((n - 1.0) / n * found.squares), np.nan)


def measures(
    pieces: Pieces, cells: int, statistics: Mapping[str, Statistic], formula: bool = False
) -> dict[str, Measured]:
    """The measures by name. formula: MCSEs by published formulas also where the jackknife is right and they are not."""
    late = {name: one for name, one in statistics.items() if "mean_covered" in one.features}
    sums = Sums(cells, [one for name, one in statistics.items() if name not in late])
    late_sums, means = Sums(cells, late.values()), Moments(cells)
    for rows in pieces():
        sums.add(rows)
        if late:
            means.add(rows.cell, rows.features["estimate"])
    left_out = {
        name: (LeftOut(one, sums), Moments(cells)) for name, one in statistics.items() if one.jackknife and not formula
    }
    for rows in pieces() if left_out or late else ():
        for name, (without, found) in left_out.items():
            chosen = rows.of(statistics[name].features)
            found.add(chosen.cell, without.of(chosen))
        if late:
            late_sums.add(rows.with_mean_covered(means.mean))
    out = {}
    for name, one in statistics.items():
        n, mean, variance = (late_sums if name in late else sums).of(one)
        with np.errstate(invalid="ignore", divide="ignore"):
            estimate, mcse = one.of(mean, variance), one.mcse(n, mean, variance)
        if name in left_out:
            mcse = jackknife(left_out[name][1], n)
        out[name] = Measured(estimate, np.where(n > 1, mcse, np.nan), n)
    return out
