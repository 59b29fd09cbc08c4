"""What an R user waits for: library(simferry), ten replications by sim_run(), and a table of 1,000,000 rows in R's memory."""

from pathlib import Path

from timing import PYTHON, SIMULATIONS, Row, fresh_folder, in_turn, r_library, run_process, run_simferry

CONDITIONS = 100  # of 10,000 rows each


def attach(library: Path) -> float:
    return run_process(["Rscript", "-e", f"library(simferry, lib.loc = '{library}')"]).seconds


def table(run: Path, library: Path) -> float:
    """Into R, and there compared with the table as R itself makes it."""
    script = SIMULATIONS / "table_simferry.R"
    return float(run_process(["Rscript", script, SIMULATIONS / "rows.R", run, library, PYTHON]).printed)


def second_run(library: Path) -> float:
    with fresh_folder() as store:
        return float(run_process(["Rscript", SIMULATIONS / "second_run.R", store, library, PYTHON]).printed)


def benchmark(repeats: int) -> list[Row]:
    with r_library() as library, fresh_folder() as store:
        started = in_turn(
            3 * repeats,  # it is over in a moment
            {
                "library: R alone": lambda: run_process(["Rscript", "-e", "NULL"]).seconds,
                "library: simferry": lambda: attach(library),
            },
        )
        runs = in_turn(
            repeats,
            {
                "sim_run: Rscript": lambda: run_process(["Rscript", "-e", "1"]).seconds,
                "sim_run: simferry": lambda: second_run(library),
            },
        )
        design = f"k={','.join(str(k) for k in range(1, CONDITIONS + 1))}"
        run_simferry("run", SIMULATIONS / "rows.R", "-p", design, "-n", "1", "--seed", "1", "--store", store)
        (run,) = (record.parent for record in Path(store).glob("*/run.json"))
        taken = in_turn(repeats, {"table: simferry": lambda: table(run, library)})["table: simferry"]
    return [
        Row(
            "library(simferry)",
            "s",
            "R alone",
            started["library: R alone"],
            started["library: simferry"],
            "at most 0.3 s more",
            lambda peer, ours: ours - peer < 0.3,
        ),
        Row(
            "sim_run, 10 replications",
            "s",
            "Rscript",
            runs["sim_run: Rscript"],
            runs["sim_run: simferry"],
            "at most 0.3 s more",
            lambda peer, ours: ours - peer <= 0.3,
        ),
        Row("table into R", "s", "", [], taken, "under 1.5 s", lambda _, ours: ours < 1.5),
    ]
