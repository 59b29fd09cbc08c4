"""A plan for 1,000,000 conditions: time, memory and files."""

from pathlib import Path

from timing import SIMULATIONS, Process, Row, fresh_folder, in_turn, run_simferry

VALUES = 1_000  # of each of the two parameters


def write_design(file: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sizes = [n for n in range(2, VALUES + 2) for _ in range(VALUES)]
    means = [step / VALUES for step in range(VALUES)] * VALUES
    pq.write_table(pa.table({"n": pa.array(sizes, pa.float64()), "mean": means}), file)


def simferry(design: Path) -> tuple[Process, int]:
    with fresh_folder() as store:
        options = ["--replications", "1", "--seed", "1", "--workers", "2", "--no-pilot"]
        taken = run_simferry("plan", SIMULATIONS / "ttest_n.R", "--table", design, *options, "--store", store)
        files = sum(1 for path in Path(store).rglob("*") if path.is_file())
    return taken, files


def benchmark(repeats: int) -> list[Row]:
    with fresh_folder() as folder:
        design = Path(folder, "design.parquet")
        write_design(design)
        taken = in_turn(repeats, {"plan: simferry": lambda: simferry(design)})["plan: simferry"]
    seconds = [process.seconds for process, _ in taken]
    megabytes = [process.peak_bytes / 1e6 for process, _ in taken]
    files = [float(count) for _, count in taken]
    return [
        Row("plan", "s", "", [], seconds, "under 3 s", lambda _, ours: ours < 3),
        Row("plan, peak memory", "MB", "", [], megabytes, "under 300 MB", lambda _, ours: ours < 300),
        Row("plan, files", "files", "", [], files, "at most 3,000", lambda _, ours: ours <= 3_000),
    ]
