"""Random numbers of R and Python processes that a command, a script or a function starts: real ones, one after the other and at once."""

import os
import shutil
import sys

import pandas as pd
import pytest
import simferry as sf
from common import require
from sweeps import write


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    monkeypatch.setenv(
        "PATH", os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    )  # a python3 with numpy


@pytest.fixture
def draws(tmp_path):
    """What a script gives: for two conditions by two workers at once, and for two replications of the first by one. Its runs, too."""

    def run(script):
        def one(n, replications, workers):
            done = sf.run(
                tmp_path / script, sf.grid(n=n), replications=replications, seed=1, args="{n}", cores=1, workers=workers,
                include=[p.name for p in tmp_path.glob("draw.*")], results_file="out.csv", store=tmp_path / "runs", fresh=True,
            )  # fmt: skip
            assert done.status().failed == 0, done.errors()["message"].tolist()
            return done

        runs = one([1, 2], 1, 2), one([1], 2, 1)
        first, second = (run.results() for run in runs)
        by_two, by_one = (table[(table["n"] == 1) & (table["replication"] == 1)] for table in (first, second))
        assert by_two["x"].tolist() == by_one["x"].tolist() and len(by_one)
        return pd.concat([first, second[second["replication"] == 2]]), runs[1]

    return run


# writes a file that is named by its first argument and holds what it was called and what it drew
DRAW = (
    'a <- commandArgs(TRUE); cat(a[1], ",", sprintf("%.17g", rnorm(1)), "\\n", sep = "", file = paste0(a[2], ".one"))\n'
)
TOGETHER = "(echo what,x; cat *.one) > out.csv; rm *.one\n"

# one after the other, the same twice; at once; from a temporary file; a process below a process, and two in tasks of one
IN_R = """#!/bin/sh
here=$(dirname "$0")
Rscript "$here/draw.R" twice 1
Rscript "$here/draw.R" twice 2
printf 'a\\nb\\nc\\nd\\n' | xargs -P 3 -I@ Rscript "$here/draw.R" @ @
copy=$(mktemp); cp draw.R "$copy"; Rscript "$copy" temporary 3; rm "$copy"
Rscript -e 'invisible(parallel::mclapply(1:2, function(i) system(paste("Rscript draw.R task", i + 3)), mc.cores = 2))'
echo "set.seed(42); cat('own,', sprintf('%.17g', rnorm(1)), '\\n', sep = '', file = '6.one')" | R --no-echo --no-save
"""


def test_r_processes_below_a_command_have_streams_of_their_own(tmp_path, draws):
    write(tmp_path, "draw.R", DRAW)
    write(tmp_path, "run.sh", IN_R + TOGETHER).chmod(0o755)
    table, run = draws("run.sh")
    assert table["what"].tolist() == ["twice", "twice", "temporary", "task", "task", "own", "a", "b", "c", "d"] * 3
    own = table["what"] == "own"
    assert table["x"][~own].nunique() == 9 * 3  # replications and conditions too
    assert table["x"][own].tolist() == [1.3709584471466685] * 3  # plain R's: a program's own seed has the last word
    again = run.replay(1, 2).splitlines()[1:]
    assert [float(line.split(",")[1]) for line in again] == table["x"].tolist()[-10:]


def test_r_processes_below_an_r_script_have_streams_of_their_own(tmp_path, draws):
    write(tmp_path, "draw.R", DRAW)
    code = """
    draw <- function(what, i) system2("Rscript", c("draw.R", what, i))
    own <- rnorm(1)
    for (i in 1:2) draw("same", i)
    invisible(parallel::mclapply(3:4, function(i) system(paste("Rscript draw.R task", i)), mc.cores = 2))
    cl <- parallel::makeCluster(2)
    invisible(parallel::parLapply(cl, 5:6, function(i) system2("Rscript", c("draw.R", "task", i))))
    parallel::stopCluster(cl)
    writeLines(c("what,x", paste0("own,", sprintf("%.17g", c(own, rnorm(1)))), sapply(paste0(1:6, ".one"), readLines)), "out.csv")
    unlink(paste0(1:6, ".one"))
    """
    write(tmp_path, "script.R", code)
    assert draws("script.R")[0]["x"].nunique() == 8 * 3


DRAW_PY = """
import random, sys
import numpy as np
with open(sys.argv[2] + ".one", "w") as file:
    for x in (random.random(), np.random.random(), np.random.default_rng().random()):
        print(sys.argv[1], repr(x), sep=",", file=file)
"""
IN_PYTHON = """#!/bin/sh
here=$(dirname "$0")
python3 "$here/draw.py" twice 1
python3 "$here/draw.py" twice 2
printf 'a\\nb\\nc\\nd\\n' | xargs -P 3 -I@ python3 "$here/draw.py" @ @
python3 - <<'END'
import os, random, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
source = open("draw.py").read()
with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
    print(source, file=file, flush=True)
    subprocess.run([sys.executable, file.name, "temporary", "3"], check=True)
subprocess.run(["Rscript", "draw.R", "R", "4"], check=True, env=dict(os.environ))
with ThreadPoolExecutor(2) as pool:
    list(pool.map(lambda i: subprocess.run(["python3", "draw.py", "task", str(i)], check=True), (5, 6)))
random.seed(42)
print("own", random.random(), sep=",", file=open("7.one", "w"))
END
"""


def test_python_processes_below_a_command_have_streams_of_their_own(tmp_path, draws):
    write(tmp_path, "draw.R", DRAW)
    write(tmp_path, "draw.py", DRAW_PY)
    write(tmp_path, "run.sh", IN_PYTHON + TOGETHER).chmod(0o755)
    table, run = draws("run.sh")
    three = [what for what in ("twice", "twice", "temporary") for _ in range(3)]
    tasks = [what for what in ("task", "task") for _ in range(3)]
    assert table["what"].tolist() == [*three, "R", *tasks, "own", *[w for w in "abcd" for _ in range(3)]] * 3
    own = table["what"] == "own"
    assert table["x"][~own].nunique() == (~own).sum() == 28 * 3
    assert table["x"][own].tolist() == [0.6394267984578837] * 3  # plain Python's
    again = run.replay(1, 2).splitlines()[1:]
    assert [float(line.split(",")[1]) for line in again] == table["x"].tolist()[-29:]


def test_python_below_r_and_r_below_functions_of_python_have_streams_of_their_own(tmp_path, draws):
    write(tmp_path, "draw.R", DRAW)
    # of the standard library alone: R's LD_LIBRARY_PATH can hide another Python's packages
    write(
        tmp_path,
        "draw.py",
        'import random, sys\nopen(sys.argv[2] + ".one", "w").write(f"{sys.argv[1]},{random.random()!r}\\n")\n',
    )
    code = """
    for (i in 1:2) system(paste("python3 draw.py same", i))
    writeLines(c("what,x", unlist(lapply(paste0(1:2, ".one"), readLines))), "out.csv")
    unlink(paste0(1:2, ".one"))
    """
    write(tmp_path, "script.R", code)
    assert draws("script.R")[0]["x"].nunique() == 2 * 3
    function = """
import subprocess
def simulate(n, rng):
    out = {"own": rng.random()}
    for i, program in enumerate((["Rscript", "draw.R"], ["Rscript", "draw.R"], ["python3", "draw.py"])):
        subprocess.run([*program, "same", "1"], check=True)
        out[f"x{i}"] = float(open("1.one").readline().split(",")[1])
    return out
"""
    write(tmp_path, "function.py", function)
    tables = [
        sf.run(
            tmp_path / "function.py", sf.grid(n=[1, 2]), replications=2, seed=1, workers=workers, include=["draw.R", "draw.py"],
            store=tmp_path / "runs", fresh=True,
        ).results()
        for workers in (1, 2)
    ]  # fmt: skip
    drawn = tables[0][["own", "x0", "x1", "x2"]].to_numpy()
    assert (drawn == tables[1][["own", "x0", "x1", "x2"]].to_numpy()).all() and len(set(drawn.ravel())) == 16
