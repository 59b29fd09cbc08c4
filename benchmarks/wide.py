"""200 replications with 20,000 outputs each: `summary` and `results` on a terminal, and the whole summary in a pipe."""

import os
import pty
import time
from pathlib import Path

from timing import (
    PEERS,
    PYTHON,
    SIMFERRY,
    SIMULATIONS,
    Row,
    fresh_folder,
    in_turn,
    must_be_equal,
    run_process,
    run_simferry,
)

OUTPUTS = 20_000
REPLICATIONS = 100  # of each of two conditions


def make_run(folder: Path) -> Path:
    options = f"--parameter n=10,20 --replications {REPLICATIONS} --seed 1 --workers 2".split()
    run_simferry("run", SIMULATIONS / "wide.py", *options, "--store", folder)
    (run,) = (file.parent for file in folder.glob("*/run.json"))
    return run


def make_csv(run: Path, folder: Path) -> None:
    """The same rows as one CSV file for each block."""
    import pandas as pd

    run_simferry("results", run, "-o", folder / "all.parquet")
    rows = pd.read_parquet(folder / "all.parquet").drop(columns="n")
    must_be_equal("outputs", rows.shape[1] - 2, OUTPUTS)
    blocks = sum(1 for _ in (run / "blocks").iterdir())
    for number in range(blocks):
        rows.iloc[number::blocks].to_csv(folder / f"{number:06d}.csv", index=False)


def on_terminal(verb: str, run: Path) -> float:
    """Seconds of a command whose output goes to a terminal."""
    begin = time.perf_counter()
    process, terminal = pty.fork()
    if process == 0:
        os.execv(SIMFERRY, [SIMFERRY, verb, str(run)])
    shown = bytearray()
    try:
        while part := os.read(terminal, 1 << 16):
            shown += part
    except OSError:  # Linux's end of a terminal
        pass
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    seconds = time.perf_counter() - begin
    os.close(terminal)
    must_be_equal(f"exit code of {verb}", status, 0)
    must_be_equal(f"notes of what {verb} left out", shown.count(b"-o FILE writes them all"), 1)
    return seconds


def whole(run: Path) -> float:
    taken = run_simferry("summary", run)
    must_be_equal("lines of the summary", taken.printed.count("\n"), 2 * OUTPUTS + 1)
    return taken.seconds


def benchmark(repeats: int) -> list[Row]:
    with fresh_folder() as name:
        folder = Path(name)
        run = make_run(folder / "store")
        (folder / "csv").mkdir()
        make_csv(run, folder / "csv")
        taken = in_turn(
            repeats,
            {
                "wide: pandas": lambda: run_process([PYTHON, PEERS / "summary_pandas.py", folder / "csv"]).seconds,
                "wide: summary": lambda: on_terminal("summary", run),
                "wide: results": lambda: on_terminal("results", run),
                "wide: summary, all": lambda: whole(run),
            },
        )
    return [
        Row(f"wide, {what}", "s", "pandas, CSV", taken["wide: pandas"], taken[f"wide: {what}"], bar, meets)
        for what, bar, meets in (
            ("summary", "under 1 s", lambda _, ours: ours < 1),
            ("results", "under 1 s", lambda _, ours: ours < 1),
            ("summary, all", "below the peer", lambda peer, ours: ours < peer),
        )
    ]
