"""100,000 replications of 30 microseconds of numpy, from start to collected table."""

from pathlib import Path

from timing import (
    PEERS,
    PYTHON,
    SIMULATIONS,
    Row,
    fresh_folder,
    in_turn,
    must_be_equal,
    rows_of_parquet,
    run_process,
    run_simferry,
)

REPLICATIONS = 100_000


def joblib() -> float:
    return run_process([PYTHON, PEERS / "numpy_joblib.py", SIMULATIONS, str(REPLICATIONS)]).seconds


def simferry() -> float:
    with fresh_folder() as store:
        table = Path(store, "results.parquet")
        options = f"--replications {REPLICATIONS} --seed 1 --workers 2".split()
        taken = run_simferry("run", SIMULATIONS / "numpy_simulation.py", *options, "--store", store, "-o", table)
        must_be_equal("rows of the numpy simulation's results", rows_of_parquet(table), REPLICATIONS)
    return taken.seconds


def benchmark(repeats: int) -> list[Row]:
    taken = in_turn(repeats, {"joblib": joblib, "simferry": simferry})
    return [
        Row(
            "numpy",
            "s",
            "joblib, batches",
            taken["joblib"],
            taken["simferry"],
            "at most 1 ×",
            lambda peer, ours: ours <= peer,
        )
    ]
