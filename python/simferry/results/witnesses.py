"""The kinds of columns over all blocks of a run, told by a few of their rows.

What a column becomes depends on the kinds, forms and values in all blocks (see columns.py). Of each block's column one row is kept
that decides as the whole column does, unless such a row is there already: rows that are converted together with these witnesses
become what they become together with all rows of the run.
"""

import math

import numpy as np

from ..worker.blocks import Column
from .columns import is_missing, unified, widened

_Kinds = dict[tuple[str, str, tuple[str, ...], str], Column]
_FEW = 8


class Witnesses:
    """Of one table of blocks, for columns that are there together: `names`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.bytes_of_text = dict.fromkeys(names, 0)
        self._columns: dict[str, _Kinds] = {name: {} for name in names}

    def add(self, name: str, shows: str, row: Column, bytes_of_text: int) -> None:
        """A witness of some rows of a column, and the length of their texts."""
        self.bytes_of_text[name] += bytes_of_text
        self._columns[name].setdefault((row.kind, row.form, row.levels, shows), row)

    def columns(self, name: str) -> list[Column]:
        return list(self._columns[name].values())

    def unified(self, columns: dict[str, Column]) -> dict[str, Column]:
        """Some rows as they are in the table that these columns make over all blocks."""
        return {
            name: column if self.of_one_kind(name) else as_all(column, self.columns(name))
            for name, column in columns.items()
        }

    def of_one_kind(self, name: str) -> bool:
        known = self._columns[name]
        return len(known) == 1 or len({kind[:3] for kind in known}) == 1

    def rows(self) -> list[dict[str, Column]]:
        """All witnesses, one of each column at a time."""
        columns = {name: self.columns(name) for name in self.names}
        many = max(map(len, columns.values()))
        return [{name: some[min(i, len(some) - 1)] for name, some in columns.items()} for i in range(many)]

    def whole(self) -> dict[str, Column]:
        """Columns of the witnesses alone, as they are in that table."""
        return {name: unified(self.columns(name)) for name in self.names}


def as_all(column: Column, others: list[Column]) -> Column:
    """A column as it is when it is joined with others."""
    return widened([column, *others])[0]


def witness(column: Column) -> tuple[str, Column]:
    """The row that decides as the column does, which has at least one row; and what it shows."""
    if (at := _deciding(column)) is not None:
        return "decides", _row(column, at)
    if not is_missing(_row(column, 0))[0]:
        return "known", _row(column, 0)
    there = np.flatnonzero(~is_missing(column))
    return ("known", _row(column, int(there[0]))) if len(there) else ("missing", _row(column, 0))


def _deciding(column: Column) -> int | None:
    """A row whose value keeps the column from becoming 64-bit integers (a double), or doubles (64-bit integers)."""
    if column.kind == "double" and not column.form:
        if math.isfinite(first := float(column.values[0])) and not first.is_integer():
            return 0
        for values in (column.values[:_FEW], column.values):
            with np.errstate(invalid="ignore"):
                whole = (values == np.trunc(values)) & (abs(values) <= 2**53)
            at = np.flatnonzero(~whole & ~is_missing(Column("double", values)))
            if len(at):
                return int(at[0])
    elif column.form == "long":
        for i, text in enumerate(column.strings()):
            if text is not None and int(float(text)) != int(text):
                return i
    return None


def _row(column: Column, row: int) -> Column:
    """A column of one of its rows."""
    values, text = column.values[row : row + 1].copy(), b""
    if column.kind in ("string", "raw"):
        begin = int(np.maximum(column.values[:row], 0).sum(dtype=np.int64))
        text = column.text[begin : begin + max(int(values[0]), 0)]
    return column.of(values, text)
