"""Sweeps of scripts that run with MPI, or on each host, in containers."""

import threading
import time

import pytest
import simferry as sf
from docker_fixtures import left_behind
from simferry import errors
from simferry.containers.removal import JOB
from sweeps import write

PYTHON = """
import csv, os, random, sys
import numpy as np
from mpi4py import MPI
world = MPI.COMM_WORLD
drawn = [random.random(), np.random.random(), np.random.default_rng().random()]
own = [world.rank, int(os.environ["SIMFERRY_SEED"]), int(os.environ["SIMFERRY_SEED_HEX"][:12], 16), *drawn]
rows, total = world.gather(own), world.allreduce(int(sys.argv[1]) * world.rank)
open(f"host-{world.rank}.txt", "w").write(os.environ["SM_CURRENT_HOST"])
if world.rank == 0:
    with open("out.csv", "w") as file:
        csv.writer(file).writerows([["rank", "seed", "hex", "a", "b", "c", "total"], *([*row, total] for row in rows)])
"""
R = """
suppressMessages(library(Rmpi))
rank <- mpi.comm.rank(0)
all <- mpi.gather(c(rank, rnorm(2)), 2, double(3 * mpi.comm.size(0)), root = 0, comm = 0)
total <- mpi.allreduce(as.double(commandArgs(TRUE)[1]) * rank, type = 2, op = "sum", comm = 0)
if (rank == 0) {
  rows <- matrix(all, ncol = 3, byrow = TRUE)
  write.csv(data.frame(rank = rows[, 1], a = rows[, 2], b = rows[, 3], total = total), "out.csv", row.names = FALSE)
}
mpi.quit()
"""
# tasks of processes that a rank spawns, as many as the condition says
TASKS = {
    "spawn.py": """
import random, sys
import numpy as np
from mpi4py.futures import MPIPoolExecutor
def draw(i):
    return random.random(), np.random.random(), np.random.default_rng().random()
if __name__ == "__main__":
    with MPIPoolExecutor(int(sys.argv[1])) as pool:
        rows = [*pool.map(draw, range(6)), *pool.map(draw, range(6), chunksize=6), pool.submit(draw, 0).result()]
    open("out.csv", "w").write("a,b,c\\n" + "".join(f"{a!r},{b!r},{c!r}\\n" for a, b, c in rows))
""",
    "spawn.R": """
suppressMessages(library(Rmpi))
mpi.spawn.Rslaves(nslaves = as.integer(commandArgs(TRUE)[1]), needlog = FALSE, quiet = TRUE)
own <- unlist(mpi.remote.exec(rnorm(1)))
stopifnot(!anyDuplicated(own))
a <- unlist(mpi.applyLB(1:6, function(i) rnorm(1)))
b <- mpi.parSapply(1:6, function(i) rnorm(1))
write.csv(data.frame(a, b, c = rnorm(6)), "out.csv", row.names = FALSE)
mpi.close.Rslaves()
mpi.quit()
""",
}
EACH = """
import os, random, sys
host = os.environ["SM_CURRENT_HOST"]
open("out.csv", "w").write(f"host,x\\n{host},{random.random()}\\n")
sys.exit(5 if [host, sys.argv[1]] == ["algo-2", "2"] else 0)
"""


@pytest.fixture
def given(tmp_path, image_mpi):
    return {
        "args": "{n}", "results_file": "out.csv", "seed": 1, "store": tmp_path / "store", "backend": "docker",
        "image": image_mpi, "fresh": True,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "code", "drawn"), [("solve.py", PYTHON, 5), ("solve.R", R, 2)])
def test_ranks_add_up_and_draw_by_rank_wherever_they_are(tmp_path, engine, given, name, code, drawn):
    script = write(tmp_path, name, code)
    two = sf.run(script, sf.grid(n=[3]), replications=2, hosts=2, mpi=4, **given)
    table = two.results()
    assert table["rank"].tolist() == [*range(8)] * 2
    assert set(table["total"]) == {3 * 28}
    numbers = table.drop(columns=["condition", "replication", "n", "rank", "total"])
    assert numbers.shape == (16, drawn)
    assert numbers.nunique().tolist() == [16] * drawn
    assert left_behind(engine, two.id) == []
    # a replay has all ranks in one container
    assert str(two.replay(1, 2)).split() == two.artifacts(pattern="1/2/out.csv")[0].read_text().split()
    if name == "solve.py":
        kept = {path.name: path.read_text() for path in two.artifacts(1, 1)}
        assert [kept[f"host-{rank}.txt"] for rank in (0, 3, 4, 7)] == ["algo-1", "algo-1", "algo-2", "algo-2"]


@pytest.mark.parametrize("name", TASKS)
def test_tasks_draw_by_task_for_any_number_of_workers(tmp_path, given, name):
    script = write(tmp_path, name, TASKS[name])
    table = sf.run(script, sf.grid(n=[2, 3]), replications=1, common="all", mpi=1, **given).results()
    two, three = (table[table["n"] == n][["a", "b", "c"]].to_numpy() for n in (2, 3))
    assert (two == three).all()
    assert len({*two.ravel()}) == two.size


def test_a_lost_host_fails_the_job_by_name(tmp_path, engine, given):
    script = write(
        tmp_path, "long.py", "import time\nfrom mpi4py import MPI\nMPI.COMM_WORLD.Barrier()\ntime.sleep(100)\n"
    )
    killed = []

    def kill():
        until = time.monotonic() + 60
        while not killed and time.monotonic() < until:
            for host in engine.containers.list(filters={"label": JOB, "name": "algo-2"}, ignore_removed=True):
                if any("long.py" in " ".join(process) for process in host.top()["Processes"]):
                    host.kill()
                    killed.append(time.monotonic())
            time.sleep(0.1)

    killing = threading.Thread(target=kill)
    killing.start()
    with pytest.raises(errors.WorkerError, match="host algo-2 was lost"):
        sf.run(script, replications=1, hosts=2, mpi=2, retries=0, **{**given, "args": "", "results_file": ""})
    assert time.monotonic() - killed[0] < 30
    killing.join(60)


def test_a_script_runs_on_each_host(tmp_path, given, image_python):
    script = write(tmp_path, "each.py", EACH)
    run = sf.run(script, sf.grid(n=[1, 2]), replications=1, hosts=2, each_host=True, **{**given, "image": image_python})
    assert run.results()["host"].tolist() == ["algo-1"]
    here, there = (run.artifacts(pattern=f"1/1/{name}")[0].read_text() for name in ("out.csv", "algo-2/out.csv"))
    assert there.startswith("host,x\nalgo-2,")
    assert there.split(",")[-1] != here.split(",")[-1]
    failed = run.errors()
    assert failed["condition"].tolist() == [2]
    assert "on host algo-2 the program ended with exit code 5" in failed["message"][0]


def test_an_image_without_mpi(tmp_path, given, image_python):
    script = write(tmp_path, "plain.py", "print(1)\n")
    with pytest.raises(
        errors.SimulationError, match=r"is to run in several processes, for which image .* lacks mpirun"
    ):
        sf.run(script, replications=1, hosts=2, mpi=2, **{**given, "args": "", "image": image_python})
