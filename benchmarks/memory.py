"""The memory of a worker that returns six numbers: it does not grow with the replications once blocks are written."""

from pathlib import Path

from timing import SIMULATIONS, Row, fresh_folder
from watched import watch

FEW, MANY = 300_000, 2_000_000
BLOCKS = 3  # at least, of few replications


def worker_bytes(script: str, replications: int) -> int:
    with fresh_folder() as store:
        options: list[str | Path] = ["-p", "k=6", "-n", str(replications), "--seed", "1", "--workers", "1"]
        taken = watch("run", SIMULATIONS / script, *options, "--store", store)
        if sum(1 for path in Path(store).glob("*/blocks/*") if path.is_file()) < BLOCKS:
            raise SystemExit(f"{replications:,} replications of {script} made fewer than {BLOCKS} blocks: take more")
    return taken.worker_bytes


def benchmark(repeats: int) -> list[Row]:
    rows = []
    for language, script in (("R", "outputs.R"), ("Python", "outputs.py")):
        few = [worker_bytes(script, FEW) / 1e6 for _ in range(repeats)]
        many = [worker_bytes(script, MANY) / 1e6 for _ in range(repeats)]
        name = f"memory, {language}"
        met = lambda peer, ours: ours <= 1.1 * peer  # noqa: E731
        rows.append(Row(name, "MB", f"{FEW:,}", few, many, f"at most 1.1 × ({MANY:,})", met))
    return rows
