"""Sweeps that are written to a file and read again."""

import math
import os

import numpy as np
import pytest
import simferry as sf
from simferry.errors import UsageError
from sweeps import write

AWKWARD = {
    "x": [0.1, -0.0, 1e300, math.inf, math.nan, 5e-324] + [float(v) for v in range(30)],
    "s": ["10", "a,b", '"q"', "", "NA", "true", *map(str, range(29)), None],
    "k": np.arange(36, dtype=np.int32),
    "b": [None, True, False] * 12,
    "l": [[0.1, -0.0, math.nan], [], [1], *([[1, 2]] * 33)],
    "a": [np.array([1, 2])] * 36,
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
    sweep = sf.Sweep(script, sf.grid(n=[10, 20], effect=[-0.0, 0.5], b=[[1, 0.1], []]), replications=5)
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
    assert not list(tmp_path.glob("sweep.*"))


def test_a_name_that_is_not_unicode_text_is_refused(script, tmp_path):
    path = tmp_path / os.fsdecode(b"s\xff.R")
    path.write_text(script.read_text())
    with pytest.raises(UsageError, match=r"the file name .*s.*udcff\.R. is not UTF-8"):
        sf.Sweep(path, replications=1).write(tmp_path / "sweep.toml")
    assert not (tmp_path / "sweep.toml").exists()


def test_what_is_above_the_script_stays_above(tmp_path):
    write(tmp_path, "study/.here", "")
    write(tmp_path, "study/R/h.R", "")
    script = write(tmp_path, "study/scripts/simulate.R", "simulate <- function(n) n")
    sweep = sf.Sweep(script, {"n": [1]}, include=["../R"], project=True, replications=2)
    sweep.write(tmp_path / "sweep.toml")
    assert sf.read_sweep(tmp_path / "sweep.toml") == sweep != sweep.replace(project=False)
    assert sf.read_sweep(tmp_path / "sweep.toml").simulation.files().keys() == sweep.simulation.files().keys()
