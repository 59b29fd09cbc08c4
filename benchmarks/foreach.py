"""foreach loops from R: 10,000 short iterations, 2,000 that carry 40 kB each, 200,000 of nothing."""

from pathlib import Path

from timing import PEERS, PYTHON, SIMULATIONS, Process, Row, fresh_folder, in_turn, r_library, run_process


def peer(*command: str) -> float:
    return float(run_process(["Rscript", PEERS / command[0], *(SIMULATIONS / loop for loop in command[1:])]).printed)


def session(loop: str, library: Path) -> Process:
    with fresh_folder() as store:
        script = SIMULATIONS / "foreach_simferry.R"
        return run_process(["Rscript", script, SIMULATIONS / loop, library, PYTHON, store])


def simferry(loop: str, library: Path) -> tuple[float, ...]:
    """The seconds of the registration, of the first loop and of the second one."""
    return tuple(float(word) for word in session(loop, library).printed.split()[-3:])


def benchmark(repeats: int) -> list[Row]:
    with r_library() as library:
        small = in_turn(
            repeats,
            {
                "foreach: simferry": lambda: simferry("foreach_small.R", library),
                "foreach: mclapply": lambda: (peer("foreach_mclapply.R"),),
                "foreach: sockets": lambda: (peer("foreach_sockets.R", "foreach_small.R"),),
                "foreach: R alone": lambda: (run_process(["Rscript", "-e", "1"]).seconds,),
            },
        )
        large = in_turn(
            repeats,
            {
                "foreach, 40 kB: simferry": lambda: simferry("foreach_40kb.R", library),
                "foreach, 40 kB: sockets": lambda: (peer("foreach_sockets.R", "foreach_40kb.R"),),
            },
        )
        many = session("foreach_many.R", library)  # it takes long: once
    ours, forks, sockets, alone = small.values()
    registered, first, second = (list(taken) for taken in zip(*ours, strict=True))
    mclapply, start = [one for (one,) in forks], sorted(one for (one,) in alone)[len(alone) // 2]
    large_ours, large_peer = large.values()
    many_first = [float(many.printed.split()[1])]
    return [
        Row(
            "foreach", "s", "mclapply", mclapply, second, "1 × + Rscript + 0.1 s",
            lambda peer, ours: ours <= peer + start + 0.1,
        ),
        Row("foreach, first", "s", "the second", second, first, "0.5 s more", lambda peer, ours: ours <= peer + 0.5),
        Row("registration", "s", "", [], registered, "under 2 s", lambda _, ours: ours < 2),
        Row(
            "foreach", "s", "makeCluster(2)", [one for (one,) in sockets], second, "at most 0.4 ×",
            lambda peer, ours: ours <= 0.4 * peer,
        ),
        Row(
            "foreach, 40 kB", "s", "makeCluster(2)", [one for (one,) in large_peer],
            [one[-1] for one in large_ours], "at most 0.33 ×", lambda peer, ours: ours <= peer / 3,
        ),
        Row("foreach, 200,000", "s", "", [], many_first, "first one in 5 s", lambda _, ours: ours < 5),
        Row("the session", "MB", "", [], [many.peak_bytes / 1e6], "under 1,000 MB", lambda _, ours: ours < 1000),
    ]  # fmt: skip
