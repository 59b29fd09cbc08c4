"""Parameters: the types of their values, tables that hold them, and the canonical text on which streams depend."""

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import DesignError
from ..worker.rows import an
from .arrow import as_numpy, doubles, plain_array
from .lists import from_text, is_list, listed, unlisted

SINGLE = {"number": pa.float64(), "integer": pa.int32(), "logical": pa.bool_(), "string": pa.string()}
LISTS = {f"{kind} list": pa.list_(arrow) for kind, arrow in SINGLE.items()}
# lists which Python gets as arrays of numpy
ARRAYS = {f"{kind} array": pa.list_(arrow) for kind, arrow in SINGLE.items() if kind != "string"}
TYPES = SINGLE | LISTS | ARRAYS
_DTYPES: dict[str, Any] = {"number array": np.float64, "integer array": np.int64, "logical array": np.bool_}
MOST_CONDITIONS = 10_000_000  # of a design; a plan of as many, with two parameters, takes 1.5 GB of memory
_ALLOWED = "Parameters are numbers, integers, logicals and strings, and lists of these."


def as_python(value: Any, kind: str = "") -> Any:
    """A parameter as Python code receives it: whole numbers below 2^53 as int, NA as None, those of a type of arrays as arrays."""
    if isinstance(value, list):
        return np.array(value, _DTYPES[kind]) if kind in _DTYPES else [as_python(v) for v in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def canonical_value(value: object) -> str:
    """One parameter's value as the JSON that enters a condition's hash: 20 and 20.0 are the same number, NA is not NaN.

    A list of one is its element, as in R; see docs/decisions/lists.md.
    """
    if isinstance(value, list):
        parts = [canonical_value(v) for v in value]
        return parts[0] if len(parts) == 1 else f"[{','.join(parts)}]"
    if value is None:
        return '{"number": "NA"}'
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    number = float(value)  # type: ignore[arg-type]
    if math.isnan(number):
        return '{"number": "NaN"}'
    if math.isinf(number):
        return '{"number": "Inf"}' if number > 0 else '{"number": "-Inf"}'
    return f"{number + 0.0:.15g}"  # + 0.0 makes -0.0 the 0 that it equals


def check_rows(rows: int) -> None:
    """Raises DesignError for more conditions than a design can have."""
    if rows > MOST_CONDITIONS:
        raise DesignError(
            f"the design has {rows:,} conditions, and a design has at most {MOST_CONDITIONS:,}",
            "Split it into several runs.",
        )


def read_table(path: Path, types: Mapping[str, str]) -> pa.Table:
    """A CSV or Parquet file. types: those that are declared."""
    if not path.is_file():
        raise DesignError(f"there is no file {path} to read the design from")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            import pyarrow.parquet

            check_rows(pyarrow.parquet.read_metadata(path).num_rows)
            return pyarrow.parquet.read_table(path)
        declared = {
            name: SINGLE.get(kind, pa.string()) for name, kind in types.items() if kind not in ("integer", "logical")
        }
        try:  # declared numbers are read as such, so that -0 keeps its sign
            read = read_csv(path, types=declared)
        except pa.ArrowInvalid:
            read = read_csv(path, types={name: kind for name, kind in declared.items() if kind == pa.string()})
        # dates stay text
        dates = {f.name: pa.string() for f in read.schema if pa.types.is_temporal(f.type)}
        if dates:
            read = read_csv(path, types={f.name: dates.get(f.name, f.type) for f in read.schema})
        return read
    except (pa.ArrowException, OSError) as error:
        raise DesignError(f"{path} can't be read as a table: {error}") from None


def read_csv(
    source: Path | bytes,
    types: Mapping[str, Any],
    missing: Sequence[str] = ("", "NA"),
    names: Sequence[str] | None = None,
) -> pa.Table:
    """A CSV file, or its content. types: Arrow types of some columns, by name. missing: texts that mean NA where they are not quoted.
    names: of the columns, where it has no header."""
    import pyarrow.csv

    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    return pyarrow.csv.read_csv(
        pa.BufferReader(source) if isinstance(source, bytes) else source,
        # one block: pyarrow infers types from the first one, and no row may span two
        read_options=pyarrow.csv.ReadOptions(block_size=min(max(size, 1) + 1, 2**31 - 1), column_names=names),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types, null_values=missing, strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )


def column(name: str, values: Any, declared: str | None) -> tuple[pa.Array, str]:
    """A parameter's values as a column of one of the types, and that type: by value unless declared."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(values, pa.Array) and is_list(values.type):
        return _list_column(name, *unlisted(values), declared, "list")
    if (declared is None or declared in SINGLE) and not has_lists(values):
        return _single_column(name, values, declared)
    return _column_of_lists(name, values, declared)


def has_lists(values: Any) -> bool:
    """Whether some values are lists, tuples or arrays."""
    if isinstance(values, pa.Array) or getattr(getattr(values, "dtype", None), "kind", "O") != "O":
        return isinstance(values, np.ndarray) and values.ndim > 1
    return any(map(_is_list, values))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _column_of_lists(name: str, values: Any, declared: str | None) -> tuple[pa.Array, str]:
    """The same of lists, tuples, arrays and None; where a type of lists is declared, also of texts in JSON and of single values."""
    cells = [from_text(v) for v in (values.to_pylist() if isinstance(values, pa.Array) else values)]
    lengths: list[int] = []
    elements: list[Any] = []
    for cell in cells:
        if not (cell is None or _is_list(cell)):
            if not declared or (isinstance(cell, str) and declared.partition(" ")[0] != "string"):
                raise DesignError(
                    f"parameter {name} mixes lists and other values, such as {cell!r}", f"A list of one is [{cell!r}]."
                )
            cell = [cell]
        if isinstance(cell, np.ndarray) and cell.ndim > 1:
            raise DesignError(f"parameter {name} holds an array of {cell.ndim} dimensions", _BY_NAME)
        inside = [] if cell is None else cell.tolist() if isinstance(cell, np.ndarray) else list(cell)
        if any(_is_list(v) or isinstance(v, Mapping) for v in inside):
            raise DesignError(f"parameter {name} holds lists of lists", _BY_NAME)
        lengths.append(-1 if cell is None else len(inside))
        elements += inside
    kinds = {cell.dtype.kind if isinstance(cell, np.ndarray) else "" for cell in cells if cell is not None}
    container = "array" if kinds <= set("biuf") else "list"
    if not declared and container == "array" and kinds <= set("iu"):
        if any(abs(v) >= 2**31 for v in elements):
            raise DesignError(f"parameter {name} holds an array with an integer of 2^31 or more", "Pass floats.")
        declared = "integer array"
    return _list_column(name, lengths, elements, declared, container)


def _list_column(name: str, lengths: Any, elements: Any, declared: str | None, container: str) -> tuple[pa.Array, str]:
    """declared: a type of lists, or of their elements. container: "list" or "array", where it is not declared."""
    element, _, declared_container = (declared or "").partition(" ")
    inside, kind = _single_column(name, elements, element or None)
    container = declared_container or container
    if container == "array" and kind != "number" and inside.null_count:
        raise DesignError(f"parameter {name}: arrays of {kind}s have no NA", f"Declare it as {kind} list.")
    return listed(lengths, inside), f"{kind} {container}"


def _single_column(name: str, values: Any, declared: str | None) -> tuple[pa.Array, str]:
    """Values as one of the four types of single values."""
    array = _array(name, values)
    kind = declared or _kind(name, array)
    if kind == "number" and pa.types.is_integer(array.type):
        array = _as_doubles(name, array)
    if kind == "string":
        return _texts(name, array), kind
    if array.type == SINGLE[kind] and kind != "integer":
        return array, kind
    import pyarrow.compute as pc  # takes long to load

    try:
        out = array.cast(SINGLE[kind])
        exact = kind != "integer" or pc.min(out).as_py() != -(2**31)  # R's NA
        exact &= kind != "logical" or not _is_number(array.type) or out.cast(array.type).equals(array)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        exact = False
    if not exact:
        whole = " (whole, and below 2^31)" if kind == "integer" else ""
        raise DesignError(f"parameter {name} is declared {kind}, but not all of its values are{whole}")
    return out, kind


_BY_NAME = 'A matrix, or another object, can be passed by a name: {"small": ..., "large": ...}.'


def _is_number(arrow: pa.DataType) -> bool:
    return bool(pa.types.is_integer(arrow) or pa.types.is_floating(arrow))


def _as_doubles(name: str, array: pa.Array) -> pa.Array:
    """Whole numbers as doubles; as they are where some are missing."""
    present = as_numpy(array.drop_null() if array.null_count else array)
    for wide in (int(v) for v in (present.min(initial=0), present.max(initial=0)) if abs(int(v)) > 2**53):
        raise DesignError(
            f"parameter {name}: {wide} is above 2^53, where doubles skip whole numbers", "Pass it as a string."
        )
    return array if array.null_count else doubles(present.astype(np.float64))


def _texts(name: str, array: pa.Array) -> pa.Array:
    if not pa.types.is_string(array.type):
        array = pa.array([None if v is None else str(as_python(v)) for v in array.to_pylist()], pa.string())
    if _may_hold_nul(array) and any(v is not None and "\0" in v for v in array.to_pylist()):
        raise DesignError(f"parameter {name} holds a string with a NUL character, which R and command lines can't take")
    return array


def _may_hold_nul(array: pa.Array) -> bool:
    held = array.buffers()[2]  # of a slice, all
    return held is not None and bool((np.frombuffer(held, np.uint8) == 0).any())


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
        f"{_ALLOWED} Pass other objects as constants.",
    )


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "biuf":
        return pa.array(values)
    values = [None if type(v).__name__ in ("NAType", "NaTType") else v for v in values]
    # item() makes integers of nanoseconds
    values = [v.astype(f"{v.dtype.kind}8[us]") if isinstance(v, (np.datetime64, np.timedelta64)) else v for v in values]
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    # dates and times are texts, as in the columns of tables
    values = [str(v) if isinstance(v, (datetime.date, datetime.time)) else v for v in values]
    kinds = {bool if isinstance(v, bool) else float if isinstance(v, (int, float)) else type(v) for v in values}
    kinds.discard(type(None))
    if len(kinds) > 1:
        words = {float: "numbers", bool: "logicals", str: "strings"}
        raise DesignError(f"parameter {name} mixes {' and '.join(sorted(words.get(k, k.__name__) for k in kinds))}")
    if any(issubclass(kind, datetime.timedelta) for kind in kinds):
        raise DesignError(f"parameter {name} holds a timedelta", "Pass its seconds: value.total_seconds().")
    if kinds - {bool, float, str}:
        raise DesignError(
            f"parameter {name} holds {an(kinds.pop().__name__)}",
            f"{_ALLOWED} Pass other objects as constants.",
        )
    if kinds == {float} and any(isinstance(v, float) for v in values):
        for v in values:
            if isinstance(v, int) and abs(v) > 2**53:
                raise DesignError(f"parameter {name}: {v} is above 2^53, where doubles skip whole numbers")
        return plain_array([None if v is None else float(v) for v in values])
    try:
        return plain_array(values)
    except OverflowError:
        raise DesignError(f"parameter {name} holds a whole number above 2^53", "Pass it as a string.") from None
    except UnicodeEncodeError:
        raise DesignError(f"parameter {name} holds a string that is not Unicode text") from None


def same_bits(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Whether two columns of one type hold the same values: -0 is not 0, NA is not NaN, NaN equals NaN."""
    if not one.is_null().equals(other.is_null()):
        return False
    if is_list(one.type):
        (lengths, a), (others, b) = unlisted(one.combine_chunks()), unlisted(other.combine_chunks())
        return bool(np.array_equal(lengths, others)) and same_bits(pa.chunked_array([a]), pa.chunked_array([b]))
    if not pa.types.is_floating(one.type):
        return bool(one.equals(other))
    a, b = (np.where(np.isnan(x), np.nan, x) for x in (c.fill_null(0).to_numpy() for c in (one, other)))
    return bool(np.array_equal(a.view(np.int64), b.view(np.int64)))
