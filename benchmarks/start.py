"""Ten replications of a trivial function, as a whole process: all of it is what simferry does around them."""

from pathlib import Path

from timing import PYTHON, SIMULATIONS, Row, fresh_folder, in_turn, run_process, run_simferry

R_SCRIPT, PYTHON_SCRIPT = SIMULATIONS / "trivial.R", SIMULATIONS / "trivial.py"


def simferry(script: Path) -> float:
    with fresh_folder() as store:
        options = ["--replications", "10", "--seed", "1", "--workers", "2"]
        return run_simferry("run", script, "-p", "n=10", *options, "--store", store).seconds


def benchmark(repeats: int) -> list[Row]:
    taken = in_turn(
        2 * repeats,  # it is over in a moment
        {
            "start: Rscript": lambda: run_process(["Rscript", "-e", "1"]).seconds,
            "start: numpy": lambda: run_process([PYTHON, "-c", "import numpy"]).seconds,
            "start: R": lambda: simferry(R_SCRIPT),
            "start: Python": lambda: simferry(PYTHON_SCRIPT),
        },
    )
    both = [2 * r + numpy for r, numpy in zip(taken["start: Rscript"], taken["start: numpy"], strict=True)]
    three = [3 * numpy for numpy in taken["start: numpy"]]
    return [
        Row("start, R", "s", "2 R + 1 numpy", both, taken["start: R"], "at most 1 ×", lambda peer, ours: ours <= peer),
        Row(
            "start, Python",
            "s",
            "3 numpy",
            three,
            taken["start: Python"],
            "at most 1 ×",
            lambda peer, ours: ours <= peer,
        ),
    ]
