"""The estimates of a table as rows of features (error, coverage ...) of cells: a cell is a condition, and a method in it."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..hints import Option, Text
from ..results.columns import is_number
from ..sweep.arrow import as_numpy
from ..sweep.roles import Roles
from ..sweep.truths import Truths
from .features import Excluded, Raw
from .measure import Rows
from .outliers import NONE, Limits, Outliers, limits
from .row_keys import group_values, members_of

ROWS = 32_768  # that are computed with at a time
MOST_KEPT = 4_000_000  # rows whose features stay in memory: 100 bytes a row
Pieces = Callable[[], Iterable[pa.Table]]  # sorted by condition and replication, whose columns come first


@dataclass
class Label:
    """What a cell is besides its condition. keys: values of the columns that tell methods apart. estimate: the number of the
    estimate, where there are several."""

    keys: dict[str, Any]
    estimate: int = 0


class Estimates:
    """A table of estimates under roles.

    groups: values of the keys. labels: of the cells of a condition. conditions: the number of them; they are numbered from 1.
    truths: of cells, where they are a table. excluded: filled while pieces() is read.
    """

    def __init__(
        self,
        pieces: Pieces,
        schema: pa.Schema,
        roles: Roles,
        conditions: int,
        complete: bool = True,
        outliers: Outliers = NONE,
        outputs: Collection[str] | None = None,
        truths: Callable[[list[Label]], Callable[[np.ndarray], np.ndarray]] | None = None,
    ) -> None:
        """complete: a row counts only if estimate and standard error are both there. outputs: columns that may tell methods apart where
        the roles do not say; None: all. truths: of labels what gives the truths of cells, where the roles have them as a table. Raises
        UsageError for columns that do not fit."""
        self._pieces, self.roles, self.conditions, self._complete = (lambda: cut(pieces())), roles, conditions, complete
        for name in roles.columns():
            check_column(schema, name, name in (roles.by or ()))
        keyed = [name for name in schema.names if name in ("condition", "replication")]
        keyed += (
            roles.by
            if roles.by is not None
            else [n for n in (outputs or schema.names) if n not in roles.columns() and n not in keyed]
        )
        self.keys, groups = group_values((piece.select(keyed) for piece in self._pieces()), roles.by)
        self.groups = groups
        self.labels = [Label(keys, number) for number in range(len(roles.estimate)) for keys in groups]
        self.truths = truths(self.labels) if truths else None
        self.excluded = Excluded()
        self._kept: list[tuple[np.ndarray, list[Rows]]] | None = None
        self._outliers = outliers
        self._limits: Limits | None = None
        if outliers != NONE:
            self._limits = limits(self._values, self.cells, outliers)

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
        for unit, parts in self._read():
            rows = []
            for cell, raw in parts:
                if self._limits is not None:
                    raw.limited(cell, self._limits, self._outliers, self.excluded, self._complete)
                ends = raw.ends(self.roles.alpha[0])
                rows.append(Rows(cell, raw.features(self.roles.alpha, ends), ends))
            yield unit, rows

    def _read(self) -> Iterator[tuple[np.ndarray, list[tuple[np.ndarray, Raw]]]]:
        for piece in self._pieces():
            condition = as_numpy(piece["condition"]).astype(np.int64)
            replication = as_numpy(piece["replication"]).astype(np.int64)
            unit = np.cumsum(np.r_[False, (np.diff(condition) != 0) | (np.diff(replication) != 0)])
            group = members_of(piece, self.keys, self.groups).group
            self._check_single(condition, replication, unit, group)
            at = (condition - 1) * len(self.labels) + group
            cells = [at + i * len(self.groups) for i in range(len(self.roles.estimate))]
            yield unit, [(cell, self._raw(piece, self.roles.of(i), cell)) for i, cell in enumerate(cells)]

    def _values(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
        for _, parts in self._read():
            yield from ((cell, raw.estimate, raw.se) for cell, raw in parts)

    def _check_single(
        self, condition: np.ndarray, replication: np.ndarray, unit: np.ndarray, group: np.ndarray
    ) -> None:
        at = unit * len(self.groups) + group
        seen = np.bincount(at, minlength=1)
        if seen.max() > 1:
            row = int(np.flatnonzero(at == int(seen.argmax()))[0])
            raise UsageError(
                f"replication {replication[row]} of condition {condition[row]} has {seen.max()} rows"
                + (f" of one {' and '.join(self.keys)}" if self.keys else ""),
                Text(Option("by", "method"), "  names the columns that tell them apart."),
            )

    def _raw(self, piece: pa.Table, roles: Roles, cell: np.ndarray) -> Raw:
        def column(role: str) -> np.ndarray | None:
            given = getattr(roles, role)
            if not given:
                return None
            if isinstance(given[0], Truths):
                assert self.truths is not None
                return self.truths(cell)
            return as_doubles(piece[given[0]]) if isinstance(given[0], str) else np.full(piece.num_rows, given[0])

        names = ("truth", "se", "lower", "upper", "p_value", "df")
        out = Raw(as_doubles(piece[roles.estimate[0]]), **{name: column(name) for name in names})
        out.cleaned(self.excluded, self._complete)
        return out


def cut(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The pieces in parts of whole replications, so small that what is made of them stays in the processor's cache, and takes memory
    that was there before: that halves the time."""
    for piece in pieces:
        condition, replication = as_numpy(piece["condition"]), as_numpy(piece["replication"])
        begin = 0
        while begin < len(condition):
            end = begin + ROWS
            while end < len(condition) and (condition[end], replication[end]) == (
                condition[end - 1],
                replication[end - 1],
            ):
                end += 1
            yield piece.slice(begin, end - begin)
            begin = end


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
