"""The canonical forms of conditions: texts on which random streams depend, and which of the conditions are equal by them.

Equal conditions are found without the texts: each column becomes codes, which are equal where the canonical forms of its
values are, and the codes of a row become one number. A million conditions take a fraction of a second and 8 bytes each.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain, repeat

import numpy as np
import pyarrow as pa

from .lists import encoded
from .parameters import SINGLE, canonical_value

ROWS = 1 << 16  # that become texts at a time
FEW = 100  # rows that are faster without pyarrow.compute, which takes long to load
_NUMBERS = ("number", "integer")


def texts(table: pa.Table, types: Mapping[str, str], rows: int, common: Collection[str] = ()) -> Iterator[str]:
    """Each condition as JSON of its parameters, sorted by name, one after the other. common: parameters to leave out."""
    names = sorted(name for name in types if name not in common)
    if not names:
        return repeat("{}", rows)
    return chain.from_iterable(_texts(table.slice(at, ROWS), types, names) for at in range(0, rows, ROWS))


def _texts(table: pa.Table, types: Mapping[str, str], names: Sequence[str]) -> Iterator[str]:
    columns = []
    for name in names:
        key = f"{canonical_value(name)}:"
        column = table[name].combine_chunks()
        if len(column) <= FEW:
            columns.append([key + text for text in _forms(column, types[name])])
            continue
        codes, values = encoded(column)
        parts = [key + text for text in _forms(values, types[name])]
        columns.append([parts[i] for i in codes.tolist()])
    return (f"{{{','.join(row)}}}" for row in zip(*columns, strict=True))


def _forms(values: pa.Array, kind: str) -> list[str]:
    missing = canonical_value(None) if kind in SINGLE else "null"
    return [missing if v is None else canonical_value(v) for v in values.to_pylist()]


def first_equal(table: pa.Table, types: Mapping[str, str]) -> tuple[int, int] | None:
    """The first row that is equal to an earlier one, after that one; None if all are distinct."""
    rows = _numbered([[(table[name].combine_chunks(), kind)] for name, kind in types.items()])
    if rows is None:
        return None
    in_order = np.sort(rows)
    if not (in_order[1:] == in_order[:-1]).any():
        return None
    _, first, numbers = np.unique(rows, return_index=True, return_inverse=True)
    again = int((first[numbers] != np.arange(len(rows))).argmax())
    return int(first[numbers[again]]), again


def rows_of(
    table: pa.Table, types: Mapping[str, str], other: pa.Table, other_types: Mapping[str, str]
) -> np.ndarray | None:
    """For each condition of `other` the row (from 0) of the equal one of `table`, whose conditions are distinct, or -1.

    None if no condition can be equal, because the parameters are others.
    """
    if set(types) != set(other_types):
        return None
    columns = [
        [(one[name].combine_chunks(), kinds[name]) for one, kinds in ((table, types), (other, other_types))]
        for name in types
    ]
    numbers = _numbered(columns)
    if numbers is None:
        return np.zeros(1, dtype=np.int64)
    own, theirs = numbers[: len(table)], numbers[len(table) :]
    order = np.argsort(own)
    at = order[np.minimum(np.searchsorted(own, theirs, sorter=order), len(own) - 1)]
    return np.where(own[at] == theirs, at, -1)


def _numbered(columns: Sequence[Sequence[tuple[pa.Array, str]]]) -> np.ndarray | None:
    """A number (int64) for each row, equal where rows are. columns: the parts of each, with their types. None without columns."""
    out: np.ndarray | None = None
    most = 1
    for parts in columns:
        codes, several = _codes(parts)
        if out is None:
            out, most = codes, several
            continue
        if most * several >= 2**63:
            known, out = np.unique(out, return_inverse=True)
            most = len(known)
        out = out * several
        out += codes
        most *= several
    return out


def _codes(parts: Sequence[tuple[pa.Array, str]]) -> tuple[np.ndarray, int]:
    """A code (int64) for each row of a column, equal where the canonical forms of the values are; and how many codes there may be."""
    kinds = {kind for _, kind in parts}
    if kinds <= set(_NUMBERS):
        return _codes_of_numbers([array for array, _ in parts])
    if kinds == {"string"}:
        codes, values = encoded(pa.concat_arrays([array for array, _ in parts]))
        return codes.astype(np.int64), len(values)
    known: dict[str, int] = {}
    out = []
    for array, kind in parts:
        codes, values = encoded(array)
        by_value = [known.setdefault(form, len(known)) for form in _forms(values, kind)]
        out.append(np.array(by_value, dtype=np.int64)[codes])
    return np.concatenate(out), max(len(known), 1)


def _codes_of_numbers(arrays: Sequence[pa.Array]) -> tuple[np.ndarray, int]:
    """The same of numbers. The canonical form has 15 digits: only doubles that are that near can have the same."""
    values = np.concatenate([_doubles(array) for array in arrays])
    missing = np.concatenate([_missing(array) for array in arrays])
    known, codes = np.unique(values, return_inverse=True)  # 0 equals -0, and NaN equals NaN
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.diff(known) <= 2e-14 * np.abs(known[1:])
    near &= np.isfinite(known[:-1]) & np.isfinite(known[1:])
    if near.any():
        at = np.flatnonzero(np.append(near, False) | np.insert(near, 0, False))
        rounded = [float(canonical_value(value)) for value in known[at].tolist()]
        largest = np.finfo(np.float64).max
        known[at] = np.clip(rounded, -largest, largest)  # what is rounded above it is not infinite
        known, again = np.unique(known, return_inverse=True)
        codes = again[codes]
    codes[missing] = len(known)
    return codes, len(known) + 1


def _doubles(array: pa.Array) -> np.ndarray:
    if not len(array):
        return np.empty(0)
    stored = np.dtype("<f8" if pa.types.is_floating(array.type) else "<i4")
    values = np.frombuffer(array.buffers()[1], stored)[array.offset : array.offset + len(array)]
    return values.astype(np.float64, copy=False)


def _missing(array: pa.Array) -> np.ndarray:
    if not array.null_count:
        return np.zeros(len(array), dtype=bool)
    bits = np.unpackbits(np.frombuffer(array.buffers()[0], np.uint8), bitorder="little")
    return np.asarray(bits[array.offset : array.offset + len(array)] == 0)
