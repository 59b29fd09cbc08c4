"""Gathers the tables of blocks: each replication once, sorted by condition and replication, in bounded memory.

Blocks are read once. Their rows are held, then sorted and written to temporary files (sorted_rows.py), which are merged by ranges of
keys. What the columns are is known when all blocks are read (witnesses.py), and so is which copies are left out (copies.py).
"""

import contextlib
import ctypes
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from ..store.keys import key_of
from ..sweep.arrow import as_numpy, empty
from ..worker.blocks import Block, Column, Table, numbers, strings
from ..worker.rows import Groups
from . import objects, same_seeds
from .columns import as_arrow, as_table, nothing, widened
from .copies import Copies, Replications
from .outputs import Outputs, Place
from .read import TEXTS
from .sorted_rows import Alike, Sorted, keys, ranges, sorted_rows
from .witnesses import Witnesses, as_all, witness

HELD_BYTES = 1 << 27  # of rows that are held in memory; then they go to a file
PIECE_BYTES = 1 << 26  # of rows that are merged at once
_KINDS = {
    "replications": {"ok": "logical", "seconds": "double"},
    "results": {},
    "failures": dict.fromkeys(TEXTS, "string"),
    "warnings": {"message": "string", "count": "integer"},
    "objects": {"output": "string", "kind": "string"},
    "outputs": {},
}  # columns that a table has even if no block has it
TABLES = ("results", "failures", "warnings", "objects")
_NO_COPIES = -1  # as the number of a block
_NEVER = 2**63 - 1  # after every key
_Kind = tuple[str, str, tuple[str, ...]]
_Kinds = dict[tuple[str, ...], dict[str, _Kind]]


class _Group:
    """Rows of one table whose columns have the same names."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.witnesses = Witnesses(names)
        self._alike: dict[tuple[Place, tuple[_Kind, ...]], Alike] = {}
        self.known_first = _NEVER  # the first key of rows that were collected before
        self.place: Place = ()  # the first, of columns of results files

    def hold(self, number: int, table: Table, place: Place) -> None:
        kinds = tuple((c.kind, c.form, c.levels) for c in table.columns.values())
        self.place = min(place, self.place or place)
        alike = place[2:3], kinds
        if alike not in self._alike:
            none = {name: Column(c.kind, c.values[:0], b"", c.form, c.levels) for name, c in table.columns.items()}
            self._alike[alike] = Alike(none)
        self._alike[alike].held.append((number, table))

    @property
    def rank(self) -> tuple[Any, ...]:
        """It orders columns of results files that come first in the same replication."""
        return (self.place, self.witnesses.names) if self.place else ()

    @property
    def alike(self) -> list[Alike]:
        """By the form of results files: a replication may have several, whose rows have an order."""
        return [self._alike[key] for key in sorted(self._alike, key=lambda key: key[0])]

    def take(self, alike: Alike, rows: Sorted) -> None:
        """Rows that were held, and are sorted."""
        alike.sources.append(rows)
        for name, found in rows.witnesses.items():
            self.witnesses.add(name, *found)


class Gathered:
    """The tables of a run's blocks. Use it in `with`, add the blocks, then `finish`, then read the tables.

    results_file: the name of results files, perhaps a pattern. wanted: the names of the tables that are kept. folder: where
    temporary files go; None stands for the system's folder of temporary files.
    """

    def __init__(self, results_file: str, wanted: tuple[str, ...], folder: Path | None = None) -> None:
        self.replications = Replications()
        self.numbers: dict[str, int] = {}  # of blocks, in the order of their names
        self.seeds: list[Table] = []
        self.unreadable = np.empty(0, dtype=np.int64)  # keys of replications that failed because of their results file
        self._wanted = wanted
        self._groups: dict[str, dict[tuple[str, ...], _Group]] = {name: {} for name in _KINDS}
        self._outputs = Outputs(results_file)
        self._parsed: list[tuple[int, dict[str, Groups]]] | None = []
        self._unreadable: list[tuple[int, int, int, str]] = []  # block, condition, replication, reason
        self._held = self._parsed_bytes = self._files = 0
        self._parent = folder
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._pool = ThreadPoolExecutor(2)
        self._moving: list[tuple[_Group, Alike, Future[Sorted]]] = []

    def __enter__(self) -> "Gathered":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary files."""
        self._pool.shutdown(cancel_futures=True)
        if self._folder is not None:
            self._folder.cleanup()

    # ---- blocks ----

    def restore(self, names: tuple[str, ...], rows: list[dict[str, Column]], first: int) -> None:
        """Results that were collected before: witnesses of these columns, and the first key. Their rows are not in the table."""
        group = self._groups["results"].setdefault(names, _Group(names))
        group.known_first = first
        for row in rows:
            for name, column in row.items():
                group.witnesses.add(name, *witness(column), 0)

    def add(self, name: str, block: Block, number: int) -> None:
        """A block. Blocks are added in the order of their names, by which they are numbered."""
        self.numbers[name] = number
        self.replications.add(number, block.table("replications"))
        for table in block.tables:
            if not table.rows:
                continue
            if table.name == "seeds":
                self.seeds.append(table)
            elif table.name == "outputs" and "results" in self._wanted:
                self._parse(number, table)
                self.hold(number, table)
            elif table.name in self._wanted:
                self.hold(number, table)

    def hold(self, number: int, table: Table, place: Place = ()) -> None:
        """A table of a block, besides those that `add` takes."""
        groups, names = self._groups[table.name], tuple(table.columns)
        if names not in groups:
            groups[names] = _Group(names)
        groups[names].hold(number, table, place)
        self._held += sum(column.values.nbytes + len(column.text) for column in table.columns.values())
        if self._held >= HELD_BYTES:
            self._move()

    def _all_held(self) -> Iterator[tuple[_Group, Alike, list[tuple[int, Table]]]]:
        """What is held, which is held no longer."""
        for groups in self._groups.values():
            for group in groups.values():
                for alike in group.alike:
                    if alike.held:
                        held, alike.held = alike.held, []
                        yield group, alike, held

    def _move(self) -> None:
        """Write what is held to files, beside the reading of more."""
        self._settle()  # one at a time, because of the memory
        if self._folder is None:
            try:
                self._folder = tempfile.TemporaryDirectory(prefix=".collecting-", dir=self._parent)
            except OSError:  # the run is read-only
                self._folder = tempfile.TemporaryDirectory(prefix="simferry-")
        for group, alike, held in self._all_held():
            self._files += 1
            path = Path(self._folder.name, str(self._files))
            self._moving.append((group, alike, self._pool.submit(_moved, held, path)))
        self._held = 0

    def _settle(self) -> None:
        for group, alike, moving in self._moving:
            group.take(alike, moving.result())
        self._moving = []

    # ---- results files ----

    def _parse(self, number: int, table: Table) -> None:
        parsed, unreadable = self._outputs.read(table)
        self._unreadable += [(number, *row) for row in unreadable]
        self._parsed_bytes += sum(len(column.text) for column in table.columns.values())
        if self._parsed_bytes > PIECE_BYTES:
            self._parsed = None  # they are read again
        elif self._parsed is not None:
            self._parsed.append((number, parsed))

    def finish(self) -> None:
        """All blocks were added."""
        self._add_unreadable()
        for number, parsed in self._parsed or self._parsed_again():
            for table, place in self._outputs.tables(parsed):
                self.hold(number, table, place)
        self._groups["outputs"].clear()
        self._release()
        if self._folder is not None:
            _return_memory()

    def _release(self) -> None:
        self._settle()
        for group, alike, held in self._all_held():
            group.take(alike, sorted_rows(held))

    def _parsed_again(self) -> Iterator[tuple[int, dict[str, Groups]]]:
        if self._parsed is not None:
            return
        self._release()
        for group in self._groups["outputs"].values():
            for alike in group.alike:
                for slices in ranges(alike.sources, PIECE_BYTES):
                    table = pa.concat_tables(_read(alike.sources, slices))
                    found = table.column(2).to_numpy()
                    is_copy = self.replications.copies().has(keys(table), found)
                    found = np.where(is_copy, found, _NO_COPIES)
                    for number in np.unique(found).tolist():  # copies too: they decide of the kinds of columns
                        key, columns = alike.taken([table.filter(pa.array(found == number))], None)
                        yield number, self._outputs.read(Table("outputs", len(key), columns))[0]

    def _add_unreadable(self) -> None:
        """Replications whose results file can't be read have failed."""
        if not self._unreadable:
            self.unreadable = np.empty(0, dtype=np.int64)
            return
        at = np.array([row[:3] for row in self._unreadable], dtype=np.int64).reshape(-1, 3)
        key = key_of(at[:, 1], at[:, 2])
        self.unreadable = np.unique(key[~self.replications.copies().has(key, at[:, 0])])
        if "failures" not in self._wanted:
            return
        for number in np.unique(at[:, 0]).tolist():
            rows = [row[1:] for row in self._unreadable if row[0] == number]
            condition, replication, message = zip(*rows, strict=True)
            texts = dict.fromkeys(TEXTS, strings([""] * len(rows))) | {"message": strings(message)}
            ids = {"condition": numbers("integer", condition), "replication": numbers("integer", replication)}
            self.hold(number, Table("failures", len(rows), ids | texts))

    # ---- tables ----

    @property
    def failed(self) -> np.ndarray:
        """The keys of replications that failed, sorted."""
        return np.union1d(self.replications.failed_keys(), self.unreadable)

    def metadata(self, kept: pa.Table) -> dict[bytes, bytes]:
        """Of the table of results. kept: the table `objects`."""
        return {**same_seeds.found(self.seeds), **objects.found(kept)}

    def table(self, name: str) -> pa.Table:
        """A table, whole."""
        merge = self.merge(name)
        return pa.concat_tables([*merge.pieces()] or [empty(merge.schema)])

    def merge(self, name: str) -> "Merge":
        """A table in pieces."""
        return Merge(list(self._groups[name].values()), _KINDS[name], self.replications.copies(), self._pool)

    @property
    def reads_files(self) -> bool:
        """Whether some results are of results files."""
        return self._parsed_bytes > 0


class Merge:
    """A table, to be merged from sorted rows: `schema`, and `pieces` in the order of conditions and replications.

    kinds: kind, form and levels of each column, by the columns that are there together, and under () of the table. rows, size: how
    many rows there are with their copies, and bytes.

    A column that a condition does not have is null there.
    """

    def __init__(self, groups: list[_Group], kinds: dict[str, str], copies: Copies, pool: ThreadPoolExecutor) -> None:
        self._copies, self._pool = copies, pool
        sources = [source for group in groups for alike in group.alike for source in alike.sources]
        self.rows, self.size = sum(source.rows for source in sources), sum(source.size for source in sources)
        if not groups:
            none = numbers("integer", [])
            columns = {"condition": none, "replication": none} | {n: nothing(kind, 0) for n, kind in kinds.items()}
            self._groups: list[_Group] = []
            self.kinds: _Kinds = {}
            self.schema = as_table(columns).schema
            return
        first = [self._first(group) for group in groups]
        order = sorted(range(len(groups)), key=lambda i: (first[i], groups[i].rank))
        self._groups = [groups[i] for i in order if first[i] < _NEVER] or groups[:1]
        whole = [group.witnesses.whole() for group in self._groups]
        every = list(dict.fromkeys(name for columns in whole for name in columns))
        self._having = {name: [columns[name] for columns in whole if name in columns] for name in every}
        self._differ = {
            name
            for name, some in self._having.items()
            if len(some) > 1 and len({(c.kind, c.form, c.levels) for c in some}) > 1
        }
        self._model = {name: _none(widened(having)[-1]) for name, having in self._having.items()}
        large = {n for group in self._groups for n, size in group.witnesses.bytes_of_text.items() if size >= 2**31}
        fields = [
            f.with_type(pa.large_string()) if f.name in large and f.type == pa.string() else f
            for f in as_table(self._model).schema
        ]
        self.schema = pa.schema(fields)
        self.kinds = {
            group.witnesses.names: {name: (c.kind, c.form, c.levels) for name, c in columns.items()}
            for group, columns in zip(self._groups, whole, strict=True)
        }
        self.kinds[()] = {name: (c.kind, c.form, c.levels) for name, c in self._model.items()}

    def _first(self, group: _Group) -> int:
        """The first key that is not of a copy."""
        firsts = (self._first_of(alike, source) for alike in group.alike for source in alike.sources)
        return min([group.known_first, *firsts])

    def groups(self) -> Iterator[tuple[tuple[str, ...], list[dict[str, Column]], int]]:
        """Columns that are there together, witnesses of them, and their first key: what `restore` takes."""
        for group in self._groups:
            yield group.witnesses.names, group.witnesses.rows(), self._first(group)

    def _first_of(self, alike: Alike, source: Sorted) -> int:
        if not self._copies:
            return int(source.index[0])
        for begin in range(0, source.rows, source.step):
            key, _ = alike.taken([source.read(begin, min(begin + source.step, source.rows))], self._copies)
            if len(key):
                return int(key[0])
        return _NEVER

    def pieces(self) -> Iterator[pa.Table]:
        """The rows. Threads merge some pieces ahead, where there are several."""
        alike = [(group, one) for group in self._groups for one in group.alike]
        ahead: deque[Future[pa.Table]] = deque()
        sources = [source for _, one in alike for source in one.sources]
        if self.size < 2 * PIECE_BYTES:
            if (table := self._piece(alike, [(0, source.rows) for source in sources])).num_rows:
                yield table
            return
        for slices in ranges(sources, PIECE_BYTES):
            ahead.append(self._pool.submit(self._piece, alike, slices))
            while len(ahead) > 2:
                yield from _rows(ahead.popleft())
        while ahead:
            yield from _rows(ahead.popleft())

    def _piece(self, alike: list[tuple[_Group, Alike]], slices: list[tuple[int, int]]) -> pa.Table:
        found, tables, at = [], [], 0
        for group, one in alike:
            tables_of = _read(one.sources, slices[at : at + len(one.sources)])
            at += len(one.sources)
            if tables_of:
                key, columns = one.taken(tables_of, self._copies)
                found.append(key)
                tables.append(self._as_arrow(group.witnesses.unified(columns), len(key)))
        if not tables:
            return empty(self.schema)
        key = np.concatenate(found)
        whole = pa.concat_tables(tables).combine_chunks()
        if (key[1:] >= key[:-1]).all():
            return whole
        return ordered(whole, np.argsort(key, kind="stable"))

    def _as_arrow(self, columns: dict[str, Column], rows: int) -> pa.Table:
        arrays = []
        for field in self.schema:
            if field.name not in columns:
                arrays.append(_nulls(field.type, rows, self._model[field.name]))
                continue
            column = columns[field.name]
            array = as_arrow(as_all(column, self._having[field.name]) if field.name in self._differ else column)
            arrays.append(array if array.type == field.type else array.cast(field.type))
        return pa.table(arrays, schema=self.schema)


def _moved(held: list[tuple[int, Table]], path: Path) -> Sorted:
    return sorted_rows(held).moved(path)


def _return_memory() -> None:
    """Give memory that is free back to the system: glibc keeps half a gigabyte after thousands of blocks."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # other C libraries
        ctypes.CDLL(None).malloc_trim(0)


def _none(column: Column) -> Column:
    """None of a column's rows."""
    return column.of(column.values[:0])


def _read(sources: list[Sorted], slices: list[tuple[int, int]]) -> list[pa.Table]:
    pairs = zip(sources, slices, strict=True)
    return [source.read(begin, end) for source, (begin, end) in pairs if begin < end]


def _rows(piece: Future[pa.Table]) -> Iterator[pa.Table]:
    if (table := piece.result()).num_rows:
        yield table


def ordered(table: pa.Table, order: np.ndarray) -> pa.Table:
    """The rows in this order. Numbers without nulls are taken by numpy, in half the time."""
    columns = []
    for column in table.columns:
        (array,) = column.chunks or [pa.array([], column.type)]
        plain = pa.types.is_floating(array.type) or pa.types.is_int32(array.type) or pa.types.is_int64(array.type)
        fast = plain and array.null_count == 0
        columns.append(pa.array(as_numpy(array).take(order)) if fast else array.take(pa.array(order)))
    return pa.table(columns, schema=table.schema)


def _nulls(kind: pa.DataType, rows: int, like: Column) -> pa.Array:
    """Nulls for rows that have no such column. Those of a factor have its levels."""
    if not like.levels:
        return pa.nulls(rows, kind)
    return as_arrow(replace(nothing(like.kind, rows), form=like.form, levels=like.levels))
