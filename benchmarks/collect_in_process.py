"""python collect_in_process.py RUN ROWS: seconds to collect a run, and again after one more block, where pyarrow is loaded."""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
from simferry.verbs import runs
from simferry.worker import blocks


def collect(run: Path, rows: int) -> float:
    found = runs.open(run)
    begin = time.perf_counter()
    table: pyarrow.Table = found.results_table()
    seconds = time.perf_counter() - begin
    assert table.num_rows == rows, table.num_rows
    return seconds


def add_block(run: Path) -> tuple[Path, int]:
    """One more block of a later plan, with replications that no other block has."""
    last = sorted((run / "blocks").iterdir())[-1]
    block = blocks.decode(last.read_bytes())
    for table in block.tables:
        for name, values in (("condition", np.full(table.rows, 7)), ("replication", 10**6 + np.arange(table.rows))):
            table.columns[name] = blocks.numbers("integer", values)
    rows = block.table("replications").rows
    path = last.with_name(f"0002-0001-1-01.000001-r{rows}-f0")
    path.write_bytes(blocks.encode(block))
    return path, rows


run, rows = Path(sys.argv[1]), int(sys.argv[2])
first = collect(run, rows)
path, more = add_block(run)
again = collect(run, rows + more)
path.unlink()
print(first, again)
