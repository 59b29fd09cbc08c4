"""The estimates of a table as rows of features (error, coverage ...) of cells: a cell is a condition, and a method in it."""

import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..hints import Option, Text
from ..results.columns import is_number
from ..sweep.arrow import as_numpy
from .measure import Rows
from .roles import Roles
from .row_keys import group_values, members_of

MOST_KEPT = 4_000_000  # rows whose features stay in memory: 100 bytes a row
Pieces = Callable[[], Iterable[pa.Table]]  # sorted by condition and replication, whose columns come first


@dataclass
class Label:
    """What a cell is besides its condition. keys: values of the columns that tell methods apart. estimate: the number of the
    estimate, where there are several."""

    keys: dict[str, Any]
    estimate: int = 0


@dataclass
class Excluded:
    """Values that count as missing, by what is wrong with them: how many."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, many: int) -> None:
        if many:
            self.counts[what] = self.counts.get(what, 0) + many


class Estimates:
    """A table of estimates under roles.

    labels: of the cells of a condition. conditions: the number of them; they are numbered from 1. excluded: filled while pieces() is read.
    """

    def __init__(self, pieces: Pieces, schema: pa.Schema, roles: Roles, conditions: int, complete: bool = True) -> None:
        """complete: a row counts only if estimate and standard error are both there. Raises UsageError for columns that do not fit."""
        self._pieces, self.roles, self.conditions, self._complete = pieces, roles, conditions, complete
        for name in roles.columns():
            check_column(schema, name, name in (roles.by or ()))
        keyed = [name for name in schema.names if name in ("condition", "replication")]
        keyed += (
            roles.by
            if roles.by is not None
            else [n for n in schema.names if n not in roles.columns() and n not in keyed]
        )
        self.keys, groups = group_values((piece.select(keyed) for piece in pieces()), roles.by)
        self._groups = groups
        self.labels = [Label(keys, number) for number in range(len(roles.estimate)) for keys in groups]
        self.excluded = Excluded()
        self._kept: list[tuple[np.ndarray, list[Rows]]] | None = None

    @property
    def cells(self) -> int:
        return self.conditions * len(self.labels)

    def pieces(self) -> Iterator[Rows]:
        """The rows of each estimate, in order. Raises UsageError where a replication has several rows of one method."""
        for _, parts in self.blocks():
            yield from parts

    def blocks(self) -> Iterator[tuple[np.ndarray, list[Rows]]]:
        """Of some whole replications: the number of each row's replication, from 0, and the rows by estimate."""
        if self._kept is None:
            self.excluded, kept, many = Excluded(), [], 0
            for block in self._computed():
                many += len(block[0])
                if many <= MOST_KEPT:
                    kept.append(block)
                else:
                    kept = []
                yield block
            self._kept = kept if many <= MOST_KEPT else None
        else:
            yield from self._kept

    def _computed(self) -> Iterator[tuple[np.ndarray, list[Rows]]]:
        for piece in self._pieces():
            if not piece.num_rows:
                continue
            condition = as_numpy(piece["condition"]).astype(np.int64)
            replication = as_numpy(piece["replication"]).astype(np.int64)
            unit = np.cumsum(np.r_[False, (np.diff(condition) != 0) | (np.diff(replication) != 0)])
            group = members_of(piece, self.keys, self._groups).group
            self._check_single(condition, replication, unit, group)
            at = (condition - 1) * len(self.labels) + group
            parts = [self._features(piece, self.roles.of(number)) for number in range(len(self.roles.estimate))]
            rows = [Rows(at + number * len(self._groups), *part) for number, part in enumerate(parts)]
            yield unit, rows

    def _check_single(
        self, condition: np.ndarray, replication: np.ndarray, unit: np.ndarray, group: np.ndarray
    ) -> None:
        at = unit * len(self._groups) + group
        seen = np.bincount(at, minlength=1)
        if seen.max() > 1:
            row = int(np.flatnonzero(at == int(seen.argmax()))[0])
            raise UsageError(
                f"replication {replication[row]} of condition {condition[row]} has {seen.max()} rows"
                + (f" of one {' and '.join(self.keys)}" if self.keys else ""),
                Text(Option("by", "method"), "  names the columns that tell them apart."),
            )

    def _features(
        self, piece: pa.Table, roles: Roles
    ) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, np.ndarray] | None]:
        def column(given: tuple[Any, ...]) -> np.ndarray | None:
            if not given:
                return None
            if isinstance(given[0], str):
                return as_doubles(piece[given[0]])
            return np.full(piece.num_rows, float(given[0]))

        b, s, p, df = (column(given) for given in (roles.estimate, roles.se, roles.p_value, roles.df))
        assert b is not None
        b = self._without(b, np.isinf(b), "infinite estimates")
        if s is not None:
            s = self._without(s, (s <= 0) | np.isinf(s), "standard errors that are not above 0, or infinite")
            if self._complete:
                b, s = np.where(np.isnan(s), np.nan, b), np.where(np.isnan(b), np.nan, s)
        lower, upper = column(roles.lower), column(roles.upper)
        if lower is not None and upper is not None:
            crossed = lower > upper
            lower = self._without(lower, crossed, "intervals whose lower end is above the upper one")
        elif s is not None:
            half = critical(roles.alpha[0], df) * s
            lower, upper = b - half, b + half
        features = {"estimate": b}
        truth = column(roles.truth)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            if truth is not None:
                features["truth"] = truth
                error = b - truth
                features |= {"error": error, "squared": error * error}
                features["relative"] = np.where(truth == 0, np.nan, error / truth)
            if s is not None:
                features["variance"] = s * s
            if lower is not None and upper is not None:
                features["width"] = upper - lower
                if truth is not None:
                    features["covered"] = _indicator((lower <= truth) & (truth <= upper), lower, upper, truth)
            for number, level in enumerate(roles.alpha):
                if p is not None:
                    features[_numbered(number)] = _indicator(p < level, p)
                elif s is not None:
                    features[_numbered(number)] = _indicator(np.abs(b) >= critical(level, df) * s, b, s)
        ends = (lower, upper) if lower is not None and upper is not None else None
        return features, ends

    def _without(self, values: np.ndarray, bad: np.ndarray, what: str) -> np.ndarray:
        many = int(np.count_nonzero(bad))
        if many:
            self.excluded.add(what, many)
            return np.where(bad, np.nan, values)
        return values


def _numbered(number: int) -> str:
    return f"rejected_{number + 1}" if number else "rejected"


def _indicator(values: np.ndarray, *of: np.ndarray) -> np.ndarray:
    """1 or 0, and NaN where one of the values that it is made of is."""
    return np.where(np.logical_or.reduce([np.isnan(one) for one in of]), np.nan, values.astype(np.float64))


def critical(alpha: float, df: np.ndarray | None) -> np.ndarray | float:
    """The quantile 1 - alpha / 2 of the normal, or of t with degrees of freedom."""
    if df is None:
        return statistics.NormalDist().inv_cdf(1 - alpha / 2)
    from scipy.special import stdtrit

    different, at = np.unique(df, return_inverse=True)
    return np.asarray(stdtrit(different, 1 - alpha / 2)[at])


def as_doubles(column: pa.ChunkedArray) -> np.ndarray:
    """Numbers or logicals as doubles; NA is NaN."""
    if pa.types.is_float64(column.type) and not column.null_count:
        return as_numpy(column)
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy())


def check_column(schema: pa.Schema, name: str, may_be_text: bool) -> None:
    """Raise UsageError where a table has no such column, or texts in place of numbers."""
    if name not in schema.names:
        known = [one for one in schema.names if one not in ("condition", "replication")]
        raise UsageError(
            f"there is no column {name!r}", nearest(name, known) or f"There are: {', '.join(known) or 'none'}."
        )
    if not (may_be_text or is_number(schema.field(name).type)):
        raise UsageError(f"column {name!r} holds {schema.field(name).type}; numbers are needed")
