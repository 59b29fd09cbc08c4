"""1,000,000 rows of results collected from 2,000 blocks into one table."""

from pathlib import Path

from timing import (
    HERE,
    PEERS,
    PYTHON,
    SIMULATIONS,
    Row,
    fresh_folder,
    in_turn,
    must_be_equal,
    rows_of_parquet,
    run_process,
    run_simferry,
)

BLOCKS = 2_000
ROWS = 1_000_000
CONDITIONS = 100


def make_run(store: Path, blocks: int, rows: int) -> Path:
    """A finished run of so many rows in so many blocks. Returns its folder.

    simferry cuts blocks by the clock, so a simulation this fast has few of them: they are cut up afterwards.
    """
    design = store.parent / "design.csv"
    design.write_text("a,b\n" + "".join(f"{a},{b}\n" for a in range(CONDITIONS // 10) for b in range(10)))
    options = f"--replications {rows // CONDITIONS} --seed 1 --workers 2".split()
    run_simferry("run", SIMULATIONS / "add.R", "--table", design, *options, "--store", store)
    (run,) = (folder.parent for folder in store.glob("*/run.json"))
    cut_up(run / "blocks", blocks)
    return run


def cut_up(folder: Path, count: int) -> None:
    import numpy as np
    from simferry.worker import blocks

    files = sorted(folder.iterdir())
    read = [blocks.decode(file.read_bytes()) for file in files]
    names = [table.name for table in read[0].tables]
    whole = {}
    for name in names:  # numbers alone, and a row of results for each replication
        tables = [block.table(name) for block in read]
        whole[name] = {
            column: (first.kind, np.concatenate([table.columns[column].values for table in tables]))
            for column, first in tables[0].columns.items()
        }
    prefix = files[0].name.partition(".")[0]
    for file in files:
        file.unlink()
    for number, at in enumerate(np.array_split(np.arange(len(whole[names[0]]["condition"][1])), count), start=1):
        tables = [
            blocks.Table(
                name,
                len(at),
                {column: blocks.numbers(kind, values[at]) for column, (kind, values) in whole[name].items()},
            )
            for name in names
        ]
        data = blocks.encode(blocks.Block(read[0].facts, tables))
        (folder / f"{prefix}.{number:06d}-r{len(at)}-f0").write_bytes(data)


def make_csv(run: Path, folder: Path, files: int) -> None:
    """The same rows as the files that a hand-made sweep would leave: CSV, one for each block."""
    import numpy as np
    import pandas as pd

    run_simferry("results", run, "-o", folder / "all.parquet")
    rows = pd.read_parquet(folder / "all.parquet")
    for number, at in enumerate(np.array_split(np.arange(len(rows)), files), start=1):
        rows.iloc[at].to_csv(folder / f"{number:06d}.csv", index=False)


def pandas(folder: Path) -> float:
    table = folder / "collected.parquet"
    taken = run_process([PYTHON, PEERS / "collect_pandas.py", folder, table])
    must_be_equal("rows of the CSV files", rows_of_parquet(table), ROWS)
    return taken.seconds


def simferry(run: Path) -> tuple[float, float]:
    """Seconds to collect all, and again after one more block, in a process that has imported pyarrow."""
    for path in run.glob("results*"):  # it would be read from there
        path.unlink()
    taken = run_process([PYTHON, HERE / "collect_in_process.py", run, str(ROWS)])
    first, again = map(float, taken.printed.split())
    return first, again


def benchmark(repeats: int) -> list[Row]:
    with fresh_folder() as name:
        folder = Path(name)
        run = make_run(folder / "store", BLOCKS, ROWS)
        must_be_equal("blocks", sum(1 for _ in (run / "blocks").iterdir()), BLOCKS)
        (folder / "csv").mkdir()
        make_csv(run, folder / "csv", BLOCKS)
        taken = in_turn(
            repeats,
            {
                "collect: pandas": lambda: (pandas(folder / "csv"), 0.0),
                "collect: simferry": lambda: simferry(run),
            },
        )
    peer, ours = ([*zip(*taken[side], strict=True)] for side in taken)
    return [
        Row("collect", "s", "pandas, CSV", peer[0], ours[0], "under 0.8 s", lambda _, seconds: seconds < 0.8),
        Row("one more block", "s", "", [], ours[1], "under 0.1 s", lambda _, seconds: seconds < 0.1),
    ]
