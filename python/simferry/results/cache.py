"""The run's table of results, cached in its folder: results.parquet, to which parts are added when blocks come.

results.parquet and results-*.parquet are sorted, each. results.index, in the format of blocks, says what they were made of, so that
only new blocks are read: the names of the blocks, their replications, and witnesses of their columns. All is made again from the
blocks where what is there would change: where a column becomes of another kind, or a replication is replaced.
"""

import contextlib
import gc
import hashlib
import itertools
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from .._version import __version__
from ..store.keys import key_of, of_key
from ..store.run_folder import RunFolder
from ..sweep.arrow import as_numpy, empty
from ..sweep.conditions import read_conditions
from ..sweep.parameters import TYPES
from ..system.files import write_whole
from ..system.untrusted import is_plain, read
from ..worker import blocks
from ..worker.blocks import Block, Column, Table
from .columns import is_of_results
from .gather import HELD_BYTES, Gathered, Merge
from .parameter_columns import output_names, repeats, with_columns
from .parts import Counts, Part, Results, whole, write_part
from .read import read_blocks
from .wide import Wide, is_wide

INDEX, FIRST = "results.index", "results.parquet"
_ADDED = re.compile(r"results-[0-9a-f]{12}\.parquet")
_MOST_BYTES = 1 << 44  # of a part
_MOST_PARTS = 8
_MADE_OF = b"simferry.blocks"  # in the metadata of a part


def cached(run: RunFolder) -> Results:
    """The run's table of results, from its cache, which is brought up to date."""
    names = [block.name for block in run.block_names()]
    kept = _Kept.read(run)
    if kept is not None and kept.names == names:
        return kept.results(run)
    if kept is not None and kept.may_grow and set(kept.names) < set(names):
        with _gathered(run, names, kept) as (found, _):
            if (grown := _grown(run, kept, found)) is not None:
                return grown
    with _gathered(run, names, None) as (found, wide):
        return _made(run, found) if wide is None else _in_memory(run, found, wide)


def again(run: RunFolder) -> Results:
    """The same, where what is there can't be read."""
    (run.path / INDEX).unlink(missing_ok=True)
    return cached(run)


def in_one_part(run: RunFolder) -> Results:
    """The same, in one file that holds all rows in order, or in memory."""
    out = cached(run)
    kept = _Kept.read(run) if len(out.parts) > 1 else None
    return out if kept is None else _joined(run, out, kept.content, [_key(kept.names)])


@dataclass
class _Kept:
    """What results.index says. names: of the blocks. made_of: the key of each part's blocks. renamed: see `output_names`."""

    content: Block
    names: list[str]
    parts: list[Part]
    made_of: list[bytes]
    renamed: dict[str, str | None]
    kinds: Any = None  # of the columns, as `Merge` has them

    @classmethod
    def read(cls, run: RunFolder) -> "_Kept | None":
        """None where there is none, or not all is as it was written."""
        errors = (OSError, pa.ArrowException, ValueError, TypeError, LookupError, OverflowError, blocks.DamagedBlock)
        with contextlib.suppress(*errors):
            content = blocks.decode(read(run.path, INDEX, 1 << 32) or b"")
            index = {name: column.values for name, column in content.table("index").columns.items()}
            key = key_of(index["condition"], index["replication"])
            parts, made_of = [], []
            for i, (name, of, rows, size, step) in enumerate(json.loads(content.facts["parts"])):
                if name != FIRST and not _ADDED.fullmatch(name):
                    return None
                parts.append(Part(rows, size, step, key[index["part"] == i], {}, None, run.path / name))
                made_of.append(of.encode())
            names = [name or "" for name in content.table("names").columns["name"].strings()]
            kept = cls(content, names, parts, made_of, json.loads(content.facts["renamed"]))
            fit = (_fits(run, part, of) for part, of in zip(parts, made_of, strict=True))
            if content.facts["simferry"] == __version__ and parts and all(fit):
                return kept
        return None

    @property
    def may_grow(self) -> bool:
        return self.content.facts["may grow"] == "yes"

    def results(self, run: RunFolder) -> Results:
        notes = {name.encode(): text.encode() for name, text in json.loads(self.content.facts["notes"]).items()}
        schema = pq.read_schema(self.parts[0].file)
        schema = schema.with_metadata({**notes, **_marks(run, _key(self.names))})
        return Results(schema, self.counts, self.parts)

    @property
    def counts(self) -> Counts:
        columns = self.content.table("counts").columns
        return Counts(*(columns[name].values.astype(np.int64) for name in Counts._fields))

    def restore(self, found: Gathered, numbers: dict[str, int]) -> None:
        """Tell of the blocks that were read before. numbers: of all blocks."""
        found.numbers.update({name: numbers[name] for name in self.names})
        now = np.array([numbers[name] for name in self.names], dtype=np.int32)
        of = {t.name: {name: c.values for name, c in t.columns.items()} for t in self.content.tables}
        first, last = (key_of(of["stretches"]["condition"], of["stretches"][name]) for name in ("first", "last"))
        found.replications.add_stretches(first, last, now[of["stretches"]["block"]])
        failed = key_of(of["failed"]["condition"], of["failed"]["replication"])
        found.replications.add_failed(failed, now[of["failed"]["block"]])
        found.seeds += [table for table in self.content.tables if table.name == "seeds"]
        rows = iter([table.columns for table in self.content.tables if table.name == "group"])
        for key, many in json.loads(self.content.facts["groups"]):
            some = [*itertools.islice(rows, many)]
            found.restore(tuple(some[0]), some, key)
        self.kinds = found.merge("results").kinds


def _fits(run: RunFolder, part: Part, made_of: bytes) -> bool:
    """Whether a part was made of these blocks, and has the columns of this run's table: others may write to the store."""
    if not is_plain(part.file, _MOST_BYTES):
        return False
    schema = pq.read_schema(part.file)
    kinds = [pa.int32(), pa.int32(), *(TYPES[kind] for kind in run.record.parameters.values())]
    expected = list(zip(["condition", "replication", *run.record.parameters], kinds, strict=True))
    fields = list(zip(schema.names, schema.types, strict=True))
    return (
        (schema.metadata or {}).get(_MADE_OF) == made_of
        and fields[: len(expected)] == expected
        and all(is_of_results(kind) for _, kind in fields[len(expected) :])
    )


def _key(names: Iterable[str]) -> bytes:
    """A hash of what a part is made of: these blocks, and this version of simferry."""
    return hashlib.sha256("\n".join([__version__, *names]).encode()).hexdigest().encode()


def _marks(run: RunFolder, made_of: bytes) -> dict[bytes, bytes]:
    return {b"simferry.run": run.id.encode(), _MADE_OF: made_of}


@contextlib.contextmanager
def _gathered(run: RunFolder, names: list[str], kept: _Kept | None) -> Iterator[tuple[Gathered, pa.Table | None]]:
    """The results of the run's blocks, but of those that are kept already; apart, if all of them are wide."""
    numbers = {name: i for i, name in enumerate(names)}
    with Gathered(run.record.simulation["results_file"], ("results", "objects", "warnings"), run.path) as found:
        if kept is not None:
            kept.restore(found, numbers)
        apart = Wide(found.hold)
        if kept is not None:
            apart.give_back()
        with _without_garbage_collection():
            for name, block in read_blocks(run, only=set(names) - set(found.numbers)):
                found.add(name, apart.without_results(numbers[name], block), numbers[name])
            if found.replications.copies():
                apart.give_back()
            found.finish()
            wide = apart.table()
        yield found, wide


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Of thousands of small tables that are held: looking through them for cycles, which they have none of, takes a tenth of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _in_memory(run: RunFolder, found: Gathered, rows: pa.Table) -> Results:
    """The table of these rows, which is not cached."""
    design = read_conditions(run)
    renamed = output_names(rows.column_names, design, lambda name: repeats(name, [rows], design))
    marks = {**found.metadata(found.table("objects")), **_marks(run, _key(sorted(found.numbers)))}
    whole = with_columns(rows, design, renamed).replace_schema_metadata(marks)
    return Results(whole.schema, _counts(run, found), whole=whole)


def _made(run: RunFolder, found: Gathered) -> Results:
    """The table of all blocks, and its cache."""
    merge, design = found.merge("results"), read_conditions(run)
    objects = found.table("objects")
    notes, made_of = found.metadata(objects), _key(sorted(found.numbers))
    renamed = output_names(merge.schema.names, design, lambda name: repeats(name, merge.pieces(), design))
    schema = with_columns(empty(merge.schema), design, renamed).schema
    schema = schema.with_metadata({**notes, **_marks(run, made_of)})

    counts = _counts(run, found)

    def pieces() -> Iterator[pa.Table]:
        return (with_columns(piece, design, renamed) for piece in merge.pieces())

    def written(folder: Path) -> Results:
        part, table = write_part(folder / FIRST, schema, pieces(), merge.size)
        content = _content(found, merge, renamed, notes, counts, not (objects.num_rows or found.reads_files))
        _write_index(folder, content, [part], [made_of])
        return Results(schema, counts, [part], table)

    if is_wide(len(schema), merge.rows):
        return Results(schema, counts, whole=whole(schema, pieces()))
    try:
        return written(run.path)
    except OSError:  # the run is read-only, or its disk is full
        if merge.size <= HELD_BYTES:
            return Results(schema, counts, whole=whole(schema, pieces()))
        folder = tempfile.TemporaryDirectory(prefix="simferry-")
        out = written(Path(folder.name))
        out.folder = folder
        return out


def _grown(run: RunFolder, kept: _Kept, found: Gathered) -> Results | None:
    """The table with the rows of new blocks added; None where those change what is there, or can't be written."""
    merge, design = found.merge("results"), read_conditions(run)
    new = sorted(set(found.numbers) - set(kept.names))
    if found.reads_files or found.table("objects").num_rows or not _stay(kept, found, merge):
        return None
    if not all(repeats(name, merge.pieces(), design) for name, other in kept.renamed.items() if other is None):
        return None
    renamed = output_names(merge.schema.names, design, lambda name: kept.renamed.get(name, "") is None)
    schema = with_columns(empty(merge.schema), design, renamed).schema
    if renamed != kept.renamed or schema != pq.read_schema(kept.parts[0].file):
        return None
    notes, parts, made_of = found.metadata(found.table("objects")), [*kept.parts], [*kept.made_of]
    with contextlib.suppress(OSError):
        if merge.rows:
            made_of.append(_key(new))
            pieces = (with_columns(piece, design, renamed) for piece in merge.pieces())
            path = run.path / f"results-{made_of[-1][:12].decode()}.parquet"
            parts.append(write_part(path, schema.with_metadata(_marks(run, made_of[-1])), pieces, merge.size)[0])
        names = _key(sorted(found.numbers))
        counts = _counts(run, found)
        counts = counts._replace(warned=counts.warned + kept.counts.warned)
        out = Results(schema.with_metadata({**notes, **_marks(run, names)}), counts, parts)
        content = _content(found, merge, renamed, notes, counts, True)
        if len(parts) > _MOST_PARTS or sum(part.rows for part in parts[1:]) > parts[0].rows:
            return _joined(run, out, content, [names])
        _write_index(run.path, content, parts, made_of)
        return out
    return None


def _stay(kept: _Kept, found: Gathered, merge: Merge) -> bool:
    """Whether rows that were collected before stay as they are beside new ones: same kinds of columns, and no row is replaced."""
    if any(merge.kinds.get(names) != kinds for names, kinds in kept.kinds.items()):
        return False
    if [*merge.kinds.get((), ())] != [*kept.kinds.get((), ())]:  # in another order
        return False
    old = {found.numbers[name] for name in kept.names}
    if old & found.replications.copies().by_block.keys() and kept.counts.warned.any():
        return False  # warnings of a replication that is replaced do not count
    failed, failed_in = found.replications.failed
    for block, (first, last) in found.replications.copies().by_block.items():
        mine = np.sort(failed[failed_in == block])
        replaced_failures = np.searchsorted(mine, last, "right") - np.searchsorted(mine, first)
        if block in old and (replaced_failures != last - first + 1).any():
            return False
    return True


def _joined(run: RunFolder, parts: Results, content: Block, made_of: list[bytes]) -> Results:
    """All parts as one."""
    part, table = write_part(run.path / FIRST, parts.schema, parts.pieces(), parts.size)
    _write_index(run.path, content, [part], made_of)
    return replace(parts, parts=[part], whole=table)


def _counts(run: RunFolder, found: Gathered) -> Counts:
    conditions = run.record.conditions
    warned = np.zeros(conditions, dtype=np.int64)
    for rows in found.merge("warnings").pieces():
        of, count = as_numpy(rows["condition"]), as_numpy(rows["count"], 0)
        warned += np.bincount(of, count, minlength=conditions + 1)[1:].astype(np.int64)
    failed = np.bincount(of_key(found.failed)[0], minlength=conditions + 1)[1:]
    return Counts(found.replications.done(conditions), failed, warned)


def _content(
    found: Gathered,
    merge: Merge,
    renamed: Mapping[str, str | None],
    notes: Mapping[bytes, bytes],
    counts: Counts,
    may_grow: bool,
) -> Block:
    """What results.index says, but of its parts."""  # fmt: skip
    names = sorted(found.numbers)
    place = np.zeros(max(found.numbers.values(), default=0) + 1, dtype=np.int32)
    place[[found.numbers[name] for name in names]] = np.arange(len(names))
    first, last, block = found.replications.stretches
    failed, failed_in = found.replications.failed
    condition, begin = of_key(first)
    groups = [*merge.groups()]
    facts = {
        "simferry": __version__,
        "may grow": "yes" if may_grow else "no",
        "renamed": json.dumps(renamed),
        "notes": json.dumps({name.decode(): text.decode() for name, text in notes.items()}),
        "groups": json.dumps([[key, len(rows)] for _, rows, key in groups]),
    }
    stretches = {"condition": condition, "first": begin, "last": of_key(last)[1], "block": place[block]}
    tables = [
        Table("names", len(names), {"name": blocks.strings(names)}),
        _integers("stretches", stretches),
        _integers("counts", counts._asdict()),
        _integers("failed", {**_ids(failed), "block": place[failed_in]}),
        *found.seeds,
        *(Table("group", 1, row) for _, rows, _ in groups for row in rows),
    ]
    return Block(facts, tables)


def _ids(key: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(("condition", "replication"), of_key(key), strict=True))


def _integers(name: str, columns: dict[str, np.ndarray]) -> Table:
    made: dict[str, Column] = {label: blocks.numbers("integer", values) for label, values in columns.items()}
    return Table(name, len(next(iter(columns.values()))), made)


def _write_index(folder: Path, content: Block, parts: list[Part], made_of: list[bytes]) -> None:
    """Write results.index, and remove parts of which it does not tell."""
    written = [[p.file.name, of.decode(), p.rows, p.size, p.step] for p, of in zip(parts, made_of, strict=True)]
    index = {
        "part": np.repeat(np.arange(len(parts)), [len(part.index) for part in parts]),
        **_ids(np.concatenate([part.index for part in parts])),
    }
    tables = [table for table in content.tables if table.name != "index"]
    facts = {**content.facts, "parts": json.dumps(written)}
    write_whole(folder / INDEX, blocks.encode(Block(facts, [_integers("index", index), *tables])), sync=False)
    for path in folder.glob("results-*.parquet"):
        if _ADDED.fullmatch(path.name) and path not in [part.file for part in parts]:
            path.unlink(missing_ok=True)
