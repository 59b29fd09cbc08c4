"""What a replication costs beside its simulation: processor time over that of a bare loop in the same interpreter.

A whole run is taken twice, with a tenth of the replications and with all: the difference is the time of the loop. What happens once,
in the first half second (start, compilation), is in both.
"""

import resource
from pathlib import Path

from timing import PEERS, PYTHON, SIMULATIONS, Row, fresh_folder, in_turn, run_process, run_simferry

BARS = {"Octave": 100}  # microseconds; of others 6
SIDES = {  # the simulation, how a bare loop of it is run, and how many replications
    "Python": ("one_output.py", (PYTHON, PEERS / "bare_loop.py", SIMULATIONS), 400_000),
    "R": ("one_output.R", ("Rscript", PEERS / "bare_loop.R", SIMULATIONS / "one_output.R"), 400_000),
    "Octave": ("one_output.m", ("octave-cli", "--norc", "--no-history", PEERS / "bare_loop.m", SIMULATIONS), 20_000),
    "R, t-test": ("ttest.R", ("Rscript", PEERS / "bare_loop.R", SIMULATIONS / "ttest.R"), 100_000),
}


def processor_seconds(script: str, replications: int) -> float:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    with fresh_folder() as store:
        options = f"--replications {replications} --seed 1 --workers 1".split()
        run_simferry("run", SIMULATIONS / script, *options, "--store", store, "-o", Path(store, "results.parquet"))
    return used() - before


def over_a_bare_loop(name: str) -> float:
    """Microseconds for each replication."""
    script, bare, replications = SIDES[name]
    few = replications // 10
    seconds = processor_seconds(script, replications) - processor_seconds(script, few)
    return seconds / (replications - few) * 1e6 - float(run_process([*bare, str(replications)]).printed)


def benchmark(repeats: int) -> list[Row]:
    taken = in_turn(repeats, {name: lambda name=name: over_a_bare_loop(name) for name in SIDES})
    return [
        Row(f"loop, {name}", "µs", "", [], taken[name], f"at most {bar} µs", lambda _, ours, bar=bar: ours <= bar)
        for name in SIDES
        for bar in [BARS.get(name, 6)]
    ]
