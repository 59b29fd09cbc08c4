"""The tables of twelve sweeps with this checkout's simferry and an earlier one's: every value has to be the same, bit for bit.

    git worktree add ../before COMMIT; make -C ../before setup
    python benchmarks/same_numbers.py ../before

R and Python; functions, whole scripts and a command; common random numbers, tasks, a foreach loop, factors and NA.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent.parent

FILES = {
    "function.R": """
simulate <- function(n, effect) {
  x <- rnorm(n, effect); y <- sample(1000, 1)
  c(p = t.test(x)$p.value, mean = mean(x), gamma = rgamma(1, 2), pick = y)
}
""",
    "odd.R": """
simulate <- function(n, kind) {
  u <- runif(n)
  if (u[1] < 0.1) stop("failed at random")
  data.frame(method = factor(c("b", "a"), levels = c("b", "a")), est = c(mean(u), NA), ok = c(u[1] < 0.5, NA), label = kind,
             ratio = c(NaN, -0.0), most = c(Inf, u[1]), whole = c(NA, 3L))
}
""",
    "tasks.R": """
simulate <- function(n) {
  a <- unlist(parallel::mclapply(1:3, function(i) rnorm(n), mc.cores = 2))
  future::plan("sequential")
  b <- unlist(future.apply::future_lapply(1:2, function(i) rnorm(1), future.seed = TRUE))
  c(a = sum(a), b = sum(b), own = rnorm(1))
}
""",
    "script.R": """
n <- as.integer(commandArgs(TRUE)[1])
x <- rexp(n)
write.csv(data.frame(mean = mean(x), longest = max(x), u = runif(1)), "result.csv", row.names = FALSE)
""",
    "foreach.R": """
library(foreach); library(doParallel)
n <- as.integer(commandArgs(TRUE)[1])
registerDoParallel(2)
found <- foreach(i = 1:4, .combine = rbind) %dopar% data.frame(task = i, mean = mean(rnorm(n)), u = runif(1))
write.csv(found, "result.csv", row.names = FALSE)
""",
    "function.py": """
def simulate(n, effect, rng):
    x = rng.normal(effect, size=n)
    return {"mean": x.mean(), "sd": x.std(ddof=1), "pick": int(rng.integers(1000)), "u": rng.random()}
""",
    "odd.py": """
import math

def simulate(n, kind, rng):
    u = rng.random(n)
    if u[0] < 0.1:
        raise ValueError("failed at random")
    return [{"method": "b", "est": float(u.mean()), "ok": bool(u[0] < 0.5), "label": kind, "ratio": math.nan, "most": math.inf},
            {"method": "a", "est": None, "ok": None, "label": None, "ratio": -0.0, "most": float(u[0])}]
""",
    "tasks.py": """
import random
import numpy as np
from joblib import Parallel, delayed

def task(i):
    return np.random.normal() + random.random()

def simulate(n, rng):
    draws = Parallel(n_jobs=2)(delayed(task)(i) for i in range(n))
    return {"sum": sum(draws), "own": rng.normal(), "old": np.random.normal()}
""",
    "script.py": """
import csv, sys
import numpy as np

n = int(sys.argv[1])
x = np.random.default_rng().exponential(size=n)
with open("result.csv", "w", newline="") as file:
    csv.writer(file).writerows([["mean", "longest", "u"], [x.mean(), x.max(), np.random.uniform()]])
""",
}
SWEEPS: dict[str, dict[str, Any]] = {
    "R, function": {"simulation": "function.R", "design": {"n": [5, 20], "effect": [0.0, 0.3]}, "replications": 250},
    "R, common random numbers": {
        "simulation": "function.R", "design": {"n": [5, 20], "effect": [0.0, 0.3]}, "replications": 100, "common": "effect",
    },
    "R, factors and NA": {"simulation": "odd.R", "design": {"n": [3], "kind": ["x", None, "ü"]}, "replications": 60},
    "R, tasks": {"simulation": "tasks.R", "design": {"n": [2, 3]}, "replications": 10},
    "R, script": {
        "simulation": "script.R", "design": {"n": [5, 50]}, "replications": 3, "args": "{n}", "results_file": "result.csv",
    },
    "R, foreach loop": {
        "simulation": "foreach.R", "design": {"n": [5, 50]}, "replications": 2, "args": "{n}", "results_file": "result.csv",
    },
    "Python, function": {"simulation": "function.py", "design": {"n": [5, 20], "effect": [0.0, 0.3]}, "replications": 250},
    "Python, common random numbers": {
        "simulation": "function.py", "design": {"n": [5, 20], "effect": [0.0, 0.3]}, "replications": 100, "common": "all",
    },
    "Python, mixed types and NA": {"simulation": "odd.py", "design": {"n": [3], "kind": ["x", None, "ü"]}, "replications": 60},
    "Python, tasks": {"simulation": "tasks.py", "design": {"n": [2, 3]}, "replications": 10},
    "Python, script": {
        "simulation": "script.py", "design": {"n": [5, 50]}, "replications": 3, "args": "{n}", "results_file": "result.csv",
    },
    "command": {
        "simulation": "/usr/bin/awk", "design": {"n": [5, 50]}, "replications": 5, "results_file": "result.csv",
        "args": """'BEGIN { srand(ENVIRON["SIMFERRY_SEED"]); print "first,n" > "result.csv"; print rand() "," {n} > "result.csv" }'""",
    },
}  # fmt: skip


def compute() -> None:
    """Run in the folder of FILES by the Python of one checkout: prints each sweep's number of rows, failures and digest."""
    import simferry as sf

    found = {}
    for name, sweep in SWEEPS.items():
        given = {**sweep, "design": sf.grid(**sweep["design"])}
        done = sf.run(**given, seed=2026, workers=2, fresh=True, store="runs", on_progress=lambda _: None)
        table = done.results_table()
        found[name] = [table.num_rows, done.status().failed, digest(table)]
    print(json.dumps(found))


def digest(table: Any) -> str:
    """SHA-256 over names, types and values of a pyarrow.Table: doubles by their bits, NA apart from NaN."""
    import numpy as np
    import pyarrow as pa

    sum_ = hashlib.sha256()
    for name in table.column_names:
        column = table[name].combine_chunks()
        if pa.types.is_dictionary(column.type):  # a factor, which was text in earlier versions
            column = column.cast(pa.string())
        sum_.update(f"{name} {column.type}".encode())
        if pa.types.is_floating(column.type):
            bits = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64).view(np.uint64)
            sum_.update(bits.tobytes() + np.asarray(column.is_valid()).tobytes())
        else:
            sum_.update(repr(column.to_pylist()).encode())
    return sum_.hexdigest()


def tables_of(checkout: Path) -> dict[str, list[Any]]:
    with tempfile.TemporaryDirectory() as folder:
        for name, code in FILES.items():
            Path(folder, name).write_text(code)
        command = [checkout / ".venv/bin/python", Path(__file__), "--compute"]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        out = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    return dict(json.loads(out.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, nargs="?", help="the earlier checkout")
    parser.add_argument("--compute", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.compute:
        compute()
        return 0
    if options.before is None:
        parser.error("which earlier checkout?")
    before, now = tables_of(options.before.resolve()), tables_of(HERE)
    for name, (rows, failed, _) in now.items():
        same = "same" if before[name] == now[name] else "NOT THE SAME"
        print(f"{name:32} {rows:6,} rows {failed:4} failed   {now[name][2][:12]}   {same}")
    return 0 if before == now else 1


if __name__ == "__main__":
    sys.exit(main())
