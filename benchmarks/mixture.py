"""Fast and slow conditions mixed: how much of two cores' time goes into the simulation."""

import math
from pathlib import Path

from timing import (
    PEERS,
    SIMULATIONS,
    Row,
    fresh_folder,
    in_turn,
    must_be_equal,
    run_process,
    run_simferry,
)

CORES = 2
CONDITIONS = 40
SHORTEST, LONGEST = 0.001, 0.5  # seconds of a replication

# Name: (seconds of a replication in each condition, replications). About 65 seconds of work each.
# `mixture` has its slowest conditions last, where dealing the work out in order leaves a core idle at the end.
# `one slow` has a single slow condition, also last: it alone must keep both cores busy.
DESIGNS = {
    "mixture": (
        [
            math.exp(math.log(SHORTEST) + step / (CONDITIONS - 1) * math.log(LONGEST / SHORTEST))
            for step in range(CONDITIONS)
        ],
        20,
    ),
    # equal conditions are an error: the short ones differ in the seventh digit
    "mixture, one slow": ([SHORTEST + 1e-7 * step for step in range(CONDITIONS - 1)] + [LONGEST], 120),
}


def mclapply(design: Path, replications: int) -> float:
    taken = run_process(["Rscript", PEERS / "mixture_mclapply.R", SIMULATIONS / "busy.R", design, str(replications)])
    return 100 * float(taken.printed) / (CORES * taken.seconds)


def simferry(design: Path, replications: int) -> float:
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with fresh_folder() as store:
        table = Path(store, "results.parquet")
        options = f"--replications {replications} --seed 1 --workers {CORES}".split()
        taken = run_simferry("run", SIMULATIONS / "busy.R", "--table", design, *options, "--store", store, "-o", table)
        busy_seconds = pq.read_table(table, columns=["busy_seconds"]).column(0)
        must_be_equal("rows of the mixture's results", len(busy_seconds), CONDITIONS * replications)
    return 100 * pc.sum(busy_seconds).as_py() / (CORES * taken.seconds)


def benchmark(repeats: int) -> list[Row]:
    rows = []
    for name, (seconds, replications) in DESIGNS.items():
        with fresh_folder() as folder:
            design = Path(folder, "design.csv")
            design.write_text("".join(f"{line}\n" for line in ["seconds", *map(repr, seconds)]))
            taken = in_turn(
                repeats,
                {
                    f"{name}: mclapply": lambda design=design, n=replications: mclapply(design, n),
                    f"{name}: simferry": lambda design=design, n=replications: simferry(design, n),
                },
            )
        rows.append(
            Row(
                name,
                "% busy",
                "mclapply, forks",
                taken[f"{name}: mclapply"],
                taken[f"{name}: simferry"],
                "at least 97 %",
                lambda _, ours: ours >= 97,
            )
        )
    return rows
