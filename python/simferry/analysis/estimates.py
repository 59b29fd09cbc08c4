"""The estimates of a table as rows of features (error, coverage ...) of cells: a cell is a condition, and a method in it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..hints import Option, Text
from ..results.columns import is_number
from ..sweep.arrow import as_numpy, empty
from ..sweep.roles import Roles
from ..sweep.truths import Truths
from .features import Excluded, Raw
from .measure import Rows
from .outliers import NONE, Limits, Outliers, limits
from .row_keys import group_values, members_of, texts

ROWS = 32_768  # that are computed with at a time
MOST_KEPT = 4_000_000  # rows whose features stay in memory: 100 bytes a row
MOST_TOGETHER = 1_000_000  # rows of several conditions that are looked at together
Pieces = Callable[[], Iterable[pa.Table]]  # sorted by condition and replication, whose columns come first
Columns = Callable[[Sequence[str]], Iterable[pa.Table]]  # the same with some columns besides
Block = tuple[
    np.ndarray, list[Rows]
]  # some whole replications: the number of each row's replication, from 0, and the rows by estimate


@dataclass(frozen=True)
class Chapter:
    """Some conditions with all of their rows. blocks: may be called again. cells: the numbers of their cells."""

    blocks: Callable[[], Iterable[Block]]
    cells: slice

    def pieces(self) -> Iterator[Rows]:
        """The rows of each estimate, in order."""
        for _, parts in self.blocks():
            yield from parts


class Tally:
    """What is counted by cell. present: rows. there: rows with an estimate that counts. varying: cells whose truth varies."""

    def __init__(self, cells: int) -> None:
        self.present, self.there = np.zeros((2, cells), dtype=np.int64)
        self._least, self._most = np.full((2, cells), np.nan)

    def add(self, rows: Rows) -> None:
        if "truth" in rows.features:
            np.fmin.at(self._least, rows.cell, rows.features["truth"])
            np.fmax.at(self._most, rows.cell, rows.features["truth"])
        self.present += np.bincount(rows.cell, minlength=len(self.present))
        self.there += np.bincount(rows.cell[rows.have(["estimate"])], minlength=len(self.there))

    @property
    def varying(self) -> int:
        return int(np.count_nonzero(self._least < self._most))


@dataclass
class Label:
    """What a cell is besides its condition. keys: values of the columns that tell methods apart. estimate: the number of the
    estimate, where there are several."""

    keys: dict[str, Any]
    estimate: int = 0


class Estimates:
    """A table of estimates under roles.

    groups: values of the keys. labels: of the cells of a condition. conditions: the number of them; they are numbered from 1.
    truths: of cells, where they are a table. excluded: filled while all rows are read.
    """

    def __init__(
        self,
        columns: Columns,
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
        self._columns, self._schema = columns, schema
        self.roles, self.conditions, self._complete = roles, conditions, complete
        for name in roles.columns():
            check_column(schema, name, name in (roles.by or ()))
        keyed = list(roles.by) if roles.by is not None else self._texts(outputs or schema.names)
        self._rows = np.zeros(conditions, dtype=np.int64)
        self.keys, groups = group_values(self._counted(keyed), roles.by)
        self.groups = groups
        self.labels = [Label(keys, number) for number in range(len(roles.estimate)) for keys in groups]
        self.truths = truths(self.labels) if truths else None
        self.excluded = Excluded()
        self._kept: list[Block] | None = None
        self._tally: Tally | None = None
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

    def blocks(self) -> Iterator[Block]:
        """Whole replications, in order."""
        if self._kept is not None or int(self._rows.sum()) * len(self.roles.estimate) <= MOST_KEPT:
            self._kept = self._kept if self._kept is not None else [*self._computed()]
            yield from self._kept
        else:
            yield from self._computed()

    def chapters(self) -> Iterator[Chapter]:
        """All conditions, some at a time, whose features stay in memory meanwhile. Where one has too many rows for that, all of them are
        one chapter, whose features are made again whenever they are asked for."""
        rows = self._rows * len(self.roles.estimate)
        if rows.sum() <= MOST_KEPT or rows.max() > MOST_KEPT:
            yield Chapter(self.blocks, slice(None))
            return
        borders, many = [0], 0  # the first condition of each chapter
        for condition, more in enumerate(rows.tolist()):
            if many and many + more > MOST_TOGETHER:
                borders.append(condition)
                many = 0
            many += more
        held: list[Block] = []
        at, labels = 0, len(self.labels)
        for block in self._computed(borders):
            now = int(np.searchsorted(borders, block[1][0].cell[0] // labels, "right")) - 1
            if now != at and held:
                yield Chapter(held.copy, slice(borders[at] * labels, borders[at + 1] * labels))
                held = []
            at = now
            held.append(block)
        yield Chapter(held.copy, slice(borders[at] * labels, None))

    @property
    def tally(self) -> Tally:
        """What is counted in all rows."""
        if self._tally is None:
            for _ in self.blocks():
                pass
        assert self._tally is not None
        return self._tally

    def features(self) -> set[str]:
        """The features that the roles allow."""
        none, nowhere = empty(self._schema), np.empty(0, dtype=np.int64)
        rows = self._with_features(nowhere, self._raw(none, self.roles.of(0), nowhere))
        return {*rows.features, *(("mean_covered",) if rows.ends is not None else ())}

    def _computed(self, borders: Sequence[int] = ()) -> Iterator[Block]:
        self.excluded, tally = Excluded(), Tally(self.cells)
        for unit, parts in self._read(borders):
            rows = [self._with_features(cell, raw) for cell, raw in parts]
            for one in rows:
                tally.add(one)
            yield unit, rows
        self._tally = tally

    def _with_features(self, cell: np.ndarray, raw: Raw) -> Rows:
        if self._limits is not None:
            raw.limited(cell, self._limits, self._outliers, self.excluded, self._complete)
        ends = raw.ends(self.roles.alpha[0])
        return Rows(cell, raw.features(self.roles.alpha, ends), ends)

    def _texts(self, outputs: Collection[str]) -> list[str]:
        """The columns that may tell methods apart."""
        used = self.roles.columns()
        return [name for name in texts(empty(self._schema)) if name in outputs and name not in used]

    def _counted(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """The pieces with some columns, while the rows of each condition are counted."""
        for piece in cut(self._columns(names)):
            self._rows += np.bincount(as_numpy(piece["condition"]) - 1, minlength=self.conditions)
            yield piece

    def _read(self, borders: Sequence[int] = ()) -> Iterator[tuple[np.ndarray, list[tuple[np.ndarray, Raw]]]]:
        for piece in cut(self._columns(list(dict.fromkeys([*self.roles.columns(), *self.keys]))), borders):
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


def cut(pieces: Iterable[pa.Table], borders: Sequence[int] = ()) -> Iterator[pa.Table]:
    """The pieces in parts of whole replications, so small that what is made of them stays in the processor's cache, and takes memory
    that was there before: that halves the time. borders: conditions, from 0, that begin a part."""
    for piece in pieces:
        condition, replication = as_numpy(piece["condition"]), as_numpy(piece["replication"])
        ends = np.searchsorted(condition, np.array(borders, dtype=np.int64) + 1)
        begin = 0
        while begin < len(condition):
            end = begin + ROWS
            while end < len(condition) and (condition[end], replication[end]) == (
                condition[end - 1],
                replication[end - 1],
            ):
                end += 1
            between = ends[(ends > begin) & (ends < end)]
            end = int(between[0]) if len(between) else end
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
