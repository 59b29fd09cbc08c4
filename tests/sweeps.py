"""What several test modules need: small sweeps, the command line as a user starts it, and what runs leave behind."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import simferry as sf
from simferry.errors import StoreError
from simferry.results import read, table

# Draws enough that a wrong stream shows. Without changing the code, PAUSE (seconds) makes it slow, and HOLD (a file) makes
# each process stop after 10 replications, make a file of that name and its number, and wait until HOLD is gone.
R_DRAWS = """
calls <- 0
simulate <- function(n, effect = 0) {
  Sys.sleep(as.numeric(Sys.getenv("PAUSE", "0")))
  calls <<- calls + 1
  hold <- Sys.getenv("HOLD")
  if (calls > 10 && file.exists(hold)) file.create(paste0(hold, Sys.getpid()))
  while (calls > 10 && file.exists(hold)) Sys.sleep(0.02)
  x <- rnorm(n, effect)
  c(mean = mean(x), upper = max(x), pick = sample(1000, 1), u = runif(1))
}
"""
PYTHON_DRAWS = """
import os, pathlib, time

calls = 0

def simulate(n, rng, effect=0):
    global calls
    time.sleep(float(os.environ.get("PAUSE", "0")))
    calls += 1
    hold = os.environ.get("HOLD", "")
    if calls > 10 and os.path.exists(hold):
        pathlib.Path(f"{hold}{os.getpid()}").touch()
    while calls > 10 and os.path.exists(hold):
        time.sleep(0.02)
    x = rng.normal(effect, size=n)
    return {"mean": x.mean(), "upper": x.max(), "pick": int(rng.integers(1000)), "u": rng.random(dtype="float32")}
"""
DRAWS = {"r": ("simulate.R", R_DRAWS), "python": ("simulate.py", PYTHON_DRAWS)}


# a sweep of 2 conditions x 40 replications, as words of the command line
SHELL_SWEEP = ("-p", "n=5,10", "-n", "40", "--seed", "7", "--workers", "2", "--store", "runs")


# as such scripts are published: they enter a folder, take five arguments and name their output by them
PUBLISHED = {
    "R": """
args <- commandArgs(trailingOnly = TRUE)
n <- as.numeric(args[1]); p <- as.integer(args[2]); rho <- as.numeric(args[3]); method <- args[4]; rep <- as.integer(args[5])
setwd("results")
set.seed(rep)
x <- rnorm(n)
out <- data.frame(estimate = mean(x), size = n * p)
write.table(out, paste0("sim_n", n, "_p", p, "_rho", rho, "_", method, "_", rep, ".txt"))
""",
    "py": """
import os, random, sys
n, p, rho, method, rep = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], int(sys.argv[5])
os.chdir("results")
random.seed(rep)
with open(f"sim_n{n}_p{p}_rho{rho}_{method}_{rep}.txt", "w") as file:
    file.write("estimate\\tsize\\n%r\\t%d\\n" % (sum(random.gauss(0, 1) for _ in range(n)) / n, n * p))
""",
}


def published_sweep(folder: Path, language: str) -> dict:
    """Arguments of a run of a published script. Beside it is output of an earlier day."""
    write(folder, "results/sim_n10_p2_rho0.5_ols_1.txt", "of an earlier day")
    return {
        "script": write(folder, f"study.{language}", PUBLISHED[language]),
        "design": sf.grid(n=[10, 100000], p=[2], rho=[0.5, 0], method=["ols"]),
        "args": "{n} {p} {rho} {method} {replication}",
        "results_file": "results/sim_n{n}_p{p}_rho{rho}_{method}_{replication}.txt",
    }


def write(folder: Path, name: str, code: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return path


@pytest.fixture
def script(tmp_path):
    """The path of PYTHON_DRAWS."""
    return write(tmp_path, *DRAWS["python"])


def made(tmp_path, code):
    """A run of R code: 2 conditions x 50 replications."""
    return sf.run(write(tmp_path, "simulate.R", code), {"n": [1, 2]}, replications=50, seed=1, store=tmp_path / "runs")


def digest(run: sf.Run) -> str:
    return table.digest(run.results_table())


def done_pairs(run: sf.Run) -> list[tuple[int, int]]:
    """(condition, replication) of every finished block, also where two blocks have the same."""
    pairs = []
    for _, block in read.read_blocks(run._folder):
        columns = block.table("replications").columns
        pairs += zip(columns["condition"].values.tolist(), columns["replication"].values.tolist(), strict=True)
    return pairs


def block_hashes(run: sf.Run) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (run.folder / "blocks").iterdir()}


def simferry(*arguments: object, cwd: Path, start: bool = False, **environment: str):
    """The command line: its CompletedProcess, or with `start` its Popen, in a process group of its own."""
    command = [sys.executable, "-m", "simferry", *map(str, arguments)]
    options = {"cwd": cwd, "env": {**os.environ, **environment}, "text": True, "stdin": subprocess.DEVNULL}
    if start:
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options
        )
    return subprocess.run(command, capture_output=True, timeout=60, check=False, **options)


def left_behind(folder: Path) -> list[str]:
    """Command lines of processes that a run in this folder has started and that still run."""
    records = [json.loads(path.read_bytes()) for path in folder.rglob("job.json")]
    marks = (str(folder), *(record["mark"] for record in records if "mark" in record))
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("SIMFERRY_JOB", "").startswith(marks):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def wait_until(condition, seconds: float = 60):
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, f"not so after {seconds} s"
        time.sleep(0.02)
    return value


class Hold:
    """Keeps the processes of DRAWS waiting in the middle of their work, with something done and something left."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "hold"
        self.file.touch()
        self.environment = {"HOLD": str(self.file)}

    def reached(self) -> bool:
        """Whether one of them waits."""
        return any(self.file.parent.glob("hold?*"))

    def wait(self) -> None:
        wait_until(self.reached)

    def release(self) -> None:
        self.file.unlink()


def how_many_done(address: str) -> str:
    """What another process says of a run: how many replications are done, or the error. It finds this module by its name."""
    try:
        return str(sf.open(address).status().done)
    except StoreError as error:
        return str(error)
