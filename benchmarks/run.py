"""simferry and its peers, measured side by side.

    python benchmarks/run.py                    all of them: about a quarter of an hour on two cores
    python benchmarks/run.py ttest numpy        some of them
    python benchmarks/run.py --json out.json    every figure, for programs

Figures are medians over the repeats; the sides take turns. Exit code 1 when a bar is missed.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import batch
import collect
import collect_large
import collect_s3
import conditions
import foreach
import help
import list_runs
import measures
import measures_large
import memory
import mixture
import numpy_batches
import plan
import r_session
import replication
import sagemaker_jobs
import serve
import start
import ttest
import wide
from timing import SIMFERRY, Row

import containers

BENCHMARKS: dict[str, Callable[[int], list[Row]]] = {
    "start": start.benchmark,
    "ttest": ttest.benchmark,
    "numpy": numpy_batches.benchmark,
    "replication": replication.benchmark,
    "mixture": mixture.benchmark,
    "plan": plan.benchmark,
    "conditions": conditions.benchmark,
    "collect": collect.benchmark,
    "collect_large": collect_large.benchmark,
    "collect_s3": collect_s3.benchmark,
    "wide": wide.benchmark,
    "foreach": foreach.benchmark,
    "r": r_session.benchmark,
    "help": help.benchmark,
    "list": list_runs.benchmark,
    "memory": memory.benchmark,
    "measures": measures.benchmark,
    "measures_large": measures_large.benchmark,
    "containers": containers.benchmark,
    "serve": serve.benchmark,
    "sagemaker": sagemaker_jobs.benchmark,
    "batch": batch.benchmark,
}
WIDTHS = (18, 16, 14, 14, 8, 20, 4)


def line(cells: Sequence[str]) -> str:
    left, right = (0, 1, 5, 6), (2, 3, 4)
    assert len(left) + len(right) == len(cells)
    return "  ".join(
        cell.rjust(width) if place in right else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    ).rstrip()


def figure(value: float, unit: str) -> str:
    digits = {"s": 3, "% busy": 1, "µs": 1}.get(unit, 0)
    return f"{value:,.{digits}f} {unit}"


def cells(row: Row) -> list[str]:
    return [
        row.name,
        row.peer_name or "-",
        figure(row.peer_median, row.unit) if row.peer else "-",
        figure(row.simferry_median, row.unit),
        f"{row.ratio:.2f}" if row.peer else "-",
        row.bar,
        "yes" if row.met else "NO",
    ]


def record(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "unit": row.unit,
        "peer": row.peer_name or None,
        "peer_figures": list(row.peer),
        "simferry_figures": list(row.simferry),
        "ratio": row.ratio if row.peer else None,
        "bar": row.bar,
        "met": row.met,
    }


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of {', '.join(BENCHMARKS)}")
    parser.add_argument("--repeats", type=count, default=3, metavar="N", help="turns that each side takes (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure here")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}: there are {', '.join(BENCHMARKS)}")
    if not Path(SIMFERRY).exists():
        parser.error(f"simferry is not installed beside {sys.executable}: run this with .venv/bin/python")

    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}; Python {platform.python_version()}")
    if load > 0.5:
        print("The machine is busy with something else: look at the ratios.")
    print()
    print(line(["benchmark", "peer", "peer median", "simferry", "ratio", "bar", "met"]), flush=True)
    rows = []
    for name in options.names or BENCHMARKS:
        for row in BENCHMARKS[name](options.repeats):
            print(line(cells(row)), flush=True)
            rows.append(row)
    if options.json:
        options.json.write_text(json.dumps([record(row) for row in rows], indent=2) + "\n")
    missed = [row for row in rows if not row.met]
    if missed:
        print(f"\n{len(missed)} of {len(rows)} bars missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
