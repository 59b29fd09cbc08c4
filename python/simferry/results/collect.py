"""Reads the blocks of a run into tables: each replication once, sorted by condition and replication."""

import warnings
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from ..errors import SimferryError
from ..store.keys import BlockName, key_of, of_key
from ..store.run_folder import RunFolder
from ..worker import blocks
from ..worker.blocks import Column
from . import objects, same_seeds
from .columns import KINDS, as_arrow, as_table, nothing, unified, widened, wrong_form
from .outputs import output_columns

_TEXTS = ("message", "call", "traceback")


@dataclass
class Collected:
    """The tables of a run, sorted by condition and replication, each replication once.

    replications: condition, replication, ok, seconds. results: condition, replication and the outputs. failures: condition,
    replication, message, call, traceback. warnings: condition, replication, message, count. objects: what was kept whole:
    condition, replication, output (empty: all of the value), kind.
    """

    replications: pa.Table
    results: pa.Table
    failures: pa.Table
    warnings: pa.Table
    objects: pa.Table


def read_blocks(run: RunFolder, set_aside: bool = True, after: str = "") -> Iterator[tuple[str, blocks.Block]]:
    """The names and contents of the run's undamaged blocks.

    set_aside: move damaged blocks aside and warn of them. after: read only blocks whose names sort after this one.
    """
    names = {name.name: name for name in run.block_names() if name.name > after}
    for name, content in run.read_blocks(names):
        try:
            block = blocks.decode(content)
            check_block(block, names[name], run.record.conditions)
        except blocks.DamagedBlock as damage:
            if not set_aside:
                continue
            try:
                where = f"was moved to {run.set_aside(name)}"
            except SimferryError:  # a run that can be read but not written
                where = f"is left out (it is in {run.address}/blocks)"
            warnings.warn(
                f"block {name} of run {run.id} is damaged ({damage}) and {where}. "
                f"Its {names[name].replications} replications count as not done: {run.command('resume')}",
                stacklevel=2,
            )
        else:
            yield name, block


_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "replications": {"ok": ("logical",), "seconds": ("double",)},
    "results": {},
    "failures": {name: ("string",) for name in _TEXTS},
    "warnings": {"message": ("string",), "count": ("integer",)},
    "outputs": {"name": ("string",), "content": ("raw",)},
    "objects": {"output": ("string",), "kind": ("string",)},
    "values": {"value": ("raw",)},
}  # the columns of a block's tables, besides condition and replication


def check_block(block: blocks.Block, name: BlockName, conditions: int) -> None:
    """Raises DamagedBlock where a block's content does not agree with its name, or its tables lack a column."""
    for table in block.tables:
        kinds: dict[str, tuple[str, ...]] = {
            "condition": ("integer",),
            "replication": ("integer",),
            **_KINDS.get(table.name, {}),
        }
        if table.name not in _KINDS:
            continue
        if table.name == "outputs" and "text" in table.columns:  # of earlier workers: the one results file
            kinds = {"condition": ("integer",), "replication": ("integer",), "text": ("string",)}
        if table.name == "results":
            if problem := wrong_form(table):
                raise blocks.DamagedBlock(problem)
            kinds |= {o: ("raw",) if c.is_list else KINDS for o, c in table.columns.items() if o not in kinds}
        for column, kind in kinds.items():
            if column not in table.columns or table.columns[column].kind not in kind:
                raise blocks.DamagedBlock(
                    f"its table {table.name!r} has no column {column!r} of kind {' or '.join(kind)}"
                )
        ids, numbers = table.columns["condition"].values, table.columns["replication"].values
        if table.rows and not (ids.min() >= 1 and ids.max() <= conditions and numbers.min() >= 1):
            raise blocks.DamagedBlock(
                f"its table {table.name!r} has conditions or replications that the run does not have"
            )
    status = block.table("replications")
    if (status.rows, int((status.columns["ok"].values == 0).sum())) != (name.replications, name.failed):
        raise blocks.DamagedBlock("it holds other numbers of replications than its name says")


def done(run: RunFolder, failed: bool = True, plans: Container[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """(conditions, replications) of finished blocks, as two integer arrays.

    failed: include those that failed. Without it, only those that failed in one of these `plans` are included.
    """
    if failed:
        status = [block.table("replications") for _, block in read_blocks(run)]
        table = _replications(status, _superseded(status))
        return table["condition"].to_numpy(), table["replication"].to_numpy()
    read = dict(read_blocks(run))
    table = collected(run, list(read.values())).replications  # unreadable results files count as failed there
    table = table.filter(table["ok"])
    found = [(table["condition"].to_numpy(), table["replication"].to_numpy())]
    for name in run.block_names():
        if name.plan in plans and name.name in read:
            columns = read[name.name].table("replications").columns
            found.append((columns["condition"].values, columns["replication"].values))
    return of_key(np.unique(np.concatenate([key_of(c, r) for c, r in found])))


def collect(run: RunFolder) -> Collected:
    """The tables of all blocks of a run."""
    return collected(run, [block for _, block in read_blocks(run)])


def collected(run: RunFolder, read: list[blocks.Block]) -> Collected:
    """The tables of these blocks of a run."""
    status: list[blocks.Table] = [block.table("replications") for block in read]
    superseded = _superseded(status)
    parts: dict[str, list[tuple[int, blocks.Table]]] = {
        name: [] for name in ("results", "failures", "warnings", "outputs", "objects")
    }
    seeds = [table for block in read for table in block.tables if table.name == "seeds"]
    for number, block in enumerate(read):
        for table in block.tables:
            if table.name in parts and table.rows:
                parts[table.name].append((number, table))
    replications = _replications(status, superseded)
    results = parts["results"]
    unreadable: list[tuple[int, int, int, str]] = []
    if parts["outputs"]:
        more, unreadable = output_columns(parts["outputs"], run.record.simulation["results_file"])
        results = results + more
    failures = _assemble(parts["failures"], superseded, {name: "string" for name in _TEXTS})
    at = np.array([row[:3] for row in unreadable], dtype=np.int64).reshape(-1, 3)
    gone = _left_out(key_of(at[:, 1], at[:, 2]), at[:, 0], superseded)
    unreadable = [row for row, left_out in zip(unreadable, gone.tolist(), strict=True) if not left_out]
    if unreadable:
        replications, failures = _failed_too(replications, failures, unreadable)
    kept = _assemble(parts["objects"], superseded, {"output": "string", "kind": "string"})
    metadata = {**(same_seeds.found(seeds) or {}), **objects.found(kept)}
    return Collected(
        replications,
        _assemble(results, superseded, {}).replace_schema_metadata(metadata),
        failures,
        _assemble(parts["warnings"], superseded, {"message": "string", "count": "integer"}),
        kept,
    )


def _superseded(status: list[blocks.Table]) -> np.ndarray | None:
    """The copies to leave out of replications that were computed more than once.

    Returns keys (see `key_of`) and block numbers, int64 (2, copies); None where there are no copies.
    """
    if not status:
        return None
    condition, replication = (_joined(status, name) for name in ("condition", "replication"))
    key = key_of(condition, replication)
    in_order = np.sort(key)
    if (in_order[1:] != in_order[:-1]).all():
        return None
    ok = _joined(status, "ok")
    block = np.repeat(np.arange(len(status)), [t.rows for t in status])
    order = np.lexsort((block, ok, key))  # the last of each key is kept: a success, if any, of the latest plan
    last = np.r_[key[order][1:] != key[order][:-1], True]
    out = order[~last]
    return np.stack([key[out], block[out]])


def _left_out(key: np.ndarray, block: np.ndarray, superseded: np.ndarray | None) -> np.ndarray:
    if superseded is None:
        return np.zeros(len(key), dtype=bool)
    gone = set(zip(superseded[0].tolist(), superseded[1].tolist(), strict=True))
    suspicious = np.isin(key, superseded[0])
    out = np.zeros(len(key), dtype=bool)
    at = np.flatnonzero(suspicious)
    out[at] = [pair in gone for pair in zip(key[at].tolist(), block[at].tolist(), strict=True)]
    return out


def _joined(tables: Iterable[blocks.Table], name: str) -> np.ndarray:
    return np.concatenate([t.columns[name].values for t in tables])


def _replications(status: list[blocks.Table], superseded: np.ndarray | None) -> pa.Table:
    kinds = {"ok": "logical", "seconds": "double"}
    return _assemble([(i, t) for i, t in enumerate(status)], superseded, kinds)


def _assemble(parts: list[tuple[int, blocks.Table]], superseded: np.ndarray | None, kinds: dict[str, str]) -> pa.Table:
    """Joins tables of several blocks. kinds: columns that the result has even if no block does."""
    groups: dict[tuple[str, ...], list[tuple[int, blocks.Table]]] = {}
    for number, part in parts:
        groups.setdefault(tuple(part.columns), []).append((number, part))
    if not groups:
        nothing = Column("integer", np.empty(0, dtype="<i4"))
        empty = {"condition": as_arrow(nothing), "replication": as_arrow(nothing)}
        for name, kind in kinds.items():
            empty[name] = as_arrow(Column(kind, np.empty(0, dtype="<f8" if kind == "double" else "<i4")))
        return pa.table(empty)
    pieces = []
    for names, members in groups.items():
        columns = {name: unified([t.columns[name] for _, t in members]) for name in names}
        condition, replication = columns["condition"].values, columns["replication"].values
        block = np.repeat([number for number, _ in members], [t.rows for _, t in members])
        key = key_of(condition, replication)
        order = np.argsort(key, kind="stable")
        if superseded is not None:
            order = order[~_left_out(key[order], block[order], superseded)]
        pieces.append((columns, key, order))
    pieces = [piece for piece in pieces if len(piece[2])] or pieces[:1]
    if len(pieces) == 1:
        columns, _, order = pieces[0]
        in_order = len(order) == len(pieces[0][1]) and bool((order[1:] > order[:-1]).all())
        return as_table(columns, None if in_order else order)
    # a column that a condition does not have is null there
    pieces.sort(key=lambda piece: int(piece[1][piece[2][0]]) if len(piece[2]) else 0)
    every = list(dict.fromkeys(name for columns, _, _ in pieces for name in columns))
    for name in every:
        having = [columns for columns, _, _ in pieces if name in columns]
        for columns, column in zip(having, widened([columns[name] for columns in having]), strict=True):
            columns[name] = column
    model = {name: column for columns, _, _ in pieces for name, column in columns.items()}
    tables = []
    for columns, _, order in pieces:
        have = as_table(columns, order)
        fields = {f.name: f for f in [*have.schema, *_fields(model, have.column_names)]}
        arrays = dict(zip(have.column_names, have.columns, strict=True))
        for name in every:
            if name not in arrays:
                arrays[name] = _nulls(fields[name].type, len(order), model[name])
        tables.append(pa.table([arrays[name] for name in every], schema=pa.schema([fields[name] for name in every])))
    joined = pa.concat_tables(tables, promote_options="permissive")  # more than 2 GB of strings have their own type
    key = np.concatenate([key[order] for _, key, order in pieces])
    return joined.take(pa.array(np.argsort(key, kind="stable"))).combine_chunks()


def _fields(model: dict[str, Column], but: list[str]) -> pa.Schema:
    """The fields of a table's columns, without some."""
    without = set(but)
    return as_table({n: replace(c, values=c.values[:0], text=b"") for n, c in model.items() if n not in without}).schema


def _nulls(kind: pa.DataType, rows: int, like: Column) -> pa.Array:
    """Nulls for rows that have no such column. Those of a factor have its levels."""
    if not like.levels:
        return pa.nulls(rows, kind)
    return as_arrow(replace(nothing(like.kind, rows), form=like.form, levels=like.levels))


def _failed_too(
    replications: pa.Table, failures: pa.Table, unreadable: list[tuple[int, int, int, str]]
) -> tuple[pa.Table, pa.Table]:
    """Marks replications whose results file can't be read as failed."""
    keys = {(c, r) for _, c, r, _ in unreadable}
    pairs = zip(replications["condition"].to_pylist(), replications["replication"].to_pylist(), strict=True)
    ok = [bool(good) and pair not in keys for good, pair in zip(replications["ok"].to_pylist(), pairs, strict=True)]
    replications = replications.set_column(2, "ok", pa.array(ok, pa.bool_()))
    _, c, r, message = zip(*unreadable, strict=True)
    more = {"condition": pa.array(c, pa.int32()), "replication": pa.array(r, pa.int32()), "message": pa.array(message)}
    more |= {name: pa.array([""] * len(c)) for name in ("call", "traceback")}
    failures = pa.concat_tables([failures, pa.table(more)], promote_options="permissive")
    return replications, failures.sort_by([("condition", "ascending"), ("replication", "ascending")])
