"""What R asks of runs, and the tables that it gets."""

import subprocess
import sys

import simferry as sf
from bridge_requests import call, finished, numbers, value_of
from common import bits
from simferry.r.serialization import decode
from simferry.results.table import table
from sweeps import digest, write


def test_the_same_seed_gives_the_same_table_as_in_python_and_the_shell(tmp_path):
    script = str(
        write(
            tmp_path, "s.R", "simulate <- function(n, effect) { x <- rnorm(n, effect); c(m = mean(x), u = runif(1)) }\n"
        )
    )
    design = {"n": numbers(10, 20), "effect": numbers(0.1, 0.5)}
    made = value_of(
        "run", simulation=script, design=design, replications=50.0, seed=7.0, store=str(tmp_path / "r")
    ).plain()
    now = finished(made["folder"])
    assert now["state"] == "complete" and now["outcome"] == {"error": None}
    python = sf.run(script, {"n": [10, 20], "effect": [0.1, 0.5]}, replications=50, seed=7, store=tmp_path / "python")
    (tmp_path / "design.csv").write_text("n,effect\n10,0.1\n20,0.5\n")
    command = [
        sys.executable,
        "-m",
        "simferry",
        "run",
        script,
        "--table",
        "design.csv",
        "-n",
        "50",
        "--seed",
        "7",
        "--store",
        "shell",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    shell = sf.open("latest", tmp_path / "shell")
    assert digest(sf.open(made["folder"])) == digest(python) == digest(shell)
    rows = value_of("results", run=made["folder"])
    assert bits(rows.values[4].values) == bits(python.results_table()["m"].to_numpy())


def test_results_are_the_table_itself(tmp_path, hand_made):
    folder = hand_made(sf.grid(n=[1, 2]), replications=1)
    folder.add([(1, 1), (2, 1)], [{"condition": [1, 2], "replication": [1, 1], "x": [0.5, None]}])
    out = value_of("results", run=str(folder.run.path))
    assert out.names == ["condition", "replication", "n", "x"]
    assert out.values[3].missing().tolist() == [False, True]
    assert bits(out.values[3].values) == bits(table(folder.run)["x"].to_numpy())


def test_a_summary_by_what_tells_rows_apart(tmp_path, hand_made):
    folder = hand_made(sf.grid(n=[1]), replications=3)
    ids = {"condition": [1] * 6, "replication": [1, 1, 2, 2, 3, 3]}
    folder.add([(1, r) for r in (1, 2, 3)], [{**ids, "method": [1, 2] * 3, "x": [0.5, 10.5, 1.5, 11.5, 2.5, 12.5]}])
    answer = call("summary", run=str(folder.run.path))
    means = dict(answer["value"].items())["mean"].plain()
    assert means == [1.5, 6.5]
    assert f'sim_summary("{folder.run.path}", by = "method")  keeps' in answer["warnings"].plain()
    rows = dict(value_of("summary", run=str(folder.run.path), by="method").items())
    assert rows["method"].plain() == [1, 2] and rows["mean"].plain() == [1.5, 11.5]
    assert call("summary", run=str(folder.run.path), by=["method", "k"])["error"].plain()["code"] == "usage"


def test_a_plan_for_the_cloud_has_its_rows_as_a_data_frame(tmp_path):
    write(tmp_path, "simulate.py", "def simulate(n, rng):\n    return rng.normal()\n")
    sweep = write(tmp_path, "sweep.toml", '[simulation]\nscript = "simulate.py"\n[run]\nretries = 3\n')
    environment = {"AWS_DEFAULT_REGION": "us-east-1", "XDG_CACHE_HOME": str(tmp_path)}
    design = {"n": numbers(10, 20)}
    answer = call(
        "plan", environment, simulation=str(sweep), design=design, replications=numbers(1e6), deadline="2h", budget=numbers(20),
        backend={"name": "sagemaker", "instance_type": "ml.c5.xlarge", "jobs": numbers(10)},
    )  # fmt: skip
    assert answer["ok"].plain(), answer["error"].plain()
    cloud = dict(dict(answer["value"].items())["cloud"].items())
    rows = dict(cloud["rows"].items())
    assert cloud["rows"].classes == ["data.frame"]
    assert list(rows) == ["instance_type", "jobs", "cores", "seconds", "dollars", "remark"]
    assert rows["instance_type"].plain()[0] == "ml.c5.xlarge" and rows["jobs"].plain()[0] == 10
    assert dict(cloud["fastest"].items())["dollars"].plain() <= 20
    assert any("the pilot ran " in note for note in cloud["notes"].plain())


def test_a_replication_again(tmp_path):
    script = write(
        tmp_path, "r.R", 'simulate <- function(n) { cat("drawn\\n"); if (n > 1) stop("too big"); c(a = 1/3) }'
    )
    run = sf.run(script, sf.grid(n=[1, 2]), replications=1, seed=1, store=tmp_path / "store")
    good = value_of("replay", run=str(run.folder), condition=numbers(1), replication=numbers(1))
    assert good.plain() | {"value": None} == {
        "failed": False,
        "output": "drawn\n        a \n0.3333333 \n",
        "value": None,
    }
    value = decode(dict(good.items())["value"].values.data)
    assert value.names == ["a"] and bits(value.values) == bits([1 / 3])
    bad = value_of("replay", run=str(run.folder), condition=numbers(2), replication=numbers(1)).plain()
    assert bad["failed"] and bad["output"].startswith("drawn\nError: too big (in simulate(n = 2))\nTraceback")
