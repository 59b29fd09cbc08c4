"""foreach loops from R: 10,000 short iterations, 2,000 that carry 40 kB each, 200,000 of nothing."""

from pathlib import Path

from timing import PEERS, PYTHON, SIMULATIONS, Process, Row, fresh_folder, in_turn, r_library, run_process


def sockets(loop: str) -> float:
    return float(run_process(["Rscript", PEERS / "foreach_sockets.R", SIMULATIONS / loop]).printed)


def session(loop: str, library: Path) -> Process:
    with fresh_folder() as store:
        script = SIMULATIONS / "foreach_simferry.R"
        return run_process(["Rscript", script, SIMULATIONS / loop, library, PYTHON, store])


def simferry(loop: str, library: Path) -> float:
    return float(session(loop, library).printed)


def benchmark(repeats: int) -> list[Row]:
    rows = []
    with r_library() as library:
        for name, loop, share in (("foreach", "foreach_small.R", 0.4), ("foreach, 40 kB", "foreach_40kb.R", 1 / 3)):
            taken = in_turn(
                repeats,
                {
                    f"{name}: sockets": lambda loop=loop: sockets(loop),
                    f"{name}: simferry": lambda loop=loop: simferry(loop, library),
                },
            )
            peer, ours = taken.values()
            bar = f"at most {share:.2g} ×"
            rows.append(
                Row(name, "s", "makeCluster(2)", peer, ours, bar, lambda peer, ours, share=share: ours <= share * peer)
            )
        many = [session("foreach_many.R", library) for _ in range(repeats)]
    first = [float(taken.printed.split()[1]) for taken in many]
    memory = [taken.peak_bytes / 1e6 for taken in many]
    rows.append(Row("foreach, 200,000", "s", "", [], first, "first one in 5 s", lambda _, ours: ours < 5))
    rows.append(Row("the session", "MB", "", [], memory, "under 1,000 MB", lambda _, ours: ours < 1000))
    return rows
