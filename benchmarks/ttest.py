"""100,000 t-test intervals of 20 values in R, from start to collected table."""

from pathlib import Path

from timing import (
    PEERS,
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
SCRIPT = SIMULATIONS / "ttest.R"


def peer(script: str) -> float:
    return run_process(["Rscript", PEERS / script, SCRIPT, str(REPLICATIONS)]).seconds


def simferry() -> float:
    with fresh_folder() as store:
        table = Path(store, "results.parquet")
        options = f"--replications {REPLICATIONS} --seed 1 --workers 2".split()
        taken = run_simferry("run", SCRIPT, *options, "--store", store, "-o", table)
        must_be_equal("rows of the t-test's results", rows_of_parquet(table), REPLICATIONS)
    return taken.seconds


def benchmark(repeats: int) -> list[Row]:
    taken = in_turn(
        repeats,
        {
            "mclapply": lambda: peer("ttest_mclapply.R"),
            "future_lapply": lambda: peer("ttest_future.R"),
            "simferry": simferry,
        },
    )
    return [
        Row(
            "ttest",
            "s",
            "mclapply",
            taken["mclapply"],
            taken["simferry"],
            "at most 1 × + 0.3 s",
            lambda peer, ours: ours <= peer + 0.3,
        ),
        Row(
            "ttest",
            "s",
            "future_lapply",
            taken["future_lapply"],
            taken["simferry"],
            "below it",
            lambda peer, ours: ours < peer,
        ),
    ]
