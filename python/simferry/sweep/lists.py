"""Columns of lists in Arrow: parameters whose values are vectors."""

import json
from typing import Any

import numpy as np
import pyarrow as pa

from .arrow import as_numpy


def is_list(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def unlisted(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The lengths of the lists, -1 where one is missing, and their elements."""
    import pyarrow.compute as pc  # takes long to load

    lengths = pc.list_value_length(array).cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    return lengths, array.flatten()


def listed(lengths: Any, elements: pa.Array) -> pa.Array:
    """The reverse of `unlisted`."""
    lengths = np.asarray(lengths, dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), elements, mask=pa.array(lengths < 0))


def as_texts(table: pa.Table) -> pa.Table:
    """The table with its lists as texts, in Python's JSON, which has NaN and Infinity; NA is null. No bit is lost."""
    for at, field in enumerate(table.schema):
        if is_list(field.type):
            texts = [None if v is None else json.dumps(v, ensure_ascii=False) for v in table[field.name].to_pylist()]
            table = table.set_column(at, field.name, pa.array(texts, pa.string()))
    return table


def encoded(array: pa.Array) -> tuple[np.ndarray, pa.Array]:
    """The distinct values of a column, by their bits, and the number (int32, from 0) of each row's value."""
    if not is_list(array.type):
        codes = array.dictionary_encode("encode")
        return as_numpy(codes.indices), codes.dictionary
    rows = as_numpy(as_texts(pa.table({"list": array}))["list"].combine_chunks().dictionary_encode("encode").indices)
    _, first = np.unique(rows, return_index=True)
    return rows, array.take(pa.array(first))


def from_text(text: Any) -> Any:
    """The list that a text holds in JSON; others as they are."""
    if isinstance(text, str):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return value if isinstance(value, list) else text
    return text
