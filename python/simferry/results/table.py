"""A run's table of results, which results.parquet caches, and conversions of tables.

It has a row for each row that a replication returned: condition, replication, the parameters, the outputs. A null means that
this condition has no such column.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._version import __version__
from ..store.run_folder import MOST_BYTES, RunFolder
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from ..sweep.parameters import TYPES
from ..system.files import write_whole
from ..system.untrusted import is_plain
from ..worker.forms import durations
from .collect import gathered
from .columns import is_of_results, is_seconds

if TYPE_CHECKING:
    import pandas as pd


def table(run: RunFolder) -> pa.Table:
    """The run's table of results, from results.parquet if that was made of the same blocks."""
    import pyarrow.parquet as pq

    path = run.path / "results.parquet"
    with contextlib.suppress(OSError, pa.ArrowException, ValueError):
        if not is_plain(path, MOST_BYTES):
            raise FileNotFoundError(path)
        schema = pq.read_schema(path)
        known = (schema.metadata or {}).get(b"simferry.blocks") == _key(b.name for b in run.block_names())
        if known and _is_results(schema, run.record.parameters):
            return pq.read_table(path, page_checksum_verification=True)
    with gathered(run) as found:
        results = found.table("results").replace_schema_metadata(found.metadata(found.table("objects")))
        read = found.names
    out = with_parameters(run, results)
    if out.num_columns > max(1000, out.num_rows):  # Parquet reads such a table more slowly than the blocks are read
        return out
    known = {b"simferry.run": run.id.encode(), b"simferry.blocks": _key(read)}
    out = out.replace_schema_metadata({**(out.schema.metadata or {}), **known})
    with contextlib.suppress(OSError):  # only a cache: the run may be read-only
        sink = pa.BufferOutputStream()
        pq.write_table(out, sink, write_page_checksum=True)
        write_whole(path, sink.getvalue().to_pybytes())
    return out


def _is_results(schema: pa.Schema, parameters: Mapping[str, str]) -> bool:
    """Whether a table has the columns of this run's: others may write to the store."""
    kinds = [pa.int32(), pa.int32(), *(TYPES[kind] for kind in parameters.values())]
    expected = list(zip(["condition", "replication", *parameters], kinds, strict=True))
    return [(f.name, f.type) for f in schema][: len(expected)] == expected and all(
        is_of_results(f.type) for f in list(schema)[len(expected) :]
    )


def _key(names: Iterable[str]) -> bytes:
    """A hash of what results.parquet is made from: these blocks, and this version of simferry."""
    return hashlib.sha256("\n".join([__version__, *names]).encode()).hexdigest().encode()


def with_parameters(run: RunFolder, rows: pa.Table, keep: bool = False) -> pa.Table:
    """The rows with the parameters of their condition, as columns after `replication`.

    An output with a parameter's name is left out where it equals the parameter (unless `keep`), else renamed <name>_result.
    """
    design = read_conditions(run)
    at = pa.array(rows["condition"].to_numpy() - 1)
    parameters = {name: design.table[name].take(at) for name in design.names}
    metadata = rows.schema.metadata  # which rename_columns() drops
    for name in design.names:
        if name in rows.column_names:
            if not keep and _repeats(rows[name], parameters[name]):
                rows = rows.drop_columns([name])
            else:
                rows = rows.rename_columns([_free(name, rows, design) if n == name else n for n in rows.column_names])
    for i, (name, values) in enumerate(parameters.items()):
        rows = rows.add_column(2 + i, name, values)
    return rows.replace_schema_metadata(metadata)


def with_own_paths(run: RunFolder, failures: pa.Table) -> pa.Table:
    """Failures whose tracebacks name the files of the user's, where these are still there, instead of the run's copies."""
    path = run.record.simulation.get("path")
    if not isinstance(path, str) or "traceback" not in failures.column_names:
        return failures
    folder = Path(path).parent

    def located(found: re.Match[str]) -> str:
        own = folder / found[1]
        return f'File "{own}"' if own.is_file() else found[0]

    at = failures.column_names.index("traceback")
    texts = [text and re.sub(r'File "([^"/<][^"]*)"', located, text) for text in failures["traceback"].to_pylist()]
    return failures.set_column(at, "traceback", pa.array(texts, failures["traceback"].type))


def _repeats(output: pa.ChunkedArray, parameter: pa.ChunkedArray) -> bool:
    """Whether an output equals the parameter in every row."""
    if output.type == parameter.type:
        return bool(output.equals(parameter))
    if {output.type, parameter.type} == {pa.int32(), pa.float64()}:
        return bool(output.cast(pa.float64()).equals(parameter.cast(pa.float64())))
    return False


def _free(name: str, rows: pa.Table, design: Design) -> str:
    """A new name for an output that has a parameter's name."""
    name += "_result"
    while name in rows.column_names or name in design.types:
        name += "_result"
    return name


def as_pandas(table: pa.Table, numbers: Iterable[str] = ()) -> "pd.DataFrame":
    """A pandas.DataFrame; columns with nulls have Arrow's types, where null is not NaN.

    numbers: parameters that become int64 columns where all of their values are whole.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_int32(column.type):  # in pandas, products of int32 overflow silently
            column = column.cast(pa.int64())
        plain = (
            pa.types.is_boolean(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        )
        if is_seconds(table, name):
            columns[name] = durations(column.fill_null(np.nan).to_numpy())
        elif plain and column.null_count == 0:
            values = column.to_numpy()
            whole = name in numbers and values.dtype.kind == "f" and (values == np.trunc(values)).all()
            columns[name] = values.astype("int64") if whole and (abs(values) < 2**53).all() else values
        elif not plain and not pa.types.is_date(column.type):
            columns[name] = column.to_pandas()
        else:
            columns[name] = pd.array(column, dtype=pd.ArrowDtype(column.type))
    return pd.DataFrame(columns, index=range(table.num_rows))


def digest(table: pa.Table) -> str:
    """SHA-256 of a table: names, types, and values bit for bit."""
    out = hashlib.sha256()
    out.update(json.dumps([(f.name, str(f.type)) for f in table.schema]).encode())
    for name in table.column_names:
        column = table[name].combine_chunks()
        out.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_list(column.type):
            lengths = pc.list_value_length(column).fill_null(-1)
            for part in (lengths, column.flatten()):
                out.update(digest(pa.table({"": part})).encode())
        elif pa.types.is_floating(column.type):
            out.update(column.fill_null(0).to_numpy().view("<u8").tobytes())
        else:
            out.update(json.dumps(column.to_pylist(), default=str).encode())
    return out.hexdigest()
