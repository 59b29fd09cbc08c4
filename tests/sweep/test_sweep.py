"""Sweeps as values: made, shown, changed, written and read again."""

import numpy as np
import pytest
import simferry as sf
from simferry.errors import SimulationError, UsageError


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
    other.write_text(script.read_text())
    called = sf.Sweep(script, function="draw", include="helpers.R", replications=5)
    assert called.replace(simulation=other) == sf.Sweep(other, function="draw", include="helpers.R", replications=5)
    assert called.replace(simulation=sf.Simulation(other)) == sf.Sweep(other, replications=5)
    docker = sweep.replace(backend="docker", image="simferry-r")
    assert docker.backend.given() == {"image": "simferry-r"} and docker.replications == 5


def test_constants_are_compared_by_value():
    def simulate(x):
        return 1

    one, same, other = (sf.Sweep(simulate, constants={"x": np.arange(n)}) for n in (3, 3, 4))
    assert one == same and one != other


def test_run_and_plan_take_it(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n, rng): return rng.normal()\n")
    sweep = sf.Sweep(tmp_path / "s.py", sf.grid(n=[1, 2]), replications=2, seed=1, store=tmp_path / "runs", workers=1)
    assert sf.plan(sweep, pilot=False).total == 4
    run = sf.run(sweep)
    assert run.status().done == 4 and run.seed == 1
    for verb in (sf.run, sf.plan):
        with pytest.raises(UsageError, match=r"seed is given beside a sweep, .*\nWrite sweep\.replace\(seed="):
            verb(sweep, seed=2)
        with pytest.raises(UsageError, match="the local backend has no option nonsense"):
            verb(sweep, nonsense="x")
        with pytest.raises(UsageError, match="seed is -1; it has to be"):
            verb(sweep, seed=-1)
    with pytest.raises(UsageError, match="how many replications"):
        sf.run(tmp_path / "s.py", store=tmp_path / "runs")


def test_what_is_no_function_has_one_replication_unless_told(tmp_path):
    (tmp_path / "s.py").write_text("")
    scripts = sf.Sweep(tmp_path / "s.py", sf.grid(n=[1, 2]), args="{n}")
    assert scripts.replications == sf.Sweep("image:program", backend="docker").replications == 1
    assert scripts.replace(replications=3).replications == 3
    with pytest.raises(UsageError, match="how many replications"):
        assert sf.Sweep(tmp_path / "s.py").replications


def test_a_sweep_file_is_no_simulation(script, tmp_path):
    sf.Sweep(script, replications=1).write(tmp_path / "sweep.toml")
    with pytest.raises(
        UsageError, match=r"is a sweep file, not a script\s+In Python: simferry.run\(simferry.read_sweep\("
    ):
        sf.run(tmp_path / "sweep.toml")
    with pytest.raises(UsageError, match="can't be read: Is a directory"):
        sf.read_sweep(tmp_path)


def test_a_setup_script_is_part_of_the_code(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "setup.sh").write_bytes(b"echo 1\n")
    plain = sf.Sweep(script, sf.grid(n=[10]), replications=5, backend="docker", image="simferry-r")
    sweep = plain.replace(before="setup.sh")
    own, without = sweep.simulation.code_hash(), plain.simulation.code_hash()
    assert own != without and {"name": "before", "path": str(tmp_path / "setup.sh")} in sweep.simulation.code()
    assert sweep.simulation.spec()["before"] == "setup.sh" and "before" not in plain.simulation.spec()
    sweep.simulation.write_code(tmp_path / "snapshot")
    assert (tmp_path / "snapshot" / "simferry_worker" / "before").read_bytes() == b"echo 1\n"
    (tmp_path / "setup.sh").write_bytes(b"echo 1\r\n")  # as Windows saves it
    assert sweep.simulation.code_hash() == own
    (tmp_path / "setup.sh").write_bytes(b"echo 2\n")
    assert sweep.simulation.code_hash() not in (own, without)
    assert sweep.replace(seed=1).simulation.before == "setup.sh"
    here = sweep.replace(backend="local")
    assert here.simulation.code_hash() == without and here.simulation.before is None
    sweep.write(tmp_path / "sweep.toml")
    assert 'before = "setup.sh"' in (tmp_path / "sweep.toml").read_text()
    monkeypatch.chdir(tmp_path.parent)  # in a file it is relative to the file
    assert sf.read_sweep(tmp_path / "sweep.toml") == sf.Sweep(
        script, sf.grid(n=[10]), replications=5, backend="docker", image="simferry-r", before=tmp_path / "setup.sh"
    )
    with pytest.raises(SimulationError, match=r"before: setpu\.sh is not there"):
        plain.replace(before="setpu.sh")
    with pytest.raises(UsageError, match=r'no option before\nIt would change this machine: .* backend="docker"'):
        sf.run(script, replications=1, before=tmp_path / "setup.sh", store=tmp_path / "runs")
