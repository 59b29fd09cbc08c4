"""What simferry collects, written as one step in memory for all blocks at once: the reference for the way that needs little memory."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
from simferry.results import objects, same_seeds
from simferry.results.collect import Collected
from simferry.results.columns import as_arrow, as_table, nothing, unified, widened
from simferry.results.outputs import Outputs
from simferry.store.keys import key_of
from simferry.worker import blocks
from simferry.worker.blocks import Column

_TEXTS = ("message", "call", "traceback")


def output_columns(parts, results_file):
    outputs = Outputs(results_file)
    read = [(block, *outputs.read(part)) for block, part in parts]
    tables, places = [], {}
    for block, groups, _ in read:
        for table, place in outputs.tables(groups):
            tables.append((block, table))
            places[tuple(table.columns)] = min(place, places.get(tuple(table.columns), place))
    return tables, [(block, *row) for block, _, unreadable in read for row in unreadable], places


def at_once(read, results_file):
    """The tables of these blocks, in the order of their names."""
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
    places = {}
    if parts["outputs"]:
        more, unreadable, places = output_columns(parts["outputs"], results_file)
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
        _assemble(results, superseded, {}, places).replace_schema_metadata(metadata),
        failures,
        _assemble(parts["warnings"], superseded, {"message": "string", "count": "integer"}),
        kept,
    )


def _superseded(status):
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


def _left_out(key, block, superseded):
    if superseded is None:
        return np.zeros(len(key), dtype=bool)
    gone = set(zip(superseded[0].tolist(), superseded[1].tolist(), strict=True))
    suspicious = np.isin(key, superseded[0])
    out = np.zeros(len(key), dtype=bool)
    at = np.flatnonzero(suspicious)
    out[at] = [pair in gone for pair in zip(key[at].tolist(), block[at].tolist(), strict=True)]
    return out


def _joined(tables, name):
    return np.concatenate([t.columns[name].values for t in tables])


def _replications(status, superseded):
    kinds = {"ok": "logical", "seconds": "double"}
    return _assemble([(i, t) for i, t in enumerate(status)], superseded, kinds)


def _assemble(parts, superseded, kinds, places=None):
    """Joins tables of several blocks. kinds: columns that the result has even if no block does. places: of columns, in results files."""
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
        whole = as_table(columns)
        return whole if in_order else whole.take(pa.array(order)).combine_chunks()
    # a column that a condition does not have is null there
    place_of = (places or {}).get
    pieces.sort(
        key=lambda piece: (
            int(piece[1][piece[2][0]]) if len(piece[2]) else 0,
            *(() if places is None else (place_of(tuple(piece[0]), ()), tuple(piece[0]))),
        )
    )
    every = list(dict.fromkeys(name for columns, _, _ in pieces for name in columns))
    for name in every:
        having = [columns for columns, _, _ in pieces if name in columns]
        for columns, column in zip(having, widened([columns[name] for columns in having]), strict=True):
            columns[name] = column
    model = {name: column for columns, _, _ in pieces for name, column in columns.items()}
    tables = []
    for columns, _, order in pieces:
        have = as_table(columns).take(pa.array(order))
        fields = {f.name: f for f in [*have.schema, *_fields(model, have.column_names)]}
        arrays = dict(zip(have.column_names, have.columns, strict=True))
        for name in every:
            if name not in arrays:
                arrays[name] = _nulls(fields[name].type, len(order), model[name])
        tables.append(pa.table([arrays[name] for name in every], schema=pa.schema([fields[name] for name in every])))
    joined = pa.concat_tables(tables, promote_options="permissive")  # more than 2 GB of strings have their own type
    key = np.concatenate([key[order] for _, key, order in pieces])
    return joined.take(pa.array(np.argsort(key, kind="stable"))).combine_chunks()


def _fields(model, but):
    """The fields of a table's columns, without some."""
    without = set(but)
    return as_table({n: replace(c, values=c.values[:0], text=b"") for n, c in model.items() if n not in without}).schema


def _nulls(kind, rows, like):
    """Nulls for rows that have no such column. Those of a factor have its levels."""
    if not like.levels:
        return pa.nulls(rows, kind)
    return as_arrow(replace(nothing(like.kind, rows), form=like.form, levels=like.levels))


def _failed_too(replications, failures, unreadable):
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
