"""This checkout's simferry beside an earlier one's, in turns.

    git worktree add ../before COMMIT; make -C ../before setup
    python benchmarks/before.py ../before ttest numpy foreach

Both run their own benchmarks; the figures are simferry's, medians over the turns, with the least in brackets.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent


def figures(checkout: Path, name: str) -> dict[tuple[str, str], float]:
    """simferry's figure of each row of a benchmark, by its name and unit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "out.json")
        command = [
            checkout / ".venv/bin/python",
            checkout / "benchmarks/run.py",
            name,
            "--repeats",
            "1",
            "--json",
            path,
        ]
        subprocess.run(command, stdout=subprocess.DEVNULL, cwd=checkout)  # 1: a bar was missed
        rows = json.loads(path.read_text())
    return {(row["name"], row["unit"]): statistics.median(row["simferry_figures"]) for row in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the earlier checkout")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--turns", type=int, default=5, metavar="N")
    options = parser.parse_args()
    for name in options.names:
        before, now = [], []
        for _ in range(options.turns):
            before.append(figures(options.before.resolve(), name))
            now.append(figures(HERE, name))
        for row in now[0]:
            old, new = ([turn[row] for turn in side if row in turn] for side in (before, now))
            if old and statistics.median(old):
                ratio = statistics.median(new) / statistics.median(old)
                shown = [f"{statistics.median(side):.3f} ({min(side):.3f}) {row[1]}" for side in (old, new)]
                print(f"{row[0]:20} before {shown[0]:24} now {shown[1]:24} ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
