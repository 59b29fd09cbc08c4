"""True values as a table: a row for each condition, or combination of parameters, and method."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError, nearest
from .any_table import as_arrow, is_table_file
from .design import Design

Key = tuple[Any, ...]


def is_table(value: Any) -> bool:
    """Whether a truth is a table, or the path of one."""
    return is_table_file(value) or isinstance(value, Mapping) or hasattr(value, "columns")


def columns_of(value: Any) -> dict[str, list[Any]]:
    """A table of truths as columns of plain values, which a run's record keeps. value: a path, a table, or columns by name.
    Raises UsageError."""
    if isinstance(value, Mapping):
        value = {
            name: [one] if isinstance(one, str) or not isinstance(one, Sequence) else one for name, one in value.items()
        }
    table = as_arrow(value)
    names = table.column_names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"the table of truths has two columns named {twice!r}")
    if not table.num_rows:
        raise UsageError("the table of truths has no rows")
    out = {name: table[name].to_pylist() for name in names}
    for name, values in out.items():
        row = next((i for i, one in enumerate(values, 1) if one is None or one != one), 0)
        if row:
            raise UsageError(f"the table of truths has no value of {name} in row {row}")
    return out


@dataclass(frozen=True)
class Truths:
    """columns: of `columns_of`."""

    columns: Mapping[str, Sequence[Any]]

    def keyed(self, known: Mapping[str, bool]) -> tuple[list[str], dict[Key, float]]:
        """The columns that tell the truths apart, and the truths by their values. known: columns that may do so, and whether each holds
        texts; the column that is left holds the truths, or `truth`. Raises UsageError."""
        left = [name for name in self.columns if name not in known] or [one for one in self.columns if one == "truth"]
        if len(left) != 1:
            wrong = next((name for name in left if name != "truth"), None)
            if "truth" in left and wrong is not None:
                near = nearest(wrong, known) or f"Besides truth, there can be {', '.join(known)}."
                raise UsageError(f"the table of truths has a column {wrong!r}, by which nothing can be told", near)
            raise UsageError(
                f"the table of truths has the columns {', '.join(self.columns)}: which one holds the truths?",
                f"Call it truth. Besides, there can be {', '.join(known)}.",
            )
        keys = [name for name in self.columns if name != left[0]]
        out: dict[Key, float] = {}
        for key, value in zip(self._rows(keys, known), self.columns[left[0]], strict=True):
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise UsageError(f"the table of truths holds {value!r} as {left[0]}; finite numbers are needed")
            if key in out:
                hint = "" if keys else f"Columns that tell them apart can be {', '.join(known)}."
                raise UsageError(f"the table of truths has two truths{_where(keys, key)}", hint)
            out[key] = float(value)
        return keys, out

    def check(self, design: Design) -> None:
        """Raise UsageError for a condition without a truth, as far as that is seen before there are results."""
        of = {
            "condition": list(range(1, len(design) + 1)),
            **{name: design.table[name].to_pylist() for name in design.names},
        }
        known = {name: design.types.get(name) == "string" for name in of}
        keys = [name for name in self.columns if name in known and name != "truth"]
        if len(keys) == len(self.columns) - 1:
            self.keyed(known)
        there = set(self._rows(keys, known))
        for condition in of["condition"]:
            key = key_of([of[name][condition - 1] for name in keys])
            if key not in there:
                raise without(condition, keys, key)

    def _rows(self, keys: Sequence[str], known: Mapping[str, bool]) -> list[Key]:
        columns = [self.columns[name] for name in keys]
        texts = [known[name] for name in keys]  # whose digits a CSV file makes numbers
        return [
            key_of([str(one) if text and type(one) is int else one for one, text in zip(row, texts, strict=True)])
            for row in (zip(*columns, strict=True) if keys else [()] * len(next(iter(self.columns.values()))))
        ]


def without(condition: int | None, keys: Sequence[str], key: Key) -> UsageError:
    """What is raised where a condition has no truth; None: there is only one."""
    other = {name: value for name, value in zip(keys, key, strict=True) if name != "condition"}
    what = "a row" if condition is None else f"condition {condition}"
    return UsageError(f"{what} has no truth in the table{_where(list(other), list(other.values()))}")


def key_of(values: Collection[Any]) -> Key:
    """Values in the form in which those of two tables are compared."""
    return tuple(key_of(one) if isinstance(one, list) else one for one in values)


def _where(keys: Sequence[str], key: Sequence[Any]) -> str:
    shown = [f"{value:.10g}" if isinstance(value, float) else value for value in key]
    return f", where {', '.join(f'{name} is {value}' for name, value in zip(keys, shown, strict=True))}" if keys else ""
