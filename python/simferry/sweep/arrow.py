"""Arrow's arrays from values of Python and numpy, and back, without pandas, which pyarrow loads as soon as it looks at values itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def plain_array(values: Sequence[Any]) -> pa.Array:
    """Numbers, whole numbers, logicals or strings, all of one type, and None."""
    missing = np.array([v is None for v in values], dtype=bool)
    if missing.all():
        return pa.nulls(len(values))
    first = next(v for v in values if v is not None)
    kind = next(kind for kind in (bool, int, float, str) if isinstance(first, kind))  # also of an IntEnum
    validity = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    if kind is str:
        texts = [b"" if v is None else v.encode() for v in values]
        offsets = np.cumsum([0, *map(len, texts)])
        wide = offsets[-1] >= 2**31
        buffers = [validity, pa.py_buffer(offsets.astype("<i8" if wide else "<i4")), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.large_string() if wide else pa.string(), len(values), buffers)
    arrow, dtype = {int: (pa.int64(), "<i8"), float: (pa.float64(), "<f8"), bool: (pa.bool_(), "?")}[kind]
    numbers = np.array([kind(0) if v is None else v for v in values], dtype=np.dtype(dtype))
    stored = np.packbits(numbers, bitorder="little") if kind is bool else numbers
    return pa.Array.from_buffers(arrow, len(values), [validity, pa.py_buffer(stored)])


def whole_numbers(values: np.ndarray) -> pa.Array:
    """An array of integers, as int64."""
    return _of_numpy(pa.int64(), np.ascontiguousarray(values, "<i8"))


def doubles(values: np.ndarray) -> pa.Array:
    """An array of doubles. NaN is no null."""
    return _of_numpy(pa.float64(), np.ascontiguousarray(values, "<f8"))


def _of_numpy(kind: pa.DataType, values: np.ndarray) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def empty(schema: pa.Schema) -> pa.Table:
    """A table without rows."""
    return pa.Table.from_batches([], schema)


def as_numpy(column: pa.Array | pa.ChunkedArray, null: float | None = None) -> np.ndarray:
    """The values of a column, with `null` in place of nulls. Others than numbers without nulls do load pandas."""
    if null is not None and column.null_count:
        column = column.fill_null(null)
    kind, chunks = column.type, column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)) or column.null_count:
        return np.asarray(column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(False))
    dtype = np.dtype(kind.to_pandas_dtype())
    parts = [np.frombuffer(c.buffers()[1], dtype, len(c), c.offset * dtype.itemsize) for c in chunks if len(c)]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts])


def taken(column: pa.ChunkedArray, rows: np.ndarray) -> pa.Array | pa.ChunkedArray:
    """Rows of a column, by their numbers. Of doubles without nulls it does without pyarrow.compute, which takes long to load."""
    if pa.types.is_float64(column.type) and not column.null_count:
        return doubles(as_numpy(column)[rows])
    return column.take(whole_numbers(rows))
