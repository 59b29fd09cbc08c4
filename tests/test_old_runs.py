"""Runs that earlier versions of simferry began go on with the rules under which they began.

runs_of_version_1.tar.xz holds runs that simferry made when the streams of all simulations were of version 1, with two
replications each: a script and a function in R, and a command. What they would have gone on with was computed by that simferry.
"""

import shutil
import tarfile
import warnings
from pathlib import Path

import pytest
import simferry as sf
from common import require
from simferry.errors import Note
from simferry.jobs import streams

SEEDS = [2061841710, 2061841711, 2061841712, 1377412110, 1377412111, 1377412112]
DRAWS = [
    -0.9657972446414219, -2.12848728724861, -1.6703131912991604,
    -0.13076570118878705, -1.1084003896156451, 1.3651880854219225,
]  # fmt: skip
X = [
    -1.1464454837700297, 1.042239045376157, 0.544269389535465,
    1.2418238661547745, -1.1637875276642835, -0.896577082341569,
]  # fmt: skip
SEEDED = 3 * [2.189188728964852] + 3 * [0.05752965011089977]  # not the numbers of plain R, as version 2 has them


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """The store that they lie in. In it the version of a new run's streams is another, as it is sooner or later."""
    with tarfile.open(Path(__file__).parent / "runs_of_version_1.tar.xz") as file:
        file.extractall(tmp_path)  # our own
    for one in streams.VERSIONS:
        monkeypatch.setitem(streams.VERSIONS, one, 99)
    return tmp_path


def notes(act):
    """What `act` returns, and the notes that it gave."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        value = act()
    assert all(one.category is Note for one in told)
    return value, [str(one.message) for one in told]


@pytest.mark.parametrize("name", ["r-script", "r-function", "command"])
def test_they_are_extended_and_replayed_with_the_numbers_that_they_would_have_had(name, runs):
    require("r", name == "command" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    run = sf.open(name, runs)
    note = [
        f"run {name} draws random numbers by version 1 of simferry's rules, and keeps it; a new run would use version 99"
    ]
    assert notes(lambda: run.extend(3))[1] == note
    table = run.results()
    if name == "r-function":
        assert table["x"].tolist() == X and table["seeded"].tolist() == SEEDED
        assert notes(lambda: run.replay(2, 3)) == ({"x": X[5], "seeded": SEEDED[5]}, note)
        return
    assert table["seed"].tolist() == SEEDS
    if name == "r-script":
        assert table["x"].tolist() == DRAWS
    else:
        assert table["given"].tolist() == [f"{seed}_{1 + i // 3}" for i, seed in enumerate(SEEDS)]
    again, told = notes(lambda: run.replay(2, 3))
    assert str(SEEDS[5]) in again and told == note
    assert notes(run.resume)[1] == note


def test_another_version_ends_reuse_of_its_own_kind_only(tmp_path, monkeypatch):
    (tmp_path / "draw.sh").write_text('#!/bin/sh\necho "$SIMFERRY_SEED" > out.csv\n')
    (tmp_path / "draw.sh").chmod(0o755)
    (tmp_path / "draw.py").write_text("def simulate(rng):\n    return rng.random()\n")
    taken = []

    def run():
        for script, args, file in (("draw.sh", "", "out.csv"), ("draw.py", None, "")):
            sf.run(
                tmp_path / script, replications=2, seed=1, args=args, results_file=file, workers=1, store=tmp_path / "runs",
                on_start=lambda run, count, drawn: taken.append(count),
            )  # fmt: skip

    run()
    monkeypatch.setitem(streams.VERSIONS, ("python", "function"), 99)
    run()
    assert taken == [0, 0, 2, 0]


@pytest.mark.parametrize("name", ["rows", "common", "function"])
def test_runs_from_before_the_modules_lay_in_packages(name, tmp_path):
    """Factors, NA and dates in R; common random numbers; a function object of Python that calls R, pickled with `simferry.rpy`.

    The tables beside them were made by the simferry that began these runs.
    """
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    with tarfile.open(Path(__file__).parent / "runs_of_the_flat_layout.tar.xz") as file:
        file.extractall(tmp_path)  # our own
    run = sf.open(name, tmp_path)
    run.extend(3)
    run.results().to_csv(tmp_path / "now.csv", index=False)
    assert (tmp_path / "now.csv").read_text() == (tmp_path / f"{name}.csv").read_text()
