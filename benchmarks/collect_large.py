"""Rows of 6 doubles from blocks to one Parquet file, in bounded memory, beside `gzip -dc` of the same blocks on all cores.

python benchmarks/collect_large.py                          10,000,000 rows in 1,000 blocks
python benchmarks/collect_large.py --rows 100_000_000       in 10,000 blocks: 12 GB of disk, a quarter of an hour
"""

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from collect import make_run
from timing import Row, fresh_folder, in_turn, must_be_equal, rows_of_parquet, run_process, run_simferry, tell

ROWS = 10_000_000
ROWS_OF_A_BLOCK = 10_000
CONDITIONS = 100
Results = Callable[[Any, dict[str, Any]], dict[str, Any]]
MOST_BYTES = 1_500_000_000  # of memory


def numbers(rng: Any, ids: dict[str, Any]) -> dict[str, Any]:
    """Results of some replications: a row each, of 6 doubles."""
    from simferry.worker import blocks

    return ids | {f"x{i}": blocks.numbers("double", rng.standard_normal(ROWS_OF_A_BLOCK)) for i in range(1, 7)}


def make_large_run(store: Path, rows: int, each: int = ROWS_OF_A_BLOCK, results: Results = numbers) -> Path:
    """A finished run of so many rows. Each block has replications of every condition, as those of a long run have.

    each: replications of a block. results: the columns of their results, of a random number generator and their ids."""
    import numpy as np
    from simferry.worker import blocks

    run = make_run(store, 1, CONDITIONS)
    (template,) = (run / "blocks").iterdir()
    facts = blocks.decode(template.read_bytes()).facts
    template.unlink()
    number_of_blocks = rows // ROWS_OF_A_BLOCK
    for path in (run / "run.json", *run.glob("plan/*/plan.json")):
        written = json.loads(path.read_text())
        written["replications"] = number_of_blocks * each // CONDITIONS
        path.write_text(json.dumps(written))
    rng, many = np.random.default_rng(1), each // CONDITIONS
    for number in range(number_of_blocks):
        tell(f"collect large: block {number}")
        ids = {
            "condition": blocks.numbers("integer", np.repeat(np.arange(1, CONDITIONS + 1), many)),
            "replication": blocks.numbers("integer", np.tile(number * many + np.arange(1, many + 1), CONDITIONS)),
        }
        ok = blocks.numbers("logical", np.ones(each))
        status = {"ok": ok, "seconds": blocks.numbers("double", rng.random(each) / 1e4)}
        tables = [
            blocks.Table("replications", each, ids | status),
            blocks.Table("results", ROWS_OF_A_BLOCK, results(rng, ids)),
        ]
        name = f"0001-0001-1-01.{number + 1:06d}-r{each}-f0"
        (run / "blocks" / name).write_bytes(blocks.encode(blocks.Block(facts, tables)))
    return run


def gzip(run: Path) -> float:
    """All blocks through `gzip -dc`, as many processes as there are cores."""
    files = "\n".join(str(file) for file in sorted((run / "blocks").iterdir()))
    (run.parent / "files").write_text(files)
    command = f"xargs -P {os.cpu_count()} -n 50 gzip -dc < {run.parent / 'files'} > /dev/null"
    return run_process(["sh", "-c", command]).seconds


def simferry(run: Path, rows: int, memory: list[float]) -> float:
    for path in run.glob("results*"):
        path.unlink()
    table = run.parent.parent / "out.parquet"
    taken = run_simferry("results", run, "-o", table)
    must_be_equal("rows of the blocks", rows_of_parquet(table), rows)
    table.unlink()
    memory.append(taken.peak_bytes)
    return taken.seconds


def benchmark(repeats: int, rows: int = ROWS) -> list[Row]:
    memory: list[float] = []
    with fresh_folder() as name:
        run = make_large_run(Path(name, "store"), rows)
        taken = in_turn(
            repeats, {"gzip -dc": lambda: gzip(run), "collect large: simferry": lambda: simferry(run, rows, memory)}
        )
        shutil.rmtree(run / "blocks")
    return [
        Row(
            "collect large",
            "s",
            "gzip -dc",
            taken["gzip -dc"],
            taken["collect large: simferry"],
            "0.6 x gzip's rate",
            lambda peer, ours: ours <= peer / 0.6,
        ),
        Row(
            "its memory",
            "MB",
            "",
            [],
            [size / 1e6 for size in memory],
            "under 1,500 MB",
            lambda _, ours: ours * 1e6 < MOST_BYTES,
        ),
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    for row in benchmark(given.repeats, given.rows):
        peer = f"{row.peer_name} {row.peer_median:.2f}, " if row.peer else ""
        print(f"{row.name}: {peer}simferry {row.simferry_median:.2f} {row.unit}, bar {row.bar}, met {row.met}")
