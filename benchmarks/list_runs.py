"""A store of 1,000 runs: how long a user waits for the list of them, and for the status of one."""

import json
import shutil
from pathlib import Path

from timing import SIMULATIONS, Row, fresh_folder, in_turn, must_be_equal, run_simferry

RUNS = 1_000


def fill(store: Path) -> str:
    """One run that was computed, and copies of it with other ids. Returns the id of the last one."""
    options = ["-p", "n=10,20", "--replications", "5", "--seed", "1", "--workers", "2", "--store", store]
    run_simferry("run", SIMULATIONS / "ttest_n.R", "-p", "mean=0.5", *options)
    (first,) = store.glob("*/run.json")
    record = json.loads(first.read_text())
    for number in range(1, RUNS):
        copy = f"{first.parent.name[:-8]}{number:08x}"
        shutil.copytree(first.parent, store / copy)
        (store / copy / "run.json").write_text(json.dumps({**record, "id": copy}, indent=1))
    return copy


def listed(store: Path) -> float:
    taken = run_simferry("list", "--store", store, "--json")
    must_be_equal("runs in the list", len(json.loads(taken.printed)), RUNS)
    return taken.seconds


def benchmark(repeats: int) -> list[Row]:
    with fresh_folder() as folder:
        store = Path(folder)
        last = fill(store)
        taken = in_turn(
            repeats,
            {
                "list: simferry": lambda: listed(store),
                "status: simferry": lambda: run_simferry("status", last, "--store", store).seconds,
            },
        )
    return [
        Row(f"{verb} of 1,000 runs", "s", "", [], taken[f"{verb}: simferry"], "under 1 s", lambda _, ours: ours < 1)
        for verb in ("list", "status")
    ]
