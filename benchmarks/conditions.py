"""10,000 conditions with one replication of a microsecond each: the sweep that took staRburst 4,572 s on 50 workers."""

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

VALUES = 100  # of each of the two parameters
SCRIPT = SIMULATIONS / "add.R"


def mclapply(design: Path) -> float:
    return run_process(["Rscript", PEERS / "conditions_mclapply.R", SCRIPT, design]).seconds


def simferry(design: Path) -> tuple[float, int]:
    with fresh_folder() as store:
        table = Path(store, "results.parquet")
        options = ["--replications", "1", "--seed", "1", "--workers", "2"]
        taken = run_simferry("run", SCRIPT, "--table", design, *options, "--store", store, "-o", table)
        must_be_equal("rows of 10,000 conditions", rows_of_parquet(table), VALUES**2)
        blocks = sum(1 for path in Path(store).glob("*/blocks/*") if path.is_file())
    return taken.seconds, blocks


def benchmark(repeats: int) -> list[Row]:
    with fresh_folder() as folder:
        design = Path(folder, "design.csv")
        design.write_text("a,b\n" + "".join(f"{a},{b}\n" for a in range(VALUES) for b in range(VALUES)))
        taken = in_turn(
            repeats,
            {"conditions: mclapply": lambda: (mclapply(design), 0), "conditions: simferry": lambda: simferry(design)},
        )
    peer_seconds = [seconds for seconds, _ in taken["conditions: mclapply"]]
    seconds = [seconds for seconds, _ in taken["conditions: simferry"]]
    blocks = [float(count) for _, count in taken["conditions: simferry"]]
    return [
        Row(
            "conditions",
            "s",
            "mclapply",
            peer_seconds,
            seconds,
            "at most 1.5 × + 0.3 s",
            lambda peer, ours: ours <= 1.5 * peer + 0.3,
        ),
        Row("conditions, blocks", "files", "", [], blocks, "1 to 49", lambda _, ours: 1 <= ours < 50),
    ]
