"""AWS Batch on the emulator: 10,000 conditions are submitted on 200 children, and arrays of 200 and 10,000 are asked how they stand."""

import os
import subprocess
from typing import Any

from sagemaker_jobs import IMAGE, Service, listed, service, status, submit_until
from timing import HERE, SIMFERRY, Row, in_turn, run_simferry

CONDITIONS, CHILDREN, MOST_CHILDREN = 10_000, 200, 10_000


def deploy(aws: Service) -> None:
    subprocess.run(
        [SIMFERRY, "infra", "deploy", "--yes"], check=True, capture_output=True, env={**os.environ, **aws.environment}
    )


def submit(aws: Service, store: str, children: int) -> dict[str, Any]:
    place = ["--backend", "batch", "--image", IMAGE, "--jobs", str(children)]
    return submit_until(aws, store, 1, CONDITIONS, place)


def benchmark(repeats: int) -> list[Row]:
    run_simferry("image", "build", HERE.parent / "containers" / "r")
    with service() as aws:
        deploy(aws)
        numbers = iter(range(1000))

        def ours() -> dict[str, Any]:
            return submit(aws, f"s3://{aws.bucket}/sweep-{next(numbers)}", CHILDREN)

        ours()  # pushes the image
        sweeps = in_turn(repeats, {"simferry": ours})["simferry"]
        store = f"s3://{aws.bucket}/many"
        submit(aws, store, MOST_CHILDREN)
        run = listed(aws, store)
        asked = in_turn(repeats, {"status": lambda: status(aws, run, MOST_CHILDREN)})["status"]
    return [
        Row("Batch, 200 children", "s", "", [], [s["seconds"] for s in sweeps], "under 8 s", lambda _, ours: ours < 8),
        Row("  control plane", "requests", "", [], [s["control"] for s in sweeps], "at most 15", lambda _, ours: ours <= 15),
        Row("  S3", "requests", "", [], [s["s3"] for s in sweeps], "at most 60", lambda _, ours: ours <= 60),
        Row("status, 10,000", "requests", "", [], [a["control"] for a in asked], "at most 12", lambda _, ours: ours <= 12),
        Row("  time", "s", "", [], [a["seconds"] for a in asked], "-", lambda _, ours: True),
    ]  # fmt: skip
