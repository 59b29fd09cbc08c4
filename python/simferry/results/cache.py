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
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

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
from .columns import is_of_results, wrong_form
from .gather import HELD_BYTES, Gathered, Merge
from .parameter_columns import output_names, repeats, with_columns
from .parts import Counts, DamagedPart, Part, Results, whole, write_part
from .read import read_blocks
from .wide import Wide, is_wide

INDEX, FIRST = "results.index", "results.parquet"
_ADDED = re.compile(r"results-[0-9a-f]{12}\.parquet")
_REPLICATIONS = re.compile(r"-r([0-9]{1,9})-f[0-9]{1,9}$")  # of a block, in its name
_MOST_BYTES = 1 << 44  # of a part
_MOST_PARTS = 8
_MADE_OF = b"simferry.blocks"  # in the metadata of a part


def cached(run: RunFolder) -> Results:
    """The run's table of results, from its cache, which is brought up to date."""
    names = [block.name for block in run.block_names()]
    kept = _Kept.read(run)
    if kept is not None and kept.names == names:
        return kept.results(run)
    if kept is not None and kept.may_grow and set(kept.names) < set(names) and kept.is_sound(run):
        with _gathered(run, names, kept) as (found, _):
            if (grown := _grown(run, kept, found)) is not None:
                return grown
    return again(run, names)


def again(run: RunFolder, names: list[str] | None = None) -> Results:
    """The same, made of the blocks alone. names: of all blocks, if they are known."""
    with _gathered(run, names or [block.name for block in run.block_names()], None) as (found, wide):
        return _made(run, found) if wide is None else _in_memory(run, found, wide)


def in_one_part(run: RunFolder, found: Results) -> Results:
    """The same as what was found, in one file that holds all rows in order, or in memory. Raises DamagedPart."""
    if len(found.parts) < 2:
        return found
    kept = _Kept.read(run)
    if kept is not None and _marks(run, _key(kept.names)).items() <= (found.schema.metadata or {}).items():
        with contextlib.suppress(OSError):  # the run is read-only, or its disk is full
            return _joined(run, found, kept.content, [_key(kept.names)])
    if found.size <= HELD_BYTES:
        return replace(found, parts=[], whole=found.table())
    folder = tempfile.TemporaryDirectory(prefix="simferry-")
    part, table = write_part(Path(folder.name, FIRST), found.schema, found.pieces(), found.size)
    return replace(found, parts=[part], whole=table, folder=folder)


def unchanging(file: Path, schema: pa.Schema) -> Path:
    """A name for results.parquet under which nobody replaces it; it is removed with the other parts. Itself, where there are no links."""
    name = file.with_name(f"results-{schema.metadata[_MADE_OF][:12].decode()}.parquet")
    try:
        os.link(file, name)
    except FileExistsError:
        pass
    except OSError:
        return file
    return name


@dataclass
class _Kept:
    """What results.index says. names: of the blocks. made_of: the key of each part's blocks. renamed: see `output_names`. notes:
    metadata of the table."""

    content: Block
    names: list[str]
    parts: list[Part]
    made_of: list[bytes]
    counts: Counts
    renamed: dict[str, str | None]
    notes: dict[bytes, bytes]
    kinds: Any = None  # of the columns, as `Merge` has them

    @classmethod
    def read(cls, run: RunFolder) -> "_Kept | None":
        """None where there is none, or not all is as it was written: others may write to the store."""
        with contextlib.suppress(Exception):
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
            numbers = content.table("counts").columns
            counts = Counts(*(numbers[name].values.astype(np.int64) for name in Counts._fields))
            notes = {name.encode(): text.encode() for name, text in json.loads(content.facts["notes"]).items()}
            renamed = dict(json.loads(content.facts["renamed"]).items())
            kept = cls(content, names, parts, made_of, counts, renamed, notes)
            fit = (_fits(run, part, of) for part, of in zip(parts, made_of, strict=True))
            same = content.facts["simferry"] == __version__ and len(counts.done) == run.conditions
            if same and parts and all(fit):
                return kept
        return None

    @property
    def may_grow(self) -> bool:
        return self.content.facts["may grow"] == "yes"

    def results(self, run: RunFolder) -> Results:
        schema = self.parts[0].schema.with_metadata({**self.notes, **_marks(run, _key(self.names))})
        return Results(schema, self.counts, self.parts)

    def is_sound(self, run: RunFolder) -> bool:
        """Whether `restore` can be called: the stretches are those of blocks with these names."""
        with contextlib.suppress(Exception):
            of = {name: column.values for name, column in self.content.table("stretches").columns.items()}
            many = of["last"].astype(np.int64) - of["first"] + 1
            wanted = [int(found[1]) for found in map(_REPLICATIONS.search, self.names) if found]
            in_range = (of["condition"] >= 1) & (of["condition"] <= run.conditions) & (many > 0)
            in_range &= (of["block"] >= 0) & (of["block"] < len(self.names))
            if not in_range.all() or np.bincount(of["block"], many, len(self.names)).tolist() != wanted:
                return False
            if any(map(wrong_form, self.content.tables)):
                return False
            with Gathered("", ("results",)) as found:
                self.restore(found, {name: i for i, name in enumerate(self.names)})
                found.replications.copies()
            return True
        return False

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
    """Opens a part. Whether it was made of these blocks, and has the rows and the columns that it should: others may write to the
    store."""
    if not is_plain(part.file, _MOST_BYTES) or not all(type(n) is int for n in (part.rows, part.size, part.step)):
        return False
    part.open(part.file)
    assert part.reader is not None
    written = part.reader.metadata
    groups = [written.row_group(i).num_rows for i in range(written.num_row_groups)]
    if written.num_rows != part.rows or len(groups) != len(part.index):
        return False
    kinds = [pa.int32(), pa.int32(), *(TYPES[kind] for kind in run.record.parameters.values())]
    expected = list(zip(["condition", "replication", *run.record.parameters], kinds, strict=True))
    fields = list(zip(part.schema.names, part.schema.types, strict=True))
    return (
        groups == [min(part.step, part.rows - at) for at in range(0, part.rows, part.step)]
        and _marks(run, made_of).items() <= (part.schema.metadata or {}).items()
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
    renamed = output_names(merge.schema.names, design, lambda name: kept.renamed.get(name, "") is None)
    schema = with_columns(empty(merge.schema), design, renamed).schema
    if renamed != kept.renamed or schema != kept.parts[0].schema:
        return None
    if not all(repeats(name, merge.pieces(), design) for name, other in kept.renamed.items() if other is None):
        return None
    notes, parts, made_of = found.metadata(found.table("objects")), [*kept.parts], [*kept.made_of]
    with contextlib.suppress(OSError, DamagedPart):
        if merge.rows:
            made_of.append(_key([*kept.names, "", *new]))
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
    conditions = run.conditions
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
