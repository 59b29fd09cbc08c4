"""All measures of two methods, with quantiles and jackknife, of 10,000,000 rows in 1,000 blocks: time beside that of reading and unpacking
the blocks, and memory. First with what `results` makes of the blocks, then with what is kept of that.

python benchmarks/measures_large.py --rows 100_000_000       in 10,000 blocks: 8 GB of disk, half an hour
"""

import argparse
from pathlib import Path
from typing import Any

from collect_large import ROWS, ROWS_OF_A_BLOCK, make_large_run
from timing import PYTHON, Row, fresh_folder, in_turn, run_process, run_simferry

MOST_BYTES = 2_000_000_000  # of memory
ROLES = ("--estimate", "est", "--truth", "0", "--se", "se", "--by", "method", "--quantiles", "0.1,0.9")
READ = """
import sys
import simferry as sf
from simferry.results.read import read_blocks
print(sum(block.table("results").rows for _, block in read_blocks(sf.open(sys.argv[1])._folder)))
"""


def estimates(rng: Any, ids: dict[str, Any]) -> dict[str, Any]:
    """Two rows of each replication, one of each method."""
    import numpy as np
    from simferry.worker import blocks

    ids = {name: blocks.numbers("integer", np.repeat(column.values, 2)) for name, column in ids.items()}
    est, se = rng.standard_normal(ROWS_OF_A_BLOCK), np.sqrt(rng.chisquare(20, ROWS_OF_A_BLOCK) / 20)
    values = {"est": blocks.numbers("double", est), "se": blocks.numbers("double", se)}
    return ids | {"method": blocks.strings(["CC", "MI"] * (ROWS_OF_A_BLOCK // 2))} | values


def benchmark(repeats: int, rows: int = ROWS) -> list[Row]:
    memory: list[float] = []
    with fresh_folder() as name:
        run = make_large_run(Path(name, "store"), rows, ROWS_OF_A_BLOCK // 2, estimates)

        def measured() -> float:
            taken = run_simferry("measures", run, *ROLES)
            memory.append(taken.peak_bytes)
            return taken.seconds

        def from_blocks() -> float:
            for path in run.glob("results*"):
                path.unlink()
            return measured()

        sides = {
            "reading": lambda: run_process([PYTHON, "-c", READ, run]).seconds,
            "from blocks": from_blocks,
            "again": measured,
        }
        taken = in_turn(repeats, sides)
    limits = {"from blocks": "1.5 x reading", "again": "1.5 x reading"}
    return [
        *(
            Row(f"measures {side}", "s", "reading", taken["reading"], taken[side], bar, lambda peer, ours: ours <= 1.5 * peer)
            for side, bar in limits.items()
        ),
        Row("their memory", "MB", "", [], [size / 1e6 for size in memory], "under 2,000 MB", lambda _, ours: ours * 1e6 < MOST_BYTES),
    ]  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    for row in benchmark(given.repeats, given.rows):
        peer = f"{row.peer_name} {row.peer_median:.2f}, " if row.peer else ""
        print(f"{row.name}: {peer}simferry {row.simferry_median:.2f} {row.unit}, bar {row.bar}, met {row.met}")
