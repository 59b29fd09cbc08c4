"""Sweeps as values: made, shown, changed, written and read again."""

import math
from pathlib import Path

import numpy as np
import pytest
import simferry as sf
from simferry.errors import UsageError

R = "simulate <- function(n, effect = 0) mean(rnorm(n, effect))\n"


@pytest.fixture
def script(tmp_path) -> Path:
    path = tmp_path / "code" / "simulate.R"
    path.parent.mkdir()
    path.write_text(R)
    (tmp_path / "code" / "helpers.R").write_text("x <- 1\n")
    (tmp_path / "data.csv").write_text("a\n1\n")
    return path


def test_it_says_all_of_itself(script):
    sweep = sf.Sweep(script, sf.grid(n=[10, 20]), replications=5, seed=3, common="n", workers=2.0, retries=0)
    assert repr(sweep) == (
        f"Sweep({str(script)!r}, Design(2 conditions: n (number)), replications=5, seed=3, common='n', retries=0, "
        "backend='local', workers=2)"
    )
    assert (sweep.replications, sweep.seed, sweep.common) == (5, 3, ["n"])
    with pytest.raises(AttributeError):
        sweep.design = None


def test_another_one_is_made_by_replace(script):
    sweep = sf.Sweep(script, sf.grid(n=[10]), replications=5, workers=2)
    assert sweep.replace(seed=1) == sf.Sweep(script, sf.grid(n=[10]), replications=5, workers=2, seed=1)
    assert sweep.replace(seed=1) != sweep
    assert sweep.replace(function="draw").simulation.function == "draw"
    docker = sweep.replace(backend="docker", image="simferry-r")
    assert docker.backend.given() == {"image": "simferry-r"} and docker.replications == 5


AWKWARD = {
    "x": [0.1, -0.0, 1e300, math.inf, math.nan, 5e-324] + [float(v) for v in range(30)],
    "s": ["10", "a,b", '"q"', "", "NA", "true", *map(str, range(29)), None],
    "k": np.arange(36, dtype=np.int32),
    "b": [None, True, False] * 12,
}


@pytest.mark.parametrize("rows", [3, 36])
def test_what_is_written_is_read_again_bit_for_bit(script, tmp_path, rows):
    design = sf.table({name: list(values)[:rows] for name, values in AWKWARD.items()}, types={"k": "integer"})
    sweep = sf.Sweep(
        script, design, replications=5, seed=3, common=["x"], include=["helpers.R"], inputs={"data": tmp_path / "data.csv"},
        args="{x} {s} {k} {b}", results_file="r.csv", store=tmp_path / "runs", on_error="stop", replication_timeout=1.5,
        backend="sagemaker", instance_type=["ml.c5.xlarge", "ml.m5.xlarge"], jobs=3, tags={"a b": "c=d"}, network_isolation=True,
    )  # fmt: skip
    sweep.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep
    assert (tmp_path / "sweep.csv").exists()  # either has NA
    assert sf.read_sweep(tmp_path / "sweep.toml", "local").backend.given() == {}


def test_a_few_conditions_stand_in_the_file_itself(script, tmp_path):
    sweep = sf.Sweep(script, sf.grid(n=[10, 20], effect=[-0.0, 0.5]), replications=5)
    sweep.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep
    assert sorted(path.name for path in tmp_path.glob("sweep.*")) == ["sweep.toml"]


def test_what_no_file_holds_is_refused_by_name(tmp_path):
    def simulate(n, data):
        return n

    with pytest.raises(UsageError, match="simulation is function simulate, and a sweep file can't hold"):
        sf.Sweep(simulate, sf.grid(n=[1]), replications=1).write(tmp_path / "sweep.toml")
    (tmp_path / "s.py").write_text("def simulate(n, data): return n\n")
    sweep = sf.Sweep(tmp_path / "s.py", sf.grid(n=[1]), replications=1, constants={"data": object()})
    with pytest.raises(UsageError, match="constants holds data"):
        sweep.write(tmp_path / "sweep.toml")
    assert not list(tmp_path.glob("sweep.*"))


def test_run_and_plan_take_it(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n, rng): return rng.normal()\n")
    sweep = sf.Sweep(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=2, seed=1, store=tmp_path / "runs", workers=1)
    assert sf.plan(sweep, pilot=False).total == 4
    run = sf.run(sweep)
    assert run.status().done == 4 and run.seed == 1
    with pytest.raises(UsageError, match="seed is given beside a sweep"):
        sf.run(sweep, seed=2)
    with pytest.raises(UsageError, match="how many replications"):
        sf.run(tmp_path / "s.py", store=tmp_path / "runs")
