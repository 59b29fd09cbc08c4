"""Designs: the table of conditions, one row each.

    grid(n=[10, 20], effect=[0, 0.5])          every combination; the last parameter varies fastest
    zipped(n=[10, 20], effect=[0, 0.5])        the first values together, then the second, ...
    table("conditions.csv")                    a CSV or Parquet file, a table of pandas, Polars or Arrow
    random(100, n=(10, 50), method=["a", "b"]) values drawn at random: a pair is a range, a list a choice
    latin_hypercube(100, ...), sobol(128, ...) the same on space-filling points (scipy.stats.qmc)

A parameter is a number, an integer that was declared to be one, a logical, a string, or a list of these. Typing is by value: 20
and 20.0 are the same number. `types={"n": "integer"}` declares; so does an int8, int16 or int32 column of a table. None is NA.

    grid(beta=[[1, 2], [3, 4, 5]])             two lists: Python gets lists, R gets vectors
    grid(method=[np.mean, np.median])          two functions: the table has their names, the simulation gets the functions
    grid(sigma={"small": a, "large": b})       the same for any objects, by names of your own
    grid(beta=[np.zeros(2), np.ones(3)])       two arrays: Python gets arrays of numpy, R gets vectors
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import DesignError, nearest
from ..words import counted
from ..worker.rows import an
from .arrow import taken, whole_numbers
from .by_name import holds_objects, named, names_and_objects
from .calls import design_call
from .canonical import first_equal, rows_of, texts
from .parameters import TYPES, as_python, check_rows, column, has_lists, read_table, same_bits

if TYPE_CHECKING:
    import pandas as pd

RESERVED = ("condition", "replication")  # columns of every table of results; for `replications` see replications.py


class Design:
    """The conditions of a sweep.

    columns: values by parameter, all of the same length. types: "number", "integer", "logical" or "string" by parameter, or
    "number list", "number array", ... known_distinct: True skips the check for equal conditions.

    table: pyarrow.Table, a row per condition, a column per parameter (float64, int32, bool, string, or lists of these; null is NA).
    types: dict from parameter to its type. objects: by parameter the functions and other objects that the simulation gets, by the
    names that the table has.

    Raises DesignError if there are no rows, if a name is reserved, if two conditions are equal, or if a value does not have
    the declared type.
    """

    def __init__(
        self, columns: Mapping[str, Any], types: Mapping[str, str] | None = None, *, known_distinct: bool = False
    ) -> None:
        types = dict(types or {})
        for name, kind in types.items():
            if name not in columns:
                raise DesignError(f"types: there is no parameter {name!r} in the design", nearest(name, columns))
            if not isinstance(kind, str) or kind not in TYPES:
                raise DesignError(f"types: {kind!r} (for {name}) is not a type", f"Types are {', '.join(TYPES)}.")
        for name in columns:
            if not isinstance(name, str):
                raise DesignError(f"a parameter's name is a string, not {name!r}")
            if name in RESERVED:
                raise DesignError(
                    f"a parameter can't be named {name!r}: every table of results has such a column",
                    f"Give the parameter another name, such as {name}s.",
                )
            if not name.strip():
                raise DesignError("a parameter has no name")
        self.objects: dict[str, dict[str, Any]] = {}
        columns = dict(columns)
        for name in filter(lambda name: holds_objects(columns[name]), columns):
            columns[name], self.objects[name] = names_and_objects(name, columns[name])
        made = {name: column(name, values, types.get(name)) for name, values in columns.items()}
        arrays = {name: array for name, (array, _) in made.items()}
        rows = {len(array) for array in arrays.values()}
        if len(rows) > 1:
            lengths = ", ".join(f"{name}: {len(array)}" for name, array in arrays.items())
            raise DesignError(f"the design's columns have different lengths ({lengths})")
        if rows == {0}:
            raise DesignError("the design has no rows", "A design needs at least one condition.")
        check_rows(max(rows, default=1))
        self._length = rows.pop() if rows else 1  # no parameters: one condition
        self.table: pa.Table = pa.table(arrays) if arrays else pa.table({})
        self.types: dict[str, str] = {name: kind for name, (_, kind) in made.items()}
        if not known_distinct:  # it was checked when the run began
            self._check_distinct()

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        columns = {name: self.table[name].combine_chunks() for name in self.types}
        return design_call(columns, self.types, len(self), self.objects)

    def _repr_html_(self) -> str:
        shown = self.table.slice(0, 10).to_pandas()
        shown.index += 1
        more = f"<p>… and {len(self) - 10:,} more</p>" if len(self) > 10 else ""
        return f"<div><b>Design of {counted(len(self), 'condition')}</b>{shown.to_html()}{more}</div>"

    def __eq__(self, other: object) -> bool:
        """Whether it has the same conditions in the same order, each value bit for bit, and the same types."""
        if not isinstance(other, Design) or self.types != other.types or len(self) != len(other):
            return False
        if {n: list(map(id, o.values())) for n, o in self.objects.items()} != {
            n: list(map(id, o.values())) for n, o in other.objects.items()
        }:
            return False
        return all(same_bits(self.table[name], other.table[name]) for name in self.types)

    def __hash__(self) -> int:
        return hash((len(self), *self.types.items()))

    @property
    def names(self) -> list[str]:
        """The parameters, in the order of the columns."""
        return list(self.types)

    def condition(self, row: int) -> dict[str, Any]:
        """The parameters of one row (counted from 0), as a Python simulation receives them, but objects by their names.

        Raises IndexError for other rows.
        """
        return {name: as_python(self.table[name][row].as_py(), kind) for name, kind in self.types.items()}

    def to_pandas(self) -> "pd.DataFrame":
        """The design as a pandas.DataFrame, a row per condition."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def canonical(self, common: Iterable[str] = ()) -> Iterator[str]:
        """Each condition as JSON of its parameters, sorted by name, one after the other. The random streams depend on this text.

        common: parameters to leave out. Raises nothing.
        """
        return texts(self.table, self.types, len(self), set(common))

    def rows(self, at: np.ndarray) -> "Design":
        """The design of some conditions only.

        at: integer array of their rows (counted from 0), in ascending order and distinct. Raises nothing.
        """
        if not self.types or len(at) == len(self):
            return self
        table = self.table.take(whole_numbers(at))
        out = Design({name: table[name] for name in self.types}, self.types, known_distinct=True)
        out.objects = self.objects
        return out

    def rows_of(self, other: "Design") -> np.ndarray:
        """For each condition of another design the row (from 0) of the equal one here, or -1: an int64 array.

        other: the design whose conditions are looked up. Raises nothing.
        """
        found = rows_of(self.table, self.types, other.table, other.types)
        return np.full(len(other), -1, dtype=np.int64) if found is None else found

    def _check_distinct(self) -> None:
        if found := first_equal(self.table, self.types):
            first, again = found
            raise DesignError(
                f"conditions {first + 1} and {again + 1} of the design are equal: {next(self.rows(np.array([again])).canonical())}",
                "For more data on a condition, use more replications. Remove one of the two.",
            )


def grid(
    parameters: Mapping[str, Any] | None = None, /, *, types: Mapping[str, str] | None = None, **named: Any
) -> Design:
    """A design of every combination of the parameters' values; the last parameter varies fastest.

    parameters: values by parameter, as a dict. A dict as values has their names; functions have their own. named: the same as
        keyword arguments.
    types: "number", "integer", "logical" or "string" by parameter; without it the values decide.

    Raises DesignError if a parameter has no values or is given twice, and as `Design` does.
    """
    columns = _lists(parameters, named)
    for name, values in columns.items():
        if not values:
            raise DesignError(f"parameter {name} has no values, so the design has no rows")
    types = dict(types or {})
    ones = {name: Design({name: values}, _only(types, name), known_distinct=True) for name, values in columns.items()}
    rows = math.prod(map(len, ones.values()))
    check_rows(rows)
    made, repeats = {}, rows
    for name, one in ones.items():
        repeats //= len(one)
        made[name] = taken(one.table[name], np.arange(rows) // repeats % len(one))
    out = Design(made, {**types, **{name: one.types[name] for name, one in ones.items()}})
    out.objects = {name: objects for one in ones.values() for name, objects in one.objects.items()}
    return out


def _only(types: Mapping[str, str], name: str) -> dict[str, str]:
    return {name: types[name]} if name in types else {}


def zipped(
    parameters: Mapping[str, Any] | None = None, /, *, types: Mapping[str, str] | None = None, **named: Any
) -> Design:
    """A design of the first values of all parameters, then the second values, and so on.

    A single value is used in every condition.

    parameters: values by parameter, as a dict. A dict as values has their names; functions have their own. named: the same as
        keyword arguments.
    types: "number", "integer", "logical" or "string" by parameter; without it the values decide.

    Raises DesignError if the lengths differ or a parameter is given twice, and as `Design` does.
    """
    columns = _lists(parameters, named)
    longest = max((len(values) for values in columns.values()), default=1)
    return Design({n: v * longest if len(v) == 1 else v for n, v in columns.items()}, types)


def table(
    source: "str | Path | Mapping[str, Any] | pd.DataFrame | pa.Table", *, types: Mapping[str, str] | None = None
) -> Design:
    """A design from a table, one condition per row.

    source: the path of a CSV or Parquet file, a table of pandas, Polars or Arrow, or a dict. In a dict a single value is used
        in every condition, as in `zipped`.
    types: "number", "integer", "logical" or "string" by parameter; without it the columns decide.

    Raises DesignError if the source cannot be read or has two columns of one name, and as `Design` does.
    """
    frame: Any = source
    if isinstance(source, (str, Path)):
        frame = read_table(Path(source), types or {})
    elif isinstance(source, Mapping):
        return zipped(source, types=types)
    elif hasattr(source, "to_arrow"):  # of Polars
        frame = frame.to_arrow()
    elif not (hasattr(source, "columns") and (hasattr(source, "to_dict") or isinstance(source, pa.Table))):
        raise DesignError(
            f"table() can't read {an(type(source).__name__)}",
            "Give a path, a pandas.DataFrame, a pyarrow.Table or a dict.",
        )
    names = frame.column_names if isinstance(frame, pa.Table) else [str(name) for name in frame.columns]
    if len(frame) == 0:
        raise DesignError("the design has no rows", "A design needs at least one condition.")
    if twice := [name for name in set(names) if names.count(name) > 1]:
        raise DesignError(f"the table has two columns named {twice[0]!r}")
    columns = frame.columns if isinstance(frame, pa.Table) else _columns(frame)
    return Design(dict(zip(names, columns, strict=True)), types)


def _columns(frame: "pd.DataFrame") -> list[Any]:
    """The columns of a pandas.DataFrame: those that hold lists as they are, others as Arrow's."""
    columns = [frame.iloc[:, i] for i in range(frame.shape[1])]
    lists = {i: column.tolist() for i, column in enumerate(columns) if has_lists(column) or holds_objects(column)}
    plain = frame.iloc[:, [i for i in range(len(columns)) if i not in lists]]
    others = iter(pa.Table.from_pandas(plain, preserve_index=False).columns)
    return [lists[i] if i in lists else next(others) for i in range(len(columns))]


def merged(parameters: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a dict and of keyword arguments. Raises DesignError where one is given twice."""
    if parameters is not None and not isinstance(parameters, Mapping):
        raise DesignError(
            f"parameters have names: they are given as a dict or by keyword, not as {an(type(parameters).__name__)}",
            "Write sf.grid(n=[10, 20], effect=[0, 0.5]).",
        )
    if both := set(parameters or {}) & set(named):
        raise DesignError(f"parameter {min(both)} is given twice")
    return {**(parameters or {}), **named}


def note_of_columns(columns: Mapping[str, Any], grid: str, table: str) -> str:
    """A note where columns that go together, row by row, may have been meant as a grid; else empty.

    grid, table: how a user makes all combinations, and this design.
    """
    several = [values for values in map(listed, columns.values()) if len(values) > 1]
    if len(several) < 2 or any(
        len(set(map(repr, values))) < len(values) for values in several
    ):  # no grid has a value twice
        return ""
    combinations = math.prod(map(len, several))
    return (
        f"the values of the design go together, row by row: {len(several[0])} conditions. {grid} makes all "
        f"{combinations} combinations; {table} is this design, without this note."
    )


def _lists(parameters: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: listed(values) for name, values in merged(parameters, named).items()}


def listed(values: Any) -> list[Any]:
    if isinstance(values, (np.generic, np.ndarray)) and values.ndim == 0:
        return [values.item()]
    if isinstance(values, Mapping) and all(isinstance(name, str) for name in values):
        return list(named(values))
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return [values]
    return list(values)
