"""Rows of blocks, sorted by condition and replication: in memory while they are few, else in temporary files, merged by ranges.

Rows are kept as blocks have them, without any conversion, in Arrow tables: doubles, 32-bit integers and bytes, and the number of
their block. Each file is sorted; a range of keys is a slice of it.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ..store.keys import key_of
from ..sweep.arrow import as_numpy
from ..worker.blocks import Column, Table
from .copies import Copies
from .witnesses import witness

CHUNK_BYTES = 1 << 19  # of a record batch of a file, which is read as a whole
_BYTES_OF_TEXT = ("string", "raw")
_TYPES = {"<f8": pa.float64(), "<i4": pa.int32()}


@dataclass
class Sorted:
    """Rows sorted by key, in memory or in a file. index: the keys of the rows 0, step, 2 * step, ... witnesses: of each column, with the
    length of its texts."""

    rows: int
    size: int  # bytes
    step: int
    index: np.ndarray
    witnesses: dict[str, tuple[str, Column, int]]
    table: pa.Table | None = None
    path: Path | None = None

    def read(self, begin: int, end: int) -> pa.Table:
        """The rows from `begin` to before `end`."""
        if self.table is not None:
            return self.table.slice(begin, end - begin)
        with pa.OSFile(str(self.path), "rb") as file:
            reader = pa.ipc.open_file(file)
            first = begin // self.step
            some = [reader.get_batch(i) for i in range(first, -(-end // self.step))]
        return pa.Table.from_batches(some, reader.schema).slice(begin - first * self.step, end - begin)

    def position(self, key: int) -> int:
        """The number of rows whose keys are below this one."""
        chunk = int(np.searchsorted(self.index, key)) - 1
        if chunk < 0:
            return 0
        begin = chunk * self.step
        return begin + int(np.searchsorted(keys(self.read(begin, min(begin + self.step, self.rows))), key))

    def moved(self, path: Path) -> "Sorted":
        """The same rows, in a file."""
        assert self.table is not None
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, self.table.schema) as out:
            out.write_table(self.table, max_chunksize=self.step)
        return replace(self, table=None, path=path)


def keys(table: pa.Table) -> np.ndarray:
    return key_of(as_numpy(table.column(0)), as_numpy(table.column(1)))


def sorted_rows(parts: list[tuple[int, Table]]) -> Sorted:
    """The rows of tables with the same columns (condition, replication, and others) of the same kinds. parts: with block numbers."""
    condition, replication = (_joined(parts, name) for name in ("condition", "replication"))
    key = key_of(condition, replication)
    order = None if (key[1:] >= key[:-1]).all() else np.argsort(key, kind="stable")
    block = np.repeat(np.array([number for number, _ in parts], dtype=np.int32), [t.rows for _, t in parts])
    arrays = [_taken(values, order) for values in (condition, replication, block)]
    witnesses = {}
    for name, like in parts[0][1].columns.items():
        text = b"".join(t.columns[name].text for _, t in parts) if like.kind in _BYTES_OF_TEXT else b""
        column = like.of(_joined(parts, name), text)
        witnesses[name] = (*witness(column), len(text))
        if name in ("condition", "replication"):
            continue
        if like.kind in _BYTES_OF_TEXT:
            made = _binary(column.values, text)
            arrays.append(made if order is None else made.take(pa.array(order)))
        else:
            arrays.append(_taken(column.values, order))
    table = pa.table(arrays, names=[str(i) for i in range(len(arrays))])
    step = max(1, min(1 << 16, CHUNK_BYTES * len(key) // max(1, table.nbytes)))
    first = key[::step] if order is None else key[order[::step]]
    return Sorted(len(key), table.nbytes, step, first, witnesses, table)


def _joined(parts: list[tuple[int, Table]], name: str) -> np.ndarray:
    return np.concatenate([table.columns[name].values for _, table in parts])


def _taken(values: np.ndarray, order: np.ndarray | None) -> pa.Array:
    values = values if order is None else values.take(order)
    return pa.Array.from_buffers(_TYPES[values.dtype.str], len(values), [None, pa.py_buffer(values)])  # fast


def _binary(sizes: np.ndarray, text: bytes) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(np.maximum(sizes, 0), dtype=np.int64)])
    valid = None if (sizes >= 0).all() else pa.py_buffer(np.packbits(sizes >= 0, bitorder="little").tobytes())
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(sizes), [valid, pa.py_buffer(offsets), pa.py_buffer(text)]
    )


@dataclass
class Alike:
    """The rows of tables with the same columns of the same kinds. columns: none of their rows, for kinds, forms and levels."""

    columns: dict[str, Column]
    held: list[tuple[int, Table]] = field(default_factory=list)
    sources: list[Sorted] = field(default_factory=list)

    def taken(self, tables: list[pa.Table], copies: Copies | None) -> tuple[np.ndarray, dict[str, Column]]:
        """The keys and columns of rows that were read, one table after the other, without copies."""
        table = pa.concat_tables(tables)
        key = keys(table)
        if copies and (gone := copies.has(key, as_numpy(table.column(2)))).any():
            table, key = table.filter(pa.array(~gone)), key[~gone]
        names = ["condition", "replication", *(n for n in self.columns if n not in ("condition", "replication"))]
        at = [0, 1, *range(3, table.num_columns)]
        read = {name: _column(table.column(i), self.columns[name]) for name, i in zip(names, at, strict=True)}
        return key, {name: read[name] for name in self.columns}


def _column(array: pa.ChunkedArray, like: Column) -> Column:
    if like.kind not in _BYTES_OF_TEXT:
        return like.of(as_numpy(array))
    sizes, texts = [np.empty(0, dtype="<i4")], []
    for chunk in array.chunks:
        _, offsets, text = chunk.buffers()
        ends = np.frombuffer(offsets, "<i8", len(chunk) + 1, 8 * chunk.offset)
        there = chunk.is_valid().to_numpy(zero_copy_only=False)
        sizes.append(np.where(there, np.diff(ends), -1).astype("<i4"))
        texts.append(memoryview(text)[ends[0] : ends[-1]] if text is not None else b"")
    return like.of(np.concatenate(sizes), b"".join(texts))


def ranges(sources: Sequence[Sorted], size: int, by_condition: bool = False) -> Iterator[list[tuple[int, int]]]:
    """Cuts sources into ranges of keys that hold about so many bytes in all. Yields the slice of each source, in the order of keys.

    by_condition: cut only between conditions.
    """
    rows = sum(source.rows for source in sources)
    many = min(sum(source.size for source in sources) // size, sum(len(source.index) for source in sources))
    cuts: list[int] = []
    if many > 1:
        index = np.concatenate([source.index for source in sources])
        weight = np.concatenate([np.full(len(source.index), source.step) for source in sources])
        order = np.argsort(index, kind="stable")
        reached = np.cumsum(weight[order])
        at = np.searchsorted(reached, np.arange(1, many) * (reached[-1] / many))
        cut = index[order][at]
        cuts = np.unique(cut >> 32 << 32 if by_condition else cut).tolist()
    before = [0] * len(sources)
    for cut in itertools.chain(cuts, [None]):
        after = [source.rows if cut is None else source.position(cut) for source in sources]
        if after != before or not rows:
            yield list(zip(before, after, strict=True))
        before = after
