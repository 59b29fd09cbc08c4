"""Writes and reads the design of a run: conditions.csv in the run folder, and the rows that plans add to it."""

from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from ..errors import StoreError, UsageError
from ..store.run_folder import MOST_BYTES, RunFolder
from ..system import untrusted
from ..system.files import write_whole, writing
from .arrow import as_numpy
from .design import Design
from .lists import as_texts
from .parameters import SINGLE, read_csv


def write_conditions(run: RunFolder, design: Design) -> None:
    """Write conditions.csv: a row for each condition, its number (from 1) and its parameters."""
    with writing(run.path):
        write_whole(run.path / "conditions.csv", _written(design, 1))


def _written(design: Design, first: int, header: bool = True) -> bytes:
    """The rows of conditions, whose numbers begin with `first`."""
    table, numbers = as_texts(design.table), np.arange(first, first + len(design), dtype="<i4")
    ids = pa.Array.from_buffers(pa.int32(), len(numbers), [None, pa.py_buffer(numbers)])
    table = table.add_column(0, "condition", ids) if table.num_columns else pa.table({"condition": ids})
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(include_header=header))
    return bytes(sink.getvalue())


def rows_to_add(run: RunFolder, design: Design) -> list[str]:
    """The conditions of a design as a plan adds them to the run's, which has none of them (see PlanRecord.added)."""
    each = (design.rows(np.array([i])) for i in range(len(design)))
    return [_written(one, run.conditions + 1 + i, header=False).decode() for i, one in enumerate(each)]


def read_conditions(run: RunFolder) -> Design:
    """The design of a run, with what plans have added to it. Raises StoreError if it can't be read or does not agree with run.json."""
    path, types = run.bring_conditions(), run.record.parameters
    columns = {"condition": "int32", **{name: SINGLE.get(kind, pa.string()) for name, kind in types.items()}}
    try:
        if not untrusted.is_plain(path, MOST_BYTES):
            raise ValueError("it is not a plain file, or too large")
        table = read_csv(path, types=columns, missing=[""])
        if wrong := next((name for name in types if name not in table.column_names), None):
            raise ValueError(f"it has no column {wrong!r}")
        design = Design({name: table[name] for name in types}, types, known_distinct=True)
    except Exception as error:
        raise StoreError(f"{path} can't be read: {error}") from None
    if table.num_rows != run.record.conditions:
        raise StoreError(f"{path} has {table.num_rows} rows where run.json says {run.record.conditions}")
    return design if run.conditions == len(design) else joined(design, _added(run, columns))


def _added(run: RunFolder, columns: dict[str, Any]) -> Design:
    """The conditions that plans have added."""
    first, types = run.record.conditions + 1, run.record.parameters
    rows = [row for plan in run.plans() for row in plan.added][: run.conditions + 1 - first]
    try:
        table = read_csv("".join(rows).encode(), types=columns, missing=[""], names=[*columns])
        if as_numpy(table["condition"], 0).tolist() != [*range(first, first + len(rows))]:
            raise ValueError("the numbers of conditions do not follow each other")
        return Design({name: table[name] for name in types}, types, known_distinct=True)
    except Exception as error:
        raise StoreError(f"the conditions that the plans of run {run.id} add can't be read: {error}") from None


def joined(design: Design, more: Design) -> Design:
    """The conditions of two designs with the same parameters."""
    both = pa.concat_tables([design.table, more.table])
    return Design({name: both[name] for name in design.types}, design.types, known_distinct=True)


def check_key(run: RunFolder, condition: int, replication: int) -> None:
    """Raises UsageError unless both are whole numbers from 1, and the run has such a condition."""
    for name, value in (("condition", condition), ("replication", replication)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value < 2**31:
            raise UsageError(f"{name} is {value!r}; it has to be a whole number from 1 to 2147483647")
    if condition > run.conditions:
        run.look()  # it may have grown
    if condition > run.conditions:
        raise UsageError(f"run {run.id} has conditions 1 to {run.conditions}, not {condition}")
