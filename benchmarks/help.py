"""How long a user waits for `simferry --help`."""

from timing import PYTHON, Row, in_turn, run_process, run_simferry


def benchmark(repeats: int) -> list[Row]:
    taken = in_turn(
        3 * repeats,  # it is over in a moment
        {
            "help: python -c pass": lambda: run_process([PYTHON, "-c", "pass"]).seconds,
            "help: simferry": lambda: run_simferry("--help").seconds,
        },
    )
    return [
        Row(
            "help",
            "s",
            "python -c pass",
            taken["help: python -c pass"],
            taken["help: simferry"],
            "under 0.25 s, 10 ×",
            lambda peer, ours: ours < 0.25 and ours < 10 * peer,
        )
    ]
