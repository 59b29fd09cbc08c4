"""Writes the format that `unserialize` and `readRDS` read."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...worker.blocks import NA_DOUBLE, NA_INTEGER
from .vectors import ATTRIBUTES, CHAR, DTYPES, OBJECT, PAIRLIST, SYMBOL, TAG, TYPES, UTF8, Vector, texts

_HEADER = b"B\n" + struct.pack("<3i", 2, 0x40202, 0x20300)


def encode(value: Any) -> bytearray:
    """The bytes of a Python value as an R object.

    None becomes NULL, a dict a list with names, a list of strings a character vector, other lists a list. Numpy arrays become
    vectors; pandas.DataFrame and pyarrow.Table become data frames. Raises TypeError for other types.
    """
    parts: list[Any] = [_HEADER]
    _write(parts, value)
    return bytearray().join(parts)


def data_frame(columns: Mapping[str, Any], rows: int, classes: Iterable[str] = ()) -> Vector:
    """A data frame. columns: values that `encode` converts to vectors. classes: are put before data.frame."""
    return Vector(
        "list",
        list(columns.values()),
        {
            "names": texts(columns),
            "class": texts([*classes, "data.frame"]),
            "row.names": Vector("integer", np.array([NA_INTEGER, -rows], dtype="<i4")),
        },
    )


def _write(parts: list[Any], value: Any) -> None:
    value = value if value is None or isinstance(value, (Vector, _Strings)) else vector(value)
    if value is None:
        parts.append(struct.pack("<i", 254))
        return
    flags = TYPES[value.kind]
    if value.attributes:
        flags |= ATTRIBUTES | (OBJECT if "class" in value.attributes else 0)
    length = len(value)
    sizes = (length,) if length < 2**31 else (-1, length >> 32, length & 0xFFFFFFFF)
    parts.append(struct.pack("<i", flags) + struct.pack(f"<{len(sizes)}i", *sizes))
    if value.kind == "list":
        for item in value.values:
            _write(parts, item)
    elif isinstance(value, _Strings):
        parts.append(value.bytes())
    elif value.kind == "string":
        parts += [_char(text) for text in value.values]
    else:
        parts.append(np.ascontiguousarray(value.values, DTYPES[value.kind]).tobytes())
    if value.attributes:
        for name, attribute in value.attributes.items():
            parts.append(struct.pack("<2i", PAIRLIST | TAG, SYMBOL) + _char(name))
            _write(parts, attribute)
        parts.append(struct.pack("<i", 254))


def _char(text: str | None) -> bytes:
    if text is None:
        return struct.pack("<2i", CHAR, -1)
    data = text.encode("utf-8", "surrogateescape").replace(b"\0", b"")  # R's strings can't hold it
    return struct.pack("<2i", CHAR | UTF8, len(data)) + data


@dataclass
class _Strings:
    """A string vector in the layout of Arrow."""

    offsets: np.ndarray
    data: np.ndarray
    missing: np.ndarray
    kind: str = "string"
    attributes: dict[str, Vector | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.missing)

    def bytes(self) -> bytes:
        """The flags, length and bytes of each string, without a loop over strings."""
        sizes = np.diff(self.offsets)
        heads = np.empty((len(sizes), 2), dtype="<i4")
        heads[:, 0] = np.where(self.missing, CHAR, CHAR | UTF8)
        heads[:, 1] = np.where(self.missing, -1, sizes)
        out = np.empty(8 * len(sizes) + len(self.data), dtype="u1")
        is_text = np.ones(len(out), dtype=bool)
        starts = self.offsets[:-1] - self.offsets[0] + 8 * np.arange(len(sizes))
        for i, column in enumerate(heads.view("u1").reshape(-1, 8).T):
            out[starts + i] = column
            is_text[starts + i] = False
        out[is_text] = self.data
        return out.tobytes()


def vector(value: Any) -> Any:
    """The Vector (or _Strings) of one value. Raises TypeError if R has no such type."""
    if isinstance(value, (bool, np.bool_)):
        return Vector("logical", np.array([value], dtype="<i4"))
    if isinstance(value, (int, np.integer)):
        small = abs(int(value)) < 2**31
        return Vector("integer" if small else "double", np.array([value]))
    if isinstance(value, (float, np.floating)):
        return Vector("double", np.array([value]))
    if isinstance(value, (complex, np.complexfloating)):
        return Vector("complex", np.array([value]))
    if isinstance(value, str):
        return texts([value])
    if isinstance(value, (bytes, bytearray)):
        return Vector("raw", np.frombuffer(value, "u1"))
    if isinstance(value, Mapping):
        return Vector("list", list(value.values()), {"names": texts(str(k) for k in value)} if value else {})
    if isinstance(value, (list, tuple)):
        if value and all(v is None or isinstance(v, str) for v in value):
            return texts(value)
        return Vector("list", list(value))
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return _array(value)
    if hasattr(value, "num_chunks"):
        return _arrow(value)
    if hasattr(value, "dtype") and hasattr(value, "to_frame"):
        return _series(value)
    if hasattr(value, "column_names"):
        return data_frame({name: _arrow(value[name]) for name in value.column_names}, value.num_rows)
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        return data_frame({str(name): _series(value[name]) for name in value.columns}, len(value))
    if hasattr(value, "__fspath__"):
        return texts([str(value)])
    raise TypeError(f"R has no type for a Python {type(value).__name__}")


def _array(values: np.ndarray) -> Vector:
    if values.dtype.kind == "b":
        return Vector("logical", values)
    if values.dtype.kind in "fc":
        return Vector("double" if values.dtype.kind == "f" else "complex", values)
    small = len(values) == 0 or (values.min() > -(2**31) and values.max() < 2**31)
    return Vector("integer" if small else "double", values)


def _series(series: Any) -> Any:
    """A pandas column. NaN stays NaN. Objects of several types become a list."""
    import pandas as pd
    import pyarrow as pa

    if getattr(series.dtype, "kind", "O") in "biufc" and isinstance(series.dtype, np.dtype):
        return _array(series.to_numpy())
    try:
        return _arrow(pa.chunked_array([pa.array(series, from_pandas=True)]))
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        if series.dtype != object:
            raise
        return Vector("list", [None if v is None or v is pd.NA else v for v in series])


def _arrow(column: Any) -> Any:
    """A column of an Arrow table. Nulls become NA."""
    import pyarrow as pa

    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _, offsets, data = array.buffers()
        if len(array) == 0 or offsets is None:
            return Vector("string", [])
        wide = np.dtype("<i8" if pa.types.is_large_string(kind) else "<i4")
        at = np.frombuffer(offsets, wide)[array.offset : array.offset + len(array) + 1].astype(np.int64)
        text = np.frombuffer(data, "u1")[at[0] : at[-1]] if data is not None else np.empty(0, "u1")
        if (np.diff(at)[missing] != 0).any() or not text.all():
            return texts(array.to_pylist())
        return _Strings(at, text, missing)
    if pa.types.is_null(kind):
        return Vector("logical", np.full(len(array), NA_INTEGER, dtype="<i4"))
    if pa.types.is_floating(kind):
        values = array.fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f8")
        values[missing] = NA_DOUBLE
        return Vector("double", values)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        logical = pa.types.is_boolean(kind)
        made = _array(array.fill_null(False if logical else 0).to_numpy(zero_copy_only=False))
        values = made.values.astype(DTYPES[made.kind])
        values[missing] = NA_DOUBLE if made.kind == "double" else NA_INTEGER
        return Vector("logical" if logical else made.kind, values)
    if pa.types.is_dictionary(kind) and kind.value_type in (pa.string(), pa.large_string()):
        codes = array.indices.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False) + np.int32(1)
        codes[missing] = NA_INTEGER
        classes = ["ordered", "factor"] if kind.ordered else ["factor"]
        return Vector("integer", codes, {"levels": texts(array.dictionary.to_pylist()), "class": texts(classes)})
    if pa.types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype("<f8")
        days[missing] = NA_DOUBLE
        return Vector("double", days, {"class": texts(["Date"])})
    if pa.types.is_duration(kind):
        ticks = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        seconds = ticks / {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        seconds[missing] = NA_DOUBLE
        return Vector("double", seconds, {"class": texts(["difftime"]), "units": texts(["secs"])})
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return Vector("list", [_arrow(pa.chunked_array([item.values])) if item.is_valid else None for item in array])
    if pa.types.is_timestamp(kind):
        ticks = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        seconds = ticks / {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        seconds[missing] = NA_DOUBLE
        # a time without a zone keeps its hour, as UTC
        return Vector("double", seconds, {"class": texts(["POSIXct", "POSIXt"]), "tzone": texts([kind.tz or "UTC"])})
    raise TypeError(f"R has no column type for {kind}")
