"""SageMaker on the emulator: a sweep of 10,000 conditions is submitted, and a run of 500 jobs is asked how it stands."""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from timing import (
    HERE,
    PEERS,
    PYTHON,
    SIMFERRY,
    SIMULATIONS,
    Row,
    fresh_folder,
    in_turn,
    must_be_equal,
    run_simferry,
)
from watched import peak_of

CONDITIONS, TRIED, JOBS = 10_000, 200, 500
IMAGE = "simferry-r"


class Service:
    """The emulator, in a process of its own; jobs are accepted and never begin."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.environment = self.line()
        self.bucket = self.environment.pop("bucket")

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, what: str) -> dict[str, Any]:
        """What it has counted. what: count, accepted, or forget."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.line()


@contextmanager
def service() -> Iterator[Service]:
    command = [PYTHON, PEERS / "emulator.py"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Service(process)
    finally:
        process.terminate()
        process.wait()


def submit(aws: Service, store: str, jobs: int, conditions: int) -> dict[str, Any]:
    place = ["--backend", "sagemaker", "--image", IMAGE, "--instance-type", "ml.m5.xlarge", "--jobs", str(jobs)]
    return submit_until(aws, store, jobs, conditions, place)


def submit_until(aws: Service, store: str, accepted: int, conditions: int, place: list[str]) -> dict[str, Any]:
    """Starts a sweep, and stops simferry when the last of so many jobs was accepted. place: the options that say where.

    Returns its seconds, CPU seconds and peak memory in bytes until then, and the requests of each kind.
    """
    script = SIMULATIONS / "add.R"
    values = ",".join(map(str, range(conditions)))
    with fresh_folder() as cache:
        sweep = ["run", script, "-p", f"a={values}", "-p", "b=1", "-n", "1", "--seed", "1"]
        place = [*place, "--store", store]
        aws.ask("forget")
        began = time.time()
        process = subprocess.Popen(
            [SIMFERRY, *map(str, sweep), *place], env={**os.environ, **aws.environment, "XDG_CACHE_HOME": cache},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while (counted := aws.ask("count"))["created"] < accepted:
            if process.poll() is not None:
                raise SystemExit(f"{place[1]}: {process.stderr.read()}")
            time.sleep(0.02)
        counted = aws.ask("accepted")
        times, peak = psutil.Process(process.pid).cpu_times(), peak_of(process.pid)
        process.kill()
        process.wait()
    taken = {"seconds": counted["last"] - began, "cpu": sum(times[:4]), "peak": peak}
    return {**counted, **taken}


def listed(aws: Service, store: str) -> str:
    """The address of a store's one run."""
    command = [SIMFERRY, "list", "--store", store, "--json"]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, **aws.environment})
    (run,) = json.loads(done.stdout)
    return f"{store}/{run['run']}"


def status(aws: Service, run: str, jobs: int = JOBS) -> dict[str, Any]:
    """What `simferry status` takes from a machine that knows nothing of it."""
    with fresh_folder() as cache:
        aws.ask("forget")
        began = time.time()
        done = subprocess.run(
            [SIMFERRY, "status", run, "--json"], capture_output=True, check=True,
            env={**os.environ, **aws.environment, "XDG_CACHE_HOME": cache},
        )  # fmt: skip
        seconds = time.time() - began
    must_be_equal("jobs", sum(s == "running" for s in json.loads(done.stdout)["jobs"].values()), jobs)
    counted = aws.ask("count")
    return {"seconds": seconds, "requests": counted["control"] + counted["s3"], "control": counted["control"]}


def benchmark(repeats: int) -> list[Row]:
    run_simferry("image", "build", HERE.parent / "containers" / "r")
    with service() as aws:
        numbers = iter(range(1000))

        def ours() -> dict[str, Any]:
            return submit(aws, f"s3://{aws.bucket}/sweep-{next(numbers)}", 10, CONDITIONS)

        def plain() -> float:
            role = aws.environment["SIMFERRY_ROLE"]
            command = [PYTHON, PEERS / "submit_boto3.py", IMAGE, role, aws.bucket, str(TRIED)]
            done = subprocess.run(
                list(map(str, command)),
                env={**os.environ, **aws.environment},
                capture_output=True,
                text=True,
                check=True,
            )
            return float(done.stdout) * CONDITIONS / TRIED

        ours()  # pushes the image
        taken = in_turn(repeats, {"boto3": plain, "simferry": ours})
    with service() as aws:  # an account without the jobs of others
        store = f"s3://{aws.bucket}/many-jobs"
        submit(aws, store, JOBS, 1000)
        run = listed(aws, store)
        asked = in_turn(repeats, {"status": lambda: status(aws, run)})["status"]
    sweeps = taken["simferry"]
    return [
        Row(
            "10,000 conditions", "s", f"boto3 x {CONDITIONS // TRIED}", taken["boto3"], [s["seconds"] for s in sweeps],
            "10 jobs: 6 s", lambda _, ours: ours < 6,
        ),
        Row("  control plane", "requests", "", [], [s["control"] for s in sweeps], "at most 12", lambda _, ours: ours <= 12),
        Row("  S3", "requests", "", [], [s["s3"] for s in sweeps], "at most 40", lambda _, ours: ours <= 40),
        Row(f"status, {JOBS} jobs", "requests", "", [], [a["requests"] for a in asked], "at most 10", lambda _, ours: ours <= 10),
        Row("  time", "s", "", [], [a["seconds"] for a in asked], "-", lambda _, ours: True),
    ]  # fmt: skip
