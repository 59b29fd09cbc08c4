"""Designs: the table of conditions, one row each.

    grid(n=[10, 20], effect=[0, 0.5])          every combination; the last parameter varies fastest
    zipped(n=[10, 20], effect=[0, 0.5])        the first values together, then the second, ...
    table("conditions.csv")                    a CSV or Parquet file, a pandas.DataFrame or a pyarrow.Table
    random(100, n=(10, 50), method=["a", "b"]) values drawn at random: a pair is a range, a list a choice
    latin_hypercube(100, ...), sobol(128, ...) the same on space-filling points (scipy.stats.qmc)

A parameter is a number, an integer that was declared to be one, a logical or a string. Typing is by value: 20 and 20.0 are
the same number. `types={"n": "integer"}` declares; so does an int8, int16 or int32 column of a table. None is NA.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DesignError, nearest
from ..jobs.streams import canonical_value

if TYPE_CHECKING:
    import pandas as pd

TYPES = {"number": pa.float64(), "integer": pa.int32(), "logical": pa.bool_(), "string": pa.string()}
RESERVED = ("condition", "replication", "replications")  # columns of every table of results, or summary


class Design:
    """The conditions of a sweep.

    table: pyarrow.Table, a row per condition, a column per parameter (float64, int32, bool or string; null is NA).
    types: dict from parameter to "number", "integer", "logical" or "string".
    Raises DesignError for no rows, a reserved name, or two equal conditions.
    """

    def __init__(
        self, columns: Mapping[str, Any], types: Mapping[str, str] | None = None, *, known_distinct: bool = False
    ) -> None:
        types = dict(types or {})
        for name, kind in types.items():
            if name not in columns:
                raise DesignError(f"types: there is no parameter {name!r} in the design", nearest(name, columns))
            if kind not in TYPES:
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
        arrays = {name: _column(name, values, types.get(name)) for name, values in columns.items()}
        rows = {len(array) for array in arrays.values()}
        if len(rows) > 1:
            lengths = ", ".join(f"{name}: {len(array)}" for name, array in arrays.items())
            raise DesignError(f"the design's columns have different lengths ({lengths})")
        if rows == {0}:
            raise DesignError("the design has no rows", "A design needs at least one condition.")
        self._length = rows.pop() if rows else 1  # no parameters: one condition
        self.table: pa.Table = pa.table(arrays) if arrays else pa.table({})
        kinds = {arrow: kind for kind, arrow in TYPES.items()}
        self.types: dict[str, str] = {name: kinds[array.type] for name, array in arrays.items()}
        if not known_distinct:  # it was checked when the run began
            self._check_distinct()

    def __len__(self) -> int:
        return self._length

    def __repr__(self) -> str:
        return f"Design({len(self)} conditions: {', '.join(f'{n} ({t})' for n, t in self.types.items())})"

    @property
    def names(self) -> list[str]:
        return list(self.types)

    def condition(self, row: int) -> dict[str, Any]:
        """The parameters of one row (counted from 0), as they arrive in Python."""
        return {name: as_python(self.table[name][row].as_py()) for name in self.types}

    def to_pandas(self) -> "pd.DataFrame":
        """The design as a pandas.DataFrame, a row per condition."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def canonical(self, common: Iterable[str] = ()) -> list[str]:
        """Each condition as JSON of its parameters, names sorted, those in `common` left out. The streams depend on it."""
        left_out = set(common)
        columns = []
        for name in sorted(self.types):
            if name not in left_out:
                key = f"{canonical_value(name)}:"
                encoded = self.table[name].combine_chunks().dictionary_encode("encode")
                parts = [key + canonical_value(v) for v in encoded.dictionary.to_pylist()]
                columns.append([parts[i] for i in encoded.indices.to_pylist()])
        if not columns:
            return ["{}"] * len(self)
        return [f"{{{','.join(row)}}}" for row in zip(*columns, strict=True)]

    def _check_distinct(self) -> None:
        seen: dict[int, int] = {}
        canonical = self.canonical()
        for row, text in enumerate(canonical):  # hashes, not texts: a million conditions stay small
            first = seen.setdefault(hash(text), row)
            if first != row and canonical[first] == text:
                raise DesignError(
                    f"conditions {first + 1} and {row + 1} of the design are equal: {text}",
                    "For more data on a condition ask for more replications; leave one of the two out.",
                )


def as_python(value: Any) -> Any:
    """A parameter as Python code receives it: whole numbers below 2^53 as int, NA as None."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def grid(
    parameters: Mapping[str, Any] | None = None, /, *, types: Mapping[str, str] | None = None, **named: Any
) -> Design:
    """Every combination of the values given for each parameter; the last one varies fastest."""
    columns = _lists(parameters, named)
    for name, values in columns.items():
        if not values:
            raise DesignError(f"parameter {name} has no values, so the design has no rows")
    rows = itertools.product(*columns.values())
    transposed = zip(*rows, strict=True)
    return Design(
        {name: list(values) for name, values in zip(columns, transposed, strict=True)} if columns else {}, types
    )


def zipped(
    parameters: Mapping[str, Any] | None = None, /, *, types: Mapping[str, str] | None = None, **named: Any
) -> Design:
    """The first value of every parameter together, then the second, and so on; a single value is used in every condition."""
    columns = _lists(parameters, named)
    longest = max((len(values) for values in columns.values()), default=1)
    return Design({n: v * longest if len(v) == 1 else v for n, v in columns.items()}, types)


def table(
    source: "str | Path | Mapping[str, Any] | pd.DataFrame | pa.Table", *, types: Mapping[str, str] | None = None
) -> Design:
    """A design that exists as a table: the path of a CSV or Parquet file, a pandas.DataFrame, a pyarrow.Table or a dict.

    In a dict a single value is used in every condition, as in `zipped`."""
    if isinstance(source, (str, Path)):
        frame = _read_table(Path(source), types or {})
    elif isinstance(source, pa.Table):
        frame = source
    elif isinstance(source, Mapping):
        return zipped(source, types=types)
    elif hasattr(source, "columns") and hasattr(source, "to_dict"):
        frame = pa.Table.from_pandas(source, preserve_index=False)
    else:
        raise DesignError(
            f"table() can't read a {type(source).__name__}",
            "Give a path, a pandas.DataFrame, a pyarrow.Table or a dict.",
        )
    if frame.num_rows == 0:
        raise DesignError("the design has no rows", "A design needs at least one condition.")
    names = frame.column_names
    if twice := [name for name in set(names) if names.count(name) > 1]:
        raise DesignError(f"the table has two columns named {twice[0]!r}")
    return Design({name: frame[name] for name in names}, types)


def random(
    size: int,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    seed: int = 1,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Design:
    """`size` conditions with values drawn at random.

    A pair (low, high) is a range, of whole numbers (both ends included) where both ends are whole; a list is a choice.
    seed: of this design, not of the run.
    """
    return _sampled(size, parameters, named, types, lambda d: np.random.default_rng(seed).random((size, d)))


def latin_hypercube(
    size: int,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    seed: int = 1,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Design:
    """Like `random`, on a Latin hypercube: each parameter's range is covered evenly."""
    return _sampled(size, parameters, named, types, lambda d: _qmc().LatinHypercube(d=d, rng=seed).random(size))


def sobol(
    size: int,
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    seed: int = 1,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Design:
    """Like `random`, on a scrambled Sobol' sequence; a size that is a power of 2 keeps its balance."""
    return _sampled(size, parameters, named, types, lambda d: _qmc().Sobol(d=d, rng=seed).random(size))


def _qmc() -> Any:
    try:
        from scipy.stats import qmc
    except ImportError:
        raise DesignError(
            "latin_hypercube and sobol need scipy, which is not installed", "pip install 'simferry[design]'"
        ) from None
    return qmc


def _lists(parameters: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, list[Any]]:
    if both := set(parameters or {}) & set(named):
        raise DesignError(f"parameter {min(both)} is given twice")
    return {name: _listed(values) for name, values in {**(parameters or {}), **named}.items()}


def _listed(values: Any) -> list[Any]:
    if isinstance(values, (np.generic, np.ndarray)) and values.ndim == 0:
        return [values.item()]
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return [values]
    return list(values)


def _sampled(
    size: int,
    parameters: Mapping[str, Any] | None,
    named: Mapping[str, Any],
    types: Mapping[str, str] | None,
    points: Callable[[int], np.ndarray],
) -> Design:
    if size < 1:
        raise DesignError(f"a design of {size} conditions has no rows")
    sources = {**(parameters or {}), **named}
    if not sources:
        raise DesignError("no parameters to draw", "Give each a range (low, high) or a list of values.")
    cube = points(len(sources))
    return Design({name: _scaled(name, s, cube[:, i]) for i, (name, s) in enumerate(sources.items())}, types)


def _scaled(name: str, source: Any, u: np.ndarray) -> list[Any]:
    """Points of the unit interval as values of a parameter."""
    if isinstance(source, list):
        if not source:
            raise DesignError(f"parameter {name} has no values to choose from")
        return [source[int(i)] for i in np.floor(u * len(source))]
    try:
        low, high = source
        width = float(high) - float(low)
    except (TypeError, ValueError):
        raise DesignError(
            f"parameter {name}: {source!r} is neither a range nor a choice",
            "A range is a pair such as (10, 50), a choice a list such as ['a', 'b'].",
        ) from None
    if not (width >= 0 and math.isfinite(width)):
        raise DesignError(f"parameter {name}: the range ({low}, {high}) does not go up")
    if isinstance(low, int) and isinstance(high, int):
        return [int(v) for v in low + np.floor(u * (high - low + 1))]
    return [float(v) for v in low + u * width]


def _read_table(path: Path, types: Mapping[str, str]) -> pa.Table:
    if not path.is_file():
        raise DesignError(f"there is no file {path} to read the design from")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            import pyarrow.parquet

            return pyarrow.parquet.read_table(path)
        read = read_csv(path, types={name: pa.string() for name, kind in types.items() if kind == "string"})
        # what looks like a date stays the text that it is
        dates = {f.name: pa.string() for f in read.schema if pa.types.is_temporal(f.type)}
        if dates:
            read = read_csv(path, types={f.name: dates.get(f.name, f.type) for f in read.schema})
        return read
    except (pa.ArrowException, OSError) as error:
        raise DesignError(f"{path} can't be read as a table: {error}") from None


def read_csv(path: Path, types: Mapping[str, Any], missing: Sequence[str] = ("", "NA")) -> pa.Table:
    """A CSV file. types: Arrow's, of the columns for which they are known. missing: what, unquoted, is NA."""
    import pyarrow.csv

    return pyarrow.csv.read_csv(
        path,
        # one block, since a column's type is found in the first one, and no row may cross into the next
        read_options=pyarrow.csv.ReadOptions(block_size=min(max(path.stat().st_size, 1) + 1, 2**31 - 1)),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=missing, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def _column(name: str, values: Any, declared: str | None) -> pa.Array:
    """A parameter's values as one of the four types, by value unless declared."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else _array(name, values)
    kind = declared or _kind(name, array)
    if kind == "number" and pa.types.is_integer(array.type):
        wide = [v for v in (pc.min(array).as_py(), pc.max(array).as_py()) if v is not None and abs(v) > 2**53]
        if wide:
            raise DesignError(
                f"parameter {name}: {wide[0]} is above 2^53, where doubles skip whole numbers", "Pass it as a string."
            )
    if kind == "string":
        return _texts(name, array)
    try:
        out = array.cast(TYPES[kind])
        exact = kind != "integer" or pc.min(out).as_py() != -(2**31)  # which is what R has for NA
        exact &= kind != "logical" or not _is_number(array.type) or out.cast(array.type).equals(array)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        exact = False
    if not exact:
        whole = " (whole, and below 2^31)" if kind == "integer" else ""
        raise DesignError(f"parameter {name} is declared {kind}, but not all of its values are{whole}")
    return out


def _is_number(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_integer(arrow) or pa.types.is_floating(arrow))


def _texts(name: str, array: pa.Array) -> pa.Array:
    if not pa.types.is_string(array.type):
        array = pa.array([None if v is None else str(as_python(v)) for v in array.to_pylist()], pa.string())
    if pc.any(pc.match_substring(array, "\0")).as_py():
        raise DesignError(f"parameter {name} holds a string with a NUL character, which R and command lines can't take")
    return array


def _kind(name: str, array: pa.Array) -> str:
    arrow = array.type
    if pa.types.is_boolean(arrow):
        return "logical"
    if arrow in (pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16()):
        return "integer"
    if _is_number(arrow) or pa.types.is_null(arrow):
        return "number"
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_temporal(arrow):
        return "string"
    if pa.types.is_dictionary(arrow):
        return _kind(name, array.dictionary)
    raise DesignError(
        f"parameter {name} holds values of type {arrow}",
        "Parameters are numbers, integers, logicals and strings. Pass other objects as constants.",
    )


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf":
        return pa.array(values)
    values = [v.item() if isinstance(v, np.generic) else None if type(v).__name__ == "NAType" else v for v in values]
    kinds = {bool if isinstance(v, bool) else float if isinstance(v, (int, float)) else type(v) for v in values}
    kinds.discard(type(None))
    if len(kinds) > 1:
        words = {float: "numbers", bool: "logicals", str: "strings"}
        raise DesignError(f"parameter {name} mixes {' and '.join(sorted(words.get(k, k.__name__) for k in kinds))}")
    if kinds - {bool, float, str}:
        raise DesignError(
            f"parameter {name} holds a {kinds.pop().__name__}",
            "Parameters are numbers, integers, logicals and strings. Pass other objects as constants.",
        )
    if kinds == {float} and any(isinstance(v, float) for v in values):
        for v in values:
            if isinstance(v, int) and abs(v) > 2**53:
                raise DesignError(f"parameter {name}: {v} is above 2^53, where doubles skip whole numbers")
        return pa.array([None if v is None else float(v) for v in values], pa.float64())
    try:
        return pa.array(values, from_pandas=False)
    except OverflowError:
        raise DesignError(f"parameter {name} holds a whole number above 2^53", "Pass it as a string.") from None
    except UnicodeEncodeError:
        raise DesignError(f"parameter {name} holds a string that is not Unicode text") from None
