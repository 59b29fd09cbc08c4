"""All measures of 1,000,000 rows (100 conditions, 3 methods) in memory, beside rsimsum-like R code with data.table, and pandas.

Only simferry has jackknife standard errors; the peers have the published formulas.
"""

from pathlib import Path

from timing import PEERS, PYTHON, Row, fresh_folder, in_turn, run_process

ROWS, CONDITIONS, METHODS = 999_900, 100, 3

MAKE = f"""
import numpy as np, pyarrow as pa, pyarrow.csv, pyarrow.parquet as pq, sys
rng = np.random.default_rng(1)
each = {ROWS} // ({CONDITIONS} * {METHODS})
table = pa.table({{
    "condition": np.repeat(np.arange(1, {CONDITIONS} + 1), each * {METHODS}),
    "replication": np.tile(np.repeat(np.arange(1, each + 1), {METHODS}), {CONDITIONS}),
    "method": np.array(["a", "b", "c"])[np.tile(np.arange({METHODS}), {ROWS} // {METHODS})],
    "b": rng.normal(0.5, 1, {ROWS}), "se": np.sqrt(rng.chisquare(20, {ROWS}) / 20),
}})
pq.write_table(table, sys.argv[1])
pyarrow.csv.write_csv(table, sys.argv[2])
"""

OURS = """
import sys, time
import pyarrow.parquet as pq
import simferry as sf
table = pq.read_table(sys.argv[1])
sf.measures(table.slice(0, 300), estimate="b", truth=0.5, se="se", by="method")  # loads what it needs
begin = time.perf_counter()
sf.measures(table, estimate="b", truth=0.5, se="se", by="method")
print(time.perf_counter() - begin)
"""


def benchmark(repeats: int) -> list[Row]:
    """Seconds after reading, which each side prints."""
    with fresh_folder() as folder:
        parquet, text = Path(folder) / "rows.parquet", Path(folder) / "rows.csv"
        run_process([PYTHON, "-c", MAKE, parquet, text])

        def seconds(*command: str | Path) -> float:
            return float(run_process(command).printed.split()[-1])

        found = in_turn(
            repeats,
            {
                "pandas": lambda: seconds(PYTHON, PEERS / "measures_pandas.py", text),
                "data.table": lambda: seconds("Rscript", "--vanilla", PEERS / "measures_datatable.R", text),
                "simferry": lambda: seconds(PYTHON, "-c", OURS, parquet),
            },
        )
    name = "measures of 10^6"
    return [
        Row(name, "s", peer, found[peer], found["simferry"], "1 s", lambda _, ours: ours <= 1)
        for peer in ("data.table", "pandas")
    ]
