"""Sweeps as values: made, shown, changed, written and read again."""

import math
import os
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


def test_its_repr_is_the_call_that_makes_it(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = sf.Sweep(
        "code/simulate.R", sf.grid(n=[10, 20.0]), replications=5, seed=3, common="n", workers=2.0, retries=0
    )
    assert repr(sweep) == (
        "sf.Sweep('code/simulate.R', sf.grid(n=[10, 20]), replications=5, seed=3, common='n', retries=0, workers=2)"
    )
    assert (sweep.replications, sweep.seed, sweep.common) == (5, 3, ["n"])
    with pytest.raises(AttributeError):
        sweep.design = None

    def draw(n, data):
        return n

    assert repr(sf.Sweep(draw, constants={"data": np.zeros(100), "k": 3})) == (
        "sf.Sweep(draw, constants={'data': <ndarray>, 'k': 3})"
    )


@pytest.mark.parametrize(
    "design, shown",
    [
        (sf.grid(), "sf.grid()"),
        (sf.grid(n=range(400), m=["a", None]), "sf.grid(n=[0, 1, 2, ... (400 values)], m=['a', None])"),
        (sf.zipped({"a b": [1, 2], "s": ["x" * 99, "y"]}),
         f"sf.zipped({{'a b': [1, 2], 's': [{'x' * 40!r}... (99 characters), 'y']}})"),
        (sf.table({"n": range(5000), "k": range(5000)}, types={"k": "integer"}),
         "sf.zipped(n=[0, 1, 2, ... (5,000 values)], k=[0, 1, 2, ... (5,000 values)], types={'k': 'integer'})"),
    ],
)  # fmt: skip
def test_a_design_shows_its_values(design, shown):
    assert repr(design) == shown


def test_another_one_is_made_by_replace(script):
    sweep = sf.Sweep(script, sf.grid(n=[10]), replications=5, workers=2)
    assert sweep.replace(seed=1) == sf.Sweep(script, sf.grid(n=[10]), replications=5, workers=2, seed=1)
    assert sweep.replace(seed=1) != sweep
    assert sweep.replace(function="draw").simulation.function == "draw"
    other = script.with_name("other.R")
    other.write_text(R)
    called = sf.Sweep(script, function="draw", include="helpers.R", replications=5)
    assert called.replace(simulation=other) == sf.Sweep(other, function="draw", include="helpers.R", replications=5)
    assert called.replace(simulation=sf.Simulation(other)) == sf.Sweep(other, replications=5)
    docker = sweep.replace(backend="docker", image="simferry-r")
    assert docker.backend.given() == {"image": "simferry-r"} and docker.replications == 5


AWKWARD = {
    "x": [0.1, -0.0, 1e300, math.inf, math.nan, 5e-324] + [float(v) for v in range(30)],
    "s": ["10", "a,b", '"q"', "", "NA", "true", *map(str, range(29)), None],
    "k": np.arange(36, dtype=np.int32),
    "b": [None, True, False] * 12,
}


@pytest.mark.parametrize("rows", [7, 36])
def test_what_is_written_is_read_again_bit_for_bit(script, tmp_path, rows):
    design = sf.table({name: list(values)[:rows] for name, values in AWKWARD.items()}, types={"k": "integer"})
    sweep = sf.Sweep(
        script, design, replications=5, seed=3, common=["x"], include=["helpers.R"], inputs={"data": tmp_path / "data.csv"},
        args="{x} {s} {k} {b}", results_file="r.csv", store=tmp_path / "runs", on_error="stop", replication_timeout=1.5,
        backend="sagemaker", instance_type=["ml.c5.xlarge", "ml.m5.xlarge"], jobs=3, tags={"a b": "c=d"}, network_isolation=True,
    )  # fmt: skip
    if rows <= 10:
        assert eval(repr(sweep), {"sf": sf}) == sweep
    sweep.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep
    assert (tmp_path / "sweep.csv").exists()  # either has NA
    assert sf.read_sweep(tmp_path / "sweep.toml", "local").backend.given() == {}


def test_a_few_conditions_stand_in_the_file_itself(script, tmp_path):
    sweep = sf.Sweep(script, sf.grid(n=[10, 20], effect=[-0.0, 0.5]), replications=5)
    sweep.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep
    assert sorted(path.name for path in tmp_path.glob("sweep.*")) == ["sweep.toml"]


def test_a_whole_script_without_arguments_stays_one(script, tmp_path):
    sweep = sf.Sweep(script, args="", replications=5)
    sweep.write(tmp_path / "sweep.toml")
    assert (
        sweep.replace(include="helpers.R").simulation.kind
        == sf.read_sweep(tmp_path / "sweep.toml").simulation.kind
        == "script"
    )
    assert sweep != sf.Sweep(script, replications=5) and "args=''" in repr(sweep)


def test_constants_are_compared_by_value(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(x): return 1\n")
    one, same, other = (sf.Sweep(tmp_path / "s.py", constants={"x": np.arange(n)}) for n in (3, 3, 4))
    assert one == same and one != other


def test_no_file_of_the_users_is_overwritten_by_a_design(script, tmp_path):
    (tmp_path / "power.csv").write_text("precious\n1\n")
    sweep = sf.Sweep(script, sf.grid(n=list(range(30))), inputs={"data": tmp_path / "power.csv"}, replications=5)
    with pytest.raises(UsageError, match=r"power\.csv, which is another file already"):
        sweep.write(tmp_path / "power.toml")
    assert (tmp_path / "power.csv").read_text() == "precious\n1\n" and not (tmp_path / "power.toml").exists()
    sweep.write(tmp_path / "sweep.toml")
    (longer := sweep.replace(design=sf.grid(n=list(range(31))))).write(tmp_path / "sweep.toml")  # which is its own
    assert sf.read_sweep(tmp_path / "sweep.toml") == longer
    text = "k,n\n" + "".join(f"{n},{n}.0\n" for n in range(30))
    (tmp_path / "mine.csv").write_text(text)  # the design itself
    sweep.replace(design=sf.table(tmp_path / "mine.csv")).write(tmp_path / "mine.toml")
    assert (tmp_path / "mine.csv").read_text() == text


def test_what_goes_with_a_program_on_the_path_is_found_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "help.txt").touch()
    sf.Sweep("cat", args="help.txt", include="help.txt").write("sweep.toml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "help.txt" in sf.read_sweep("../sweep.toml").simulation.files()


def test_what_a_simulation_says_itself_is_not_said_again(script):
    with pytest.raises(UsageError, match="function is given beside a Simulation"):
        sf.Sweep(sf.Simulation(script), function="draw")


def test_a_folder_that_is_not_there_is_named(script, tmp_path):
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere"):
        sf.Sweep(script).write(tmp_path / "nowhere" / "sweep.toml")


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
    for verb in (sf.run, sf.plan):
        with pytest.raises(UsageError, match=r"seed is given beside a sweep, .*\nWrite sweep\.replace\(seed="):
            verb(sweep, seed=2)
        with pytest.raises(UsageError, match="the local backend has no option name"):
            verb(sweep, name="x")
        with pytest.raises(UsageError, match="seed is -1; it has to be"):
            verb(sweep, seed=-1)
    with pytest.raises(UsageError, match="how many replications"):
        sf.run(tmp_path / "s.py", store=tmp_path / "runs")


def test_a_name_that_is_not_unicode_text_is_refused(script, tmp_path):
    path = tmp_path / os.fsdecode(b"s\xff.R")
    path.write_text(R)
    with pytest.raises(UsageError, match=r"can't hold a name that is not Unicode text: .*s.udcff\.R"):
        sf.Sweep(path, replications=1).write(tmp_path / "sweep.toml")
    assert not (tmp_path / "sweep.toml").exists()


def test_a_sweep_file_is_no_simulation(script, tmp_path):
    sf.Sweep(script, replications=1).write(tmp_path / "sweep.toml")
    with pytest.raises(
        UsageError, match=r"is a sweep file, not a script\s+In Python: simferry.run\(simferry.read_sweep\("
    ):
        sf.run(tmp_path / "sweep.toml")
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        sf.read_sweep(tmp_path)
