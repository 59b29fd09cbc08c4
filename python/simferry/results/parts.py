"""A table of results in parts: Parquet files, each sorted by condition and replication, which are merged by ranges."""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from ..sweep.arrow import empty
from ..system.files import replacing
from .gather import HELD_BYTES, PIECE_BYTES, ordered
from .sorted_rows import Sorted, keys, ranges

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_MOST_ROWS = 1 << 20  # of a row group
_SMALL = 1 << 30  # bytes


class DamagedPart(Exception):
    """A part's file holds other bytes than were written."""


@dataclass
class Part(Sorted):
    """A Parquet file, sorted, with `step` rows in each row group. It stays open: another process may replace it meanwhile."""

    stream: pa.NativeFile | None = None
    reader: "pq.ParquetFile | None" = None
    is_new: bool = False  # it was written just now

    def open(self, path: Path) -> None:
        """Open the file that is there now. Raises OSError or pyarrow.ArrowException."""
        import pyarrow.parquet as pq  # here and below: a short run writes no Parquet, and loads none

        self.stream = pa.OSFile(str(path))
        self.reader = pq.ParquetFile(self.stream, page_checksum_verification=True)

    def read(self, begin: int, end: int, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows from `begin` to before `end`. columns: those that are read; None: all. Raises DamagedPart."""
        assert self.reader is not None
        first = begin // self.step
        try:
            some = self.reader.read_row_groups(list(range(first, -(-end // self.step))), columns)
        except (OSError, pa.ArrowException) as damage:
            raise DamagedPart(f"{self.path}: {damage}") from None
        some = some if columns is None else some.select(columns)
        return some.slice(begin - first * self.step, end - begin)

    def copy(self, path: Path) -> None:
        """Write the file that is open to another one."""
        assert self.stream is not None
        source, size, done = self.stream.fileno(), self.stream.size(), 0
        with open(path, "wb") as out:
            with contextlib.suppress(OSError, AttributeError):  # not every system and disk has it
                while done < size and (more := os.copy_file_range(source, out.fileno(), size - done, done, done)):
                    done += more
            if done < size:
                self.stream.seek(0)
                self.stream.download(out)

    @property
    def schema(self) -> pa.Schema:
        assert self.reader is not None
        return self.reader.schema_arrow

    @property
    def file(self) -> Path:
        assert self.path is not None
        return self.path


class Counts(NamedTuple):
    """Numbers by condition: of replications, of those that failed, and of warnings. Integer arrays."""

    done: np.ndarray
    failed: np.ndarray
    warned: np.ndarray


@dataclass
class Results:
    """A run's table of results. schema: with its metadata. whole: the table, where it is in memory."""

    schema: pa.Schema
    counts: Counts
    parts: list[Part] = field(default_factory=list)
    whole: pa.Table | None = None
    folder: "tempfile.TemporaryDirectory[str] | None" = None  # where the run's own could not be written

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts) if self.whole is None else self.whole.num_rows

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(part.size for part in self.parts) if self.whole is None else self.whole.nbytes

    @property
    def is_small(self) -> bool:
        return self.whole is not None or self.size <= _SMALL

    def table(self) -> pa.Table:
        """All of it, which stays in memory if it is small."""
        if self.whole is not None:
            return self.whole
        tables = [part.read(0, part.rows) for part in self.parts]
        out = _merged(tables).replace_schema_metadata(self.schema.metadata)
        self.whole = out if self.is_small else None
        return out

    def pieces(self, by_condition: bool = False, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows in order, in tables of about PIECE_BYTES. by_condition: all rows of a condition are in one table. columns: besides
        condition and replication; None: all."""
        names = self.schema.names if columns is None else list(dict.fromkeys([*self.schema.names[:2], *columns]))
        if self.whole is not None:
            yield self.whole if columns is None else self.whole.select(names)
            return
        for slices in ranges(self.parts, PIECE_BYTES, by_condition):
            tables = [
                part.read(a, b, None if columns is None else names)
                for part, (a, b) in zip(self.parts, slices, strict=True)
                if a < b
            ]
            none = empty(self.schema).select(names)
            yield _merged(tables or [none]).replace_schema_metadata(self.schema.metadata)

    def of_conditions(self, conditions: list[int]) -> pa.Table:
        """The rows of some conditions, ascending."""
        parts: list[Sorted] = [*self.parts]
        if self.whole is not None:
            parts = [Sorted(len(self.whole), 0, 1, keys(self.whole), {}, self.whole)]
        out = [empty(self.schema)]
        for condition in conditions:
            ends = [(part.position(condition << 32), part.position((condition + 1) << 32)) for part in parts]
            tables = [part.read(begin, end) for part, (begin, end) in zip(parts, ends, strict=True) if begin < end]
            out += [_merged(tables)] if tables else []
        return pa.concat_tables([table.replace_schema_metadata(self.schema.metadata) for table in out])

    def write(self, path: Path) -> None:
        """The table as one Parquet file. Raises DamagedPart."""
        part = self.parts[0] if len(self.parts) == 1 else None
        if part is None or not part.schema.equals(self.schema, check_metadata=True):
            write_table(path, self.schema, self.pieces())
            return
        if not part.is_new:
            for _ in self.pieces():  # raises DamagedPart where it is not what was written
                pass
        part.copy(path)


def _merged(tables: list[pa.Table]) -> pa.Table:
    """Sorted tables as one."""
    if len(tables) == 1:
        return tables[0]
    base, *others = sorted(tables, key=len, reverse=True)
    more = _merged(others)
    at = np.searchsorted(keys(base), keys(more))  # where the rows belong in the longest; no key is in two tables
    begins = np.flatnonzero(np.diff(at, prepend=-1))
    if len(begins) > (len(base) + len(more)) // 1000 + 16:
        whole = pa.concat_tables([base, more]).combine_chunks()
        return ordered(whole, np.argsort(keys(whole), kind="stable"))
    out, done = [], 0  # a few stretches of rows, which are not copied
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(more)], strict=True):
        out += [base.slice(done, int(at[begin]) - done), more.slice(begin, end - begin)]
        done = int(at[begin])
    return pa.concat_tables([*out, base.slice(done)])


def whole(schema: pa.Schema, pieces: Iterable[pa.Table]) -> pa.Table:
    """A table from its pieces."""
    return pa.concat_tables([*pieces] or [empty(schema)]).replace_schema_metadata(schema.metadata)


def write_part(path: Path, schema: pa.Schema, pieces: Iterable[pa.Table], size: int) -> tuple[Part, pa.Table | None]:
    """Writes sorted rows atomically. size: about how many bytes they have. Returns also the table itself, if it is small."""
    held: list[pa.Table] | None = [] if size <= HELD_BYTES else None
    with replacing(path) as draft:
        part = write_table(draft, schema, pieces, held)
        part.open(draft)
    part.path, part.is_new = path, True
    return part, None if held is None else whole(schema, held)


def write_table(path: Path, schema: pa.Schema, pieces: Iterable[pa.Table], held: list[pa.Table] | None = None) -> Part:
    index, part = [np.empty(0, dtype=np.int64)], Part(0, 0, 1, np.empty(0), {}, None, path)
    writer: pq.ParquetWriter | None = None
    try:
        for group, part.step in _row_groups(pieces):
            writer = writer or _writer(path, schema, group)
            writer.write_table(group, row_group_size=part.step)
            index.append(keys(group.slice(0, 1)))
            part.rows, part.size = part.rows + group.num_rows, part.size + group.nbytes
            if held is not None:
                held.append(group)
        writer = writer or _writer(path, schema, empty(schema))
    finally:
        if writer is not None:
            writer.close()
    part.index = np.concatenate(index)
    return part


def _row_groups(pieces: Iterable[pa.Table]) -> Iterator[tuple[pa.Table, int]]:
    """The rows in tables of the same length but the last, and this length."""
    step, held, many = 0, [], 0
    for piece in pieces:
        if not piece.num_rows:
            continue
        step = step or max(1, min(_MOST_ROWS, PIECE_BYTES * piece.num_rows // max(1, piece.nbytes)))
        held.append(piece)
        many += piece.num_rows
        while many >= step:
            table = pa.concat_tables(held)
            yield table.slice(0, step), step
            held, many = [table.slice(step)], many - step
    if many:
        yield pa.concat_tables(held), step


def _writer(path: Path, schema: pa.Schema, first: pa.Table) -> "pq.ParquetWriter":
    """Columns of numbers that rarely repeat get no dictionary: it would be given up after the first megabyte."""
    import pyarrow.parquet as pq

    sample = first.slice(0, 10_000)
    repeated = [
        name
        for name, kind in zip(schema.names, schema.types, strict=True)
        if not pa.types.is_floating(kind) or len(sample[name].unique()) * 2 <= len(sample)
    ]
    return pq.ParquetWriter(
        path, schema, use_dictionary=repeated, write_page_checksum=True, use_compliant_nested_type=False
    )
