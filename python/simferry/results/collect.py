"""From blocks to one table: what was done, what came out, what failed.

The table has a row for each row that a replication returned: condition, replication, the parameters, the outputs. Doubles
keep every bit (R's NA is the NaN with low word 1954, as in R); a null says that this condition has no such column.
"""

import contextlib
import hashlib
import json
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from .._version import __version__
from ..errors import SimferryError
from ..files import write_whole
from ..store.run_folder import MOST_BYTES, BlockName, RunFolder
from ..sweep.design import TYPES, Design
from ..untrusted import is_plain
from ..worker import blocks
from ..worker.blocks import Column
from . import same_seeds
from .outputs import output_columns

if TYPE_CHECKING:
    import pandas as pd

_ORDER = ("logical", "integer", "double", "string")
_TEXTS = ("message", "call", "traceback")


@dataclass
class Collected:
    """What the blocks of a run hold, sorted by condition and replication, each replication once.

    replications: condition, replication, ok, seconds. results: condition, replication and the outputs. failures: condition,
    replication, message, call, traceback. warnings: condition, replication, message, count.
    """

    replications: pa.Table
    results: pa.Table
    failures: pa.Table
    warnings: pa.Table


def read_blocks(run: RunFolder, mend: bool = True, after: str = "") -> Iterator[tuple[str, blocks.Block]]:
    """The run's blocks that are whole. With `mend`, a damaged one is set aside, with a warning that names it.

    after: only blocks whose names sort behind this one.
    """
    names = {name.name: name for name in run.block_names() if name.name > after}
    for name, content in run.read_blocks(names):
        try:
            block = blocks.decode(content)
            check_block(block, names[name], run.record["conditions"])
        except blocks.DamagedBlock as damage:
            if not mend:
                continue
            try:
                where = f"was moved to {run.set_aside(name)}"
            except SimferryError:  # a run that can be read but not written
                where = f"is left out (it lies in {run.address}/blocks)"
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
    "outputs": {"text": ("string",)},
    "values": {"value": ("raw",)},
}  # of a block's tables, besides condition and replication


def check_block(block: blocks.Block, name: BlockName, conditions: int) -> None:
    """Raises DamagedBlock where it does not hold what its name says, or what a block's tables have to have."""
    for table in block.tables:
        kinds: dict[str, tuple[str, ...]] = {
            "condition": ("integer",),
            "replication": ("integer",),
            **_KINDS.get(table.name, {}),
        }
        if table.name not in _KINDS:  # which nobody reads
            continue
        if table.name == "results":
            kinds |= {output: _ORDER for output in table.columns if output not in kinds}
        for column, kind in kinds.items():
            if column not in table.columns or table.columns[column].kind not in kind:
                raise blocks.DamagedBlock(
                    f"its table {table.name!r} has no column {column!r} of kind {' or '.join(kind)}"
                )
        ids, numbers = table.columns["condition"].values, table.columns["replication"].values
        if table.rows and not (ids.min() >= 1 and ids.max() <= conditions and numbers.min() >= 1):
            raise blocks.DamagedBlock(
                f"conditions or replications in its table {table.name!r} that the run does not have"
            )
    status = block.table("replications")
    if (status.rows, int((status.columns["ok"].values == 0).sum())) != (name.replications, name.failed):
        raise blocks.DamagedBlock("it does not hold the replications that its name tells of")


def done(run: RunFolder, failed: bool = True, plans: Container[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """(conditions, replications) that are in finished blocks; without those that failed, unless `failed`, or one of these
    plans has tried them."""
    if failed:
        status = [block.table("replications") for _, block in read_blocks(run)]
        table = _replications(status, _kept(status))
        return table["condition"].to_numpy(), table["replication"].to_numpy()
    read = dict(read_blocks(run))
    table = _collected(run, list(read.values())).replications  # which knows of results files that can't be read
    table = table.filter(table["ok"])
    found = [(table["condition"].to_numpy(), table["replication"].to_numpy())]
    for name in run.block_names():
        if name.plan in plans and name.name in read:
            columns = read[name.name].table("replications").columns
            found.append((columns["condition"].values, columns["replication"].values))
    keys = np.unique(np.concatenate([c.astype(np.int64) << 32 | r.astype(np.int64) for c, r in found]))
    return keys >> 32, keys & 0xFFFFFFFF


def collect(run: RunFolder) -> Collected:
    """Everything that the blocks of a run hold."""
    return _collected(run, [block for _, block in read_blocks(run)])


def _collected(run: RunFolder, read: list[blocks.Block]) -> Collected:
    status: list[blocks.Table] = [block.table("replications") for block in read]
    kept = _kept(status)
    parts: dict[str, list[tuple[int, blocks.Table]]] = {"results": [], "failures": [], "warnings": [], "outputs": []}
    seeds = [table for block in read for table in block.tables if table.name == "seeds"]
    for number, block in enumerate(read):
        for table in block.tables:
            if table.name in parts and table.rows:
                parts[table.name].append((number, table))
    replications = _replications(status, kept)
    results = parts["results"]
    unreadable: list[tuple[int, int, int, str]] = []
    if parts["outputs"]:
        more, unreadable = output_columns(parts["outputs"], run.record["simulation"]["results_file"])
        results = results + more
    failures = _assemble(parts["failures"], kept, {name: "string" for name in _TEXTS})
    at = np.array([row[:3] for row in unreadable], dtype=np.int64).reshape(-1, 3)
    gone = _left_out(at[:, 1] << 32 | at[:, 2], at[:, 0], kept)
    unreadable = [row for row, left_out in zip(unreadable, gone.tolist(), strict=True) if not left_out]
    if unreadable:
        replications, failures = _failed_too(replications, failures, unreadable)
    return Collected(
        replications,
        _assemble(results, kept, {}).replace_schema_metadata(same_seeds.found(seeds)),
        failures,
        _assemble(parts["warnings"], kept, {"message": "string", "count": "integer"}),
    )


def table(run: RunFolder) -> pa.Table:
    """The run's one table. Kept in results.parquet, and read from there as long as no block has come since."""
    import pyarrow.parquet as pq

    path = run.path / "results.parquet"
    with contextlib.suppress(OSError, pa.ArrowException, ValueError):
        if not is_plain(path, MOST_BYTES):
            raise FileNotFoundError(path)
        schema = pq.read_schema(path)
        known = (schema.metadata or {}).get(b"simferry.blocks") == _key(b.name for b in run.block_names())
        if known and _is_results(schema, run.record["parameters"]):
            return pq.read_table(path, page_checksum_verification=True)
    read = dict(read_blocks(run))
    out = with_parameters(run, _collected(run, list(read.values())).results)
    known = {b"simferry.run": run.id.encode(), b"simferry.blocks": _key(read)}
    out = out.replace_schema_metadata({**(out.schema.metadata or {}), **known})
    with contextlib.suppress(OSError):  # it is a cache: a run that can be read but not written is read from its blocks
        sink = pa.BufferOutputStream()
        pq.write_table(out, sink, write_page_checksum=True)
        write_whole(path, sink.getvalue().to_pybytes())
    return out


def _is_results(schema: pa.Schema, parameters: Mapping[str, str]) -> bool:
    """Whether a table has what those of this run have: a store's files are anybody's."""
    kinds = [pa.int32(), pa.int32(), *(TYPES[kind] for kind in parameters.values())]
    expected = list(zip(["condition", "replication", *parameters], kinds, strict=True))
    outputs = {*_TYPES.values(), pa.large_string()}
    return [(f.name, f.type) for f in schema][: len(expected)] == expected and all(
        f.type in outputs for f in list(schema)[len(expected) :]
    )


def _key(names: Iterable[str]) -> bytes:
    """What results.parquet was made of: these blocks, by this version."""
    return hashlib.sha256("\n".join([__version__, *names]).encode()).hexdigest().encode()


def with_parameters(run: RunFolder, rows: pa.Table, keep: bool = False) -> pa.Table:
    """Rows that have a `condition`, with the condition's parameters after the replication.

    An output of a parameter's name is left out where it repeats the parameter (unless `keep`), else it is called
    <name>_result.
    """
    design = run.conditions()
    at = pa.array(rows["condition"].to_numpy() - 1)
    parameters = {name: design.table[name].take(at) for name in design.names}
    for name in design.names:
        if name in rows.column_names:
            if not keep and _repeats(rows[name], parameters[name]):
                rows = rows.drop_columns([name])
            else:
                rows = rows.rename_columns([_free(name, rows, design) if n == name else n for n in rows.column_names])
    for i, (name, values) in enumerate(parameters.items()):
        rows = rows.add_column(2 + i, name, values)
    return rows


def _repeats(output: pa.ChunkedArray, parameter: pa.ChunkedArray) -> bool:
    """Whether an output says nothing but the parameter's value."""
    if output.type == parameter.type:
        return bool(output.equals(parameter))
    if {output.type, parameter.type} == {pa.int32(), pa.float64()}:
        return bool(output.cast(pa.float64()).equals(parameter.cast(pa.float64())))
    return False


def _free(name: str, rows: pa.Table, design: Design) -> str:
    """A name for an output that a parameter has taken the name of."""
    name += "_result"
    while name in rows.column_names or name in design.types:
        name += "_result"
    return name


def as_pandas(table: pa.Table, numbers: Iterable[str] = ()) -> "pd.DataFrame":
    """A pandas.DataFrame; columns with nulls get Arrow's own types, where a null is not a NaN.

    numbers: parameters that become int64 columns where all of their values are whole.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_int32(column.type):  # R's integers; in pandas a product of two would overflow without a word
            column = column.cast(pa.int64())
        if column.null_count == 0 and not pa.types.is_string(column.type):
            values = column.to_numpy()
            whole = name in numbers and values.dtype.kind == "f" and (values == np.trunc(values)).all()
            columns[name] = values.astype("int64") if whole and (abs(values) < 2**53).all() else values
        elif column.null_count == 0 or pa.types.is_string(column.type):
            columns[name] = column.to_pandas()
        else:
            columns[name] = pd.array(column, dtype=pd.ArrowDtype(column.type))
    return pd.DataFrame(columns, index=range(table.num_rows))


# ---- putting columns of many blocks together ----


def _kept(status: list[blocks.Table]) -> np.ndarray | None:
    """Where a replication was computed twice: a sorted array of (condition, replication, block) to leave out; else None."""
    if not status:
        return None
    condition, replication = (_joined(status, name) for name in ("condition", "replication"))
    key = condition.astype(np.int64) << 32 | replication.astype(np.int64)
    in_order = np.sort(key)
    if (in_order[1:] != in_order[:-1]).all():
        return None
    ok = _joined(status, "ok")
    block = np.repeat(np.arange(len(status)), [t.rows for t in status])
    order = np.lexsort((block, ok, key))  # the last of each key is kept: a success, if any, of the latest plan
    last = np.r_[key[order][1:] != key[order][:-1], True]
    out = order[~last]
    return np.stack([key[out], block[out]])


def _left_out(key: np.ndarray, block: np.ndarray, dropped: np.ndarray | None) -> np.ndarray:
    if dropped is None:
        return np.zeros(len(key), dtype=bool)
    gone = set(zip(dropped[0].tolist(), dropped[1].tolist(), strict=True))
    suspicious = np.isin(key, dropped[0])
    out = np.zeros(len(key), dtype=bool)
    at = np.flatnonzero(suspicious)
    out[at] = [pair in gone for pair in zip(key[at].tolist(), block[at].tolist(), strict=True)]
    return out


def _joined(tables: Iterable[blocks.Table], name: str) -> np.ndarray:
    return np.concatenate([t.columns[name].values for t in tables])


def _replications(status: list[blocks.Table], dropped: np.ndarray | None) -> pa.Table:
    kinds = {"ok": "logical", "seconds": "double"}
    return _assemble([(i, t) for i, t in enumerate(status)], dropped, kinds)


def _assemble(parts: list[tuple[int, blocks.Table]], dropped: np.ndarray | None, kinds: dict[str, str]) -> pa.Table:
    """One table out of those of many blocks. kinds: columns that are there even when no block has them."""
    groups: dict[tuple[str, ...], list[tuple[int, blocks.Table]]] = {}
    for number, part in parts:
        groups.setdefault(tuple(part.columns), []).append((number, part))
    if not groups:
        nothing = Column("integer", np.empty(0, dtype="<i4"))
        empty = {"condition": _arrow(nothing), "replication": _arrow(nothing)}
        for name, kind in kinds.items():
            empty[name] = _arrow(Column(kind, np.empty(0, dtype="<f8" if kind == "double" else "<i4")))
        return pa.table(empty)
    pieces = []
    for names, members in groups.items():
        columns = {name: _unified([t.columns[name] for _, t in members]) for name in names}
        condition, replication = columns["condition"].values, columns["replication"].values
        block = np.repeat([number for number, _ in members], [t.rows for _, t in members])
        key = condition.astype(np.int64) << 32 | replication.astype(np.int64)
        order = np.argsort(key, kind="stable")
        if dropped is not None:
            order = order[~_left_out(key[order], block[order], dropped)]
        pieces.append((columns, key, order))
    pieces = [piece for piece in pieces if len(piece[2])] or pieces[:1]
    if len(pieces) == 1:
        columns, _, order = pieces[0]
        in_order = len(order) == len(pieces[0][1]) and bool((order[1:] > order[:-1]).all())
        arrays = {name: _arrow(column) for name, column in columns.items()}
        return pa.table(arrays if in_order else {name: a.take(pa.array(order)) for name, a in arrays.items()})
    # different columns in different conditions: those that a condition does not have are null there
    pieces.sort(key=lambda piece: int(piece[1][piece[2][0]]) if len(piece[2]) else 0)
    every = list(dict.fromkeys(name for columns, _, _ in pieces for name in columns))
    widest = {name: max((c[name].kind for c, _, _ in pieces if name in c), key=_ORDER.index) for name in every}
    tables = []
    for columns, _, order in pieces:
        at = pa.array(order)
        have = {name: _arrow(_as(column, widest[name])).take(at) for name, column in columns.items()}
        nulls = {name: pa.nulls(len(order), _TYPES[widest[name]]) for name in every if name not in have}
        tables.append(pa.table({name: {**have, **nulls}[name] for name in every}))
    joined = pa.concat_tables(tables, promote_options="permissive")  # strings of over 2 GB are of a type of their own
    key = np.concatenate([key[order] for _, key, order in pieces])
    return joined.take(pa.array(np.argsort(key, kind="stable"))).combine_chunks()


_TYPES = {"double": pa.float64(), "integer": pa.int32(), "logical": pa.bool_(), "string": pa.string()}


def _unified(columns: list[Column]) -> Column:
    """Columns of several blocks as one, of the narrowest kind that holds them all."""
    kind = max((c.kind for c in columns), key=_ORDER.index)
    columns = [_as(c, kind) for c in columns]
    return Column(kind, np.concatenate([c.values for c in columns]), b"".join(c.text for c in columns))


def _as(column: Column, kind: str) -> Column:
    if column.kind == kind:
        return column
    if kind == "string":
        given = _arrow(column).to_pylist()
        if column.kind == "double":
            missing = np.isnan(column.values) & (column.values.view("<u4")[::2] == 1954)  # R's NA
            given = [None if na else v for na, v in zip(missing.tolist(), given, strict=True)]
        return blocks.strings([None if v is None else blocks.as_text(v) for v in given])
    if kind == "double":
        values = column.values.astype("<f8")
        values[column.values == blocks.NA_INTEGER] = blocks.NA_DOUBLE
        return Column(kind, values)
    return Column(kind, column.values)


def _arrow(column: Column) -> pa.Array:
    values = column.values
    if column.kind == "double":
        return pa.array(values)
    if column.kind == "string":
        try:
            column.text.decode()
        except UnicodeDecodeError:
            return _arrow(blocks.strings(column.strings()))
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
    """A table of a block as it is."""
    return pa.table({name: _arrow(column) for name, column in table.columns.items()})


def _validity(valid: np.ndarray) -> pa.Buffer | None:
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())


def _failed_too(
    replications: pa.Table, failures: pa.Table, unreadable: list[tuple[int, int, int, str]]
) -> tuple[pa.Table, pa.Table]:
    """Replications whose results file can't be read have failed, though their script did not know it."""
    keys = {(c, r) for _, c, r, _ in unreadable}
    pairs = zip(replications["condition"].to_pylist(), replications["replication"].to_pylist(), strict=True)
    ok = [bool(good) and pair not in keys for good, pair in zip(replications["ok"].to_pylist(), pairs, strict=True)]
    replications = replications.set_column(2, "ok", pa.array(ok, pa.bool_()))
    _, c, r, message = zip(*unreadable, strict=True)
    more = {"condition": pa.array(c, pa.int32()), "replication": pa.array(r, pa.int32()), "message": pa.array(message)}
    more |= {name: pa.array([""] * len(c)) for name in ("call", "traceback")}
    failures = pa.concat_tables([failures, pa.table(more)], promote_options="permissive")
    return replications, failures.sort_by([("condition", "ascending"), ("replication", "ascending")])


def digest(table: pa.Table) -> str:
    """SHA-256 over every bit of a table: names, types, and each value with its missing ones."""
    out = hashlib.sha256()
    out.update(json.dumps([(f.name, str(f.type)) for f in table.schema]).encode())
    for name in table.column_names:
        column = table[name].combine_chunks()
        out.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_floating(column.type):
            out.update(column.fill_null(0).to_numpy().view("<u8").tobytes())
        else:
            out.update(json.dumps(column.to_pylist()).encode())
    return out.hexdigest()
