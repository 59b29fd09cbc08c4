"""Joins columns of several blocks and converts them to Arrow. Doubles keep every bit (NA is the NaN with low word 1954, as in R)."""

import numpy as np
import pyarrow as pa

from ..worker import blocks
from ..worker.blocks import Column

KINDS = ("logical", "integer", "double", "string")  # each holds all values of those before it
ARROW_TYPES = {"double": pa.float64(), "integer": pa.int32(), "logical": pa.bool_(), "string": pa.string()}


def unified(columns: list[Column]) -> Column:
    """Joins columns of several blocks; the result has the narrowest kind that holds all values."""
    if len(columns) == 1:
        return columns[0]
    kind = max((c.kind for c in columns), key=KINDS.index)
    columns = [as_kind(c, kind) for c in columns]
    return Column(kind, np.concatenate([c.values for c in columns]), b"".join(c.text for c in columns))


def as_kind(column: Column, kind: str) -> Column:
    if column.kind == kind:
        return column
    if kind == "string":
        given = as_arrow(column).to_pylist()
        if column.kind == "double":
            missing = np.isnan(column.values) & (column.values.view("<u4")[::2] == 1954)  # R's NA
            given = [None if na else v for na, v in zip(missing.tolist(), given, strict=True)]
        return blocks.strings([None if v is None else blocks.as_text(v) for v in given])
    if kind == "double":
        values = column.values.astype("<f8")
        values[column.values == blocks.NA_INTEGER] = blocks.NA_DOUBLE
        return Column(kind, values)
    return Column(kind, column.values)


def as_arrow(column: Column) -> pa.Array:
    values = column.values
    if column.kind == "double":
        return pa.array(values)
    if column.kind == "string":
        try:
            column.text.decode()
        except UnicodeDecodeError:
            return as_arrow(blocks.strings(column.strings()))
        sizes = np.maximum(values, 0)
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        wide = offsets[-1] >= 2**31
        return (pa.LargeStringArray if wide else pa.StringArray).from_buffers(
            len(values),
            pa.py_buffer(offsets.astype("<i8" if wide else "<i4")),
            pa.py_buffer(column.text),
            _validity(values >= 0),
        )
    missing = values == blocks.NA_INTEGER
    if column.kind == "logical":
        return pa.array(values.astype(bool), mask=missing)
    return pa.array(values, mask=missing if missing.any() else None)


def plain_rows(table: blocks.Table) -> pa.Table:
    """A block's table as a pyarrow.Table."""
    return pa.table({name: as_arrow(column) for name, column in table.columns.items()})


def _validity(valid: np.ndarray) -> pa.Buffer | None:
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
