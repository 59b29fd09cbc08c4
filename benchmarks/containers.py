"""Containers: what has not changed is built and pushed again, and a sweep runs in a container and without."""

import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import HERE, SIMULATIONS, Row, fresh_folder, in_turn, run_process, run_simferry

RECIPE = HERE.parent / "containers" / "r"
IMAGE = "simferry-r"


@contextmanager
def registry() -> Iterator[str]:
    """Debian's docker-registry on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        host = f"127.0.0.1:{free.getsockname()[1]}"
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yml")
        storage = f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}"
        config.write_text(f"version: 0.1\nlog: {{level: error}}\n{storage}\nhttp: {{addr: '{host}'}}\n")
        process = subprocess.Popen(
            ["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(1)
            yield host
        finally:
            process.terminate()
            process.wait()


def local(*options: str) -> float:
    with fresh_folder() as store:
        script = SIMULATIONS / "ttest.R"
        run = ["run", script, "--replications", "100000", "--seed", "1", "--store", store]
        return run_simferry(*run, *options).seconds


def benchmark(repeats: int) -> list[Row]:
    if not (shutil.which("docker-registry") and shutil.which("docker")):
        raise SystemExit("containers: make docker  installs what this needs")
    run_simferry("image", "build", RECIPE)
    with registry() as host:
        run_simferry("image", "push", IMAGE, "--to", host)
        taken = in_turn(
            repeats,
            {
                "build": lambda: run_simferry("image", "build", RECIPE).seconds,
                "push": lambda: run_simferry("image", "push", IMAGE, "--to", host).seconds,
                "empty": lambda: run_process(["docker", "run", "--rm", "--entrypoint", "true", IMAGE]).seconds,
                "local": lambda: local("--workers", "2"),
                "docker": lambda: local("--backend", "docker", "--image", IMAGE, "--workers", "2"),
            },
        )
    empty = statistics.median(taken["empty"])
    return [
        Row("image build", "s", "", [], taken["build"], "unchanged: 1 s", lambda _, ours: ours < 1),
        Row("image push", "s", "", [], taken["push"], "unchanged: 2 s", lambda _, ours: ours < 2),
        Row(
            "docker backend",
            "s",
            "local backend",
            taken["local"],
            taken["docker"],
            f"at most 1.05 × + {empty:.2f} s (a container of nothing)",
            lambda peer, ours: ours <= 1.05 * peer + empty,
        ),
    ]
