"""1,000,000 rows of results collected from 10,000 blocks in S3 into one table.

The server holds everything in memory, in a process of its own. simferry begins without a mirror. The peer has CSV objects,
which pandas reads faster than Parquet of 100 rows.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from collect import ROWS, make_csv, make_run
from timing import (
    HERE,
    PEERS,
    PYTHON,
    Process,
    Row,
    fresh_folder,
    in_turn,
    must_be_equal,
    rows_of_parquet,
    run_process,
    run_simferry,
)

BLOCKS = 10_000
BUCKET = "bucket"


@contextlib.contextmanager
def served(folder: Path) -> Iterator[None]:
    """The files below a folder in S3, as the environment says it while it lasts."""
    process = subprocess.Popen([PYTHON, HERE / "s3_server.py", folder], stdout=subprocess.PIPE, text=True)
    before = dict(os.environ)
    try:
        assert process.stdout is not None
        os.environ.update(
            AWS_ENDPOINT_URL=process.stdout.readline().strip(),
            AWS_ACCESS_KEY_ID="of-nobody",
            AWS_SECRET_ACCESS_KEY="of-nobody",
            AWS_DEFAULT_REGION="us-east-1",
        )
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        process.terminate()
        process.wait()


def boto3(out: Path) -> Process:
    taken = run_process([PYTHON, PEERS / "collect_boto3.py", BUCKET, "csv/", out])
    must_be_equal("rows of the CSV objects", rows_of_parquet(out), ROWS)
    return taken


def simferry(run: str, out: Path) -> Process:
    with fresh_folder() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        taken = run_simferry("results", f"s3://{BUCKET}/store/{run}", "-o", out)
    must_be_equal("rows of the blocks", rows_of_parquet(out), ROWS)
    return taken


def benchmark(repeats: int) -> list[Row]:
    with fresh_folder() as name:
        folder = Path(name)
        bucket = folder / BUCKET
        (bucket / "csv").mkdir(parents=True)
        run = make_run(bucket / "store", BLOCKS, ROWS)
        make_csv(run, bucket / "csv", BLOCKS)
        (bucket / "csv" / "all.parquet").unlink()
        with served(folder):
            taken = in_turn(
                repeats,
                {
                    "collect s3: boto3": lambda: boto3(folder / "boto3.parquet"),
                    "collect s3: simferry": lambda: simferry(run.name, folder / "simferry.parquet"),
                },
            )
    return [
        Row(
            "collect s3",
            "s",
            "boto3, CSV",
            [process.seconds for process in taken["collect s3: boto3"]],
            [process.seconds for process in taken["collect s3: simferry"]],
            "ratio under 0.2",
            lambda peer, ours: ours < peer / 5,
        )
    ]
