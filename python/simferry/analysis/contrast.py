"""Differences between two methods in each measure, on the replications that both have, and the precision of one relative to another."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .measure import LeftOut, Measured, Rows, Sums, jackknife
from .moments import Moments
from .statistics import Statistic, without_each


@dataclass(frozen=True)
class Pairs:
    """Replications of two methods. Each has a row on both sides, of which one may be missing: all of its features are NaN then."""

    first: Rows
    second: Rows


PairPieces = Callable[[], Iterable[Pairs]]


def pairs_of(
    blocks: Iterable[tuple[np.ndarray, list[Rows]]], reference: Sequence[int], names: Collection[str]
) -> Iterator[Pairs]:
    """Each method beside its reference. reference: by the number of a method in its condition the number of its reference, or -1.
    A pair has the cell of the second one, the method that is compared. names: the features."""
    methods = len(reference)
    compared = [number for number, other in enumerate(reference) if other not in (-1, number)]
    for unit, parts in blocks:
        cell = np.concatenate([rows.cell for rows in parts])
        features = {name: np.concatenate([rows.features[name] for rows in parts]) for name in names}
        at = np.full((unit[-1] + 1, methods), -1)
        at[np.tile(unit, len(parts)), cell % methods] = np.arange(len(cell))
        condition = np.empty(unit[-1] + 1, dtype=np.int64)
        condition[np.tile(unit, len(parts))] = cell // methods
        for method in compared:
            second, first = at[:, method], at[:, reference[method]]
            some = np.flatnonzero((second >= 0) | (first >= 0))
            cells = condition[some] * methods + method
            yield Pairs(*(Rows(cells, _taken(features, side[some])) for side in (first, second)))


def _taken(features: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    there = rows >= 0
    return {name: np.where(there, values[rows], np.nan) for name, values in features.items()}


def differences(pieces: PairPieces, cells: int, statistics: Mapping[str, Statistic]) -> dict[str, Measured]:
    """The second method's measure minus the first one's, with the jackknife's standard error (of a mean: that of the mean of
    differences). n: replications that both have."""
    plain = {name: one for name, one in statistics.items() if one.plain}
    others = {name: one for name, one in statistics.items() if not one.plain}
    found = {name: Moments(cells) for name in statistics}
    sums = Sums(cells, others.values()), Sums(cells, others.values())
    for pairs in pieces():
        for name, one in plain.items():
            first, second = (side.features[one.features[0]] for side in (pairs.first, pairs.second))
            found[name].add(pairs.first.cell, second - first)
        for features in dict.fromkeys(one.features for one in others.values()):
            for side, rows in zip(sums, _both(pairs, features), strict=True):
                side.add_of(features, rows)
    left_out = {name: tuple(LeftOut(one, side) for side in sums) for name, one in others.items()}
    for pairs in pieces() if others else ():
        for name, (without, other_without) in left_out.items():
            rows, other_rows = _both(pairs, others[name].features)
            found[name].add(rows.cell, other_without.of(other_rows) - without.of(rows))
    out = {}
    for name, moments in found.items():
        if name in plain:
            with np.errstate(invalid="ignore", divide="ignore"):
                out[name] = Measured(moments.mean, np.sqrt(moments.variance / moments.n), moments.n)
            continue
        (n, mean, variance), (_, other_mean, other_variance) = (side.of(others[name]) for side in sums)
        with np.errstate(invalid="ignore", divide="ignore"):
            difference = others[name].of(other_mean, other_variance) - others[name].of(mean, variance)
        out[name] = Measured(difference, jackknife(moments, n), n)
    return out


def _both(pairs: Pairs, features: Sequence[str]) -> tuple[Rows, Rows]:
    there = pairs.first.have(features) & pairs.second.have(features)
    return pairs.first.where(there, features), pairs.second.where(there, features)


def relative_precision(pieces: PairPieces, cells: int, formula: bool = False) -> Measured:
    """100 ((S_A / S_B)^2 - 1) for the second method, B, beside the first one, A, in percent: variances of all estimates that each has.

    MCSE: the jackknife's over all replications; formula: Table 6's, with the correlation and number of the pairs. n: of the pairs.
    """
    own = Moments(cells), Moments(cells)
    paired = {name: Moments(cells) for name in ("first", "second", "sum", "difference")}
    n = np.zeros(cells, dtype=np.int64)
    for pairs in pieces():
        sides = pairs.first.features["estimate"], pairs.second.features["estimate"]
        for moments, values in zip(own, sides, strict=True):
            moments.add(pairs.first.cell, values)
        there = ~np.isnan(sides[0] + sides[1])
        cell, (a, b) = pairs.first.cell[there], (values[there] for values in sides)
        n += np.bincount(cell, minlength=cells)
        if formula:
            for name, values in {"first": a, "second": b, "sum": a + b, "difference": b - a}.items():
                paired[name].add(cell, values)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = own[0].variance / own[1].variance
        if formula:
            both = {name: one.variance for name, one in paired.items()}
            covariance = (both["sum"] - both["difference"]) / 4
            unexplained = 1 - covariance**2 / (both["first"] * both["second"])
            mcse = 200 * ratio * np.sqrt(np.maximum(unexplained, 0) / (n - 1.0))
            return Measured(100 * (ratio - 1), mcse, n)
    found, units = Moments(cells), np.zeros(cells, dtype=np.int64)
    for pairs in pieces():
        cell, sides = pairs.first.cell, (pairs.first.features["estimate"], pairs.second.features["estimate"])
        some = ~(np.isnan(sides[0]) & np.isnan(sides[1]))
        cell = cell[some]
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (_left_out(moments, cell, values[some]) for moments, values in zip(own, sides, strict=True))
            found.add(cell, 100 * (a / b - 1))
        units += np.bincount(cell, minlength=cells)
    return Measured(100 * (ratio - 1), jackknife(found, units), n)


def _left_out(moments: Moments, cell: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The variance of a cell without each value; of all of them where the value is missing."""
    whole = moments.variance[cell]
    return np.where(np.isnan(values), whole, without_each(moments.n[cell], moments.mean[cell], whole, values)[1])
