"""A run's table of results, and conversions of tables.

It has a row for each row that a replication returned: condition, replication, the parameters, the outputs. A null means that
this condition has no such column.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import psutil
import pyarrow as pa

from ..errors import StoreError
from ..hints import Words
from ..store.run_folder import RunFolder
from ..sweep.arrow import as_numpy
from ..sweep.conditions import check_key, read_conditions
from ..system.files import writing
from ..worker.forms import durations
from .cache import FIRST, again, cached, in_one_part, unchanging
from .columns import is_number, is_seconds
from .parameter_columns import output_names, repeats, with_columns
from .parts import DamagedPart, Results, write_part

if TYPE_CHECKING:
    import pandas as pd
    from pyarrow.dataset import Dataset

T = TypeVar("T")


def reading(run: RunFolder, use: Callable[[Results], T]) -> T:
    """What `use` makes of the run's results, in parts. Where a file of the cache is damaged, all is made again of the blocks."""
    try:
        return use(cached(run))
    except DamagedPart:
        return use(again(run))


def table(run: RunFolder, copies: int = 1) -> pa.Table:
    """The run's table of results, from its cache. Raises StoreError if so many copies of it do not fit the memory."""

    def whole(found: Results) -> pa.Table:
        if found.whole is None:
            check_memory(
                f"the results of run {run.id}", copies * found.size,
                "run.dataset() in Python and sim_dataset(run) in R read a part at a time, sim_results(run, conditions = 1:10) some "
                "conditions; simferry results -o FILE writes all.",
            )  # fmt: skip
        return found.table()

    return reading(run, whole)


def check_memory(what: str, size: int, hint: Words) -> None:
    """Raises StoreError if so many bytes are not free."""
    room = psutil.virtual_memory().available
    if size > room:
        raise StoreError(f"{what} take {size / 1e9:,.1f} GB of memory, and {room / 1e9:,.1f} GB are free", hint)


def of_conditions(run: RunFolder, conditions: list[Any]) -> pa.Table:
    """The rows of some conditions, in order. Raises UsageError for a condition that the run does not have."""
    for condition in conditions:
        whole = isinstance(condition, float) and condition.is_integer()
        check_key(run, int(condition) if whole else condition, 1)
    wanted = sorted({int(condition) for condition in conditions})
    return reading(run, lambda found: found.of_conditions(wanted))


def parquet_file(run: RunFolder) -> Path:
    """A file with the whole table, in order, which never changes. Raises StoreError where the run's folder can't be written."""
    found = reading(run, lambda found: in_one_part(run, found))
    with writing(run.path, f"Copy the run to another folder: {run.address}"):
        if found.folder is not None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(run.path))
        if not found.parts:
            found = Results(
                found.schema, found.counts, [write_part(run.path / FIRST, found.schema, found.pieces(), 0)[0]]
            )
    return unchanging(found.parts[0].file, found.schema)


def dataset(run: RunFolder) -> "Dataset":
    """The same as a dataset of one file, which stays open: it is what it was when the run grows."""
    import pyarrow.dataset as ds

    found = reading(run, lambda found: in_one_part(run, found))
    if found.whole is not None and not found.parts:
        return ds.dataset(found.whole)
    kind = ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    )
    return ds.FileSystemDataset([kind.make_fragment(part.stream) for part in found.parts], found.schema, kind)


def with_parameters(run: RunFolder, rows: pa.Table, keep: bool = False) -> pa.Table:
    """The rows with the parameters of their condition, as columns after `replication`.

    An output with a parameter's name is left out where it equals the parameter (unless `keep`), else renamed <name>_result.
    """
    design = read_conditions(run)
    names = output_names(rows.column_names, design, lambda name: not keep and repeats(name, [rows], design))
    return with_columns(rows, design, names)


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
        if is_seconds(table, name):
            columns[name] = durations(as_numpy(column, np.nan))
        elif is_number(column.type) and column.null_count == 0:
            columns[name] = _plain(column, name in numbers)
        elif not is_number(column.type) and not pa.types.is_date(column.type):
            columns[name] = column.to_pandas()
        else:
            columns[name] = pd.array(column, dtype=pd.ArrowDtype(column.type))
    return pd.DataFrame(columns, index=range(table.num_rows))


def as_shown(table: pa.Table, numbers: Iterable[str] = ()) -> list[Any]:
    """The columns of `as_pandas`, in order; pandas is loaded only where there are other than numbers without nulls and texts."""
    out: list[Any] = []
    for name in table.column_names:
        column = table[name]
        if is_number(column.type) and column.null_count == 0 and not is_seconds(table, name):
            out.append(_plain(column, name in numbers))
        elif pa.types.is_string(column.type):
            out.append(np.array([*column.to_pylist(), None], dtype=object)[:-1])  # an array of texts, whatever they are
        else:
            out.append(as_pandas(table.select([name]), numbers)[name])
    return out


def _plain(column: pa.ChunkedArray, is_parameter: bool) -> np.ndarray:
    """Numbers without nulls. Of a parameter they are int64 where all are whole."""
    values = as_numpy(column)
    if is_parameter and values.dtype.kind == "f" and (values == np.trunc(values)).all() and (abs(values) < 2**53).all():
        return values.astype("int64")
    return values


def digest(table: pa.Table) -> str:
    """SHA-256 of a table: names, types, and values bit for bit."""
    out = hashlib.sha256()
    out.update(json.dumps([(f.name, str(f.type)) for f in table.schema]).encode())
    for name in table.column_names:
        column = table[name].combine_chunks()
        out.update(np.packbits(column.is_null().to_numpy(zero_copy_only=False)).tobytes())
        if pa.types.is_list(column.type):
            import pyarrow.compute as pc  # takes long to load

            lengths = pc.list_value_length(column).fill_null(-1)
            for part in (lengths, column.flatten()):
                out.update(digest(pa.table({"": part})).encode())
        elif pa.types.is_floating(column.type):
            out.update(as_numpy(column, 0).view("<u8").tobytes())
        else:
            out.update(json.dumps(column.to_pylist(), default=str).encode())
    return out.hexdigest()
