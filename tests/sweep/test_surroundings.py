"""Where a script and what is above it are in the snapshot, and what of it enters the code's hash."""

import shutil
import subprocess

import pytest
import simferry as sf
from common import require
from simferry.backends.foreground import Interpreter
from simferry.sweep.simulation import Simulation
from simferry.verbs.check import check
from sweeps import write


@pytest.fixture
def study(tmp_path):
    write(tmp_path, "study/.here", "")
    write(tmp_path, "study/lib/one.py", "ONE = 1\n")
    write(tmp_path, "study/lib/two.py", "TWO = 2\n")
    write(tmp_path, "study/data/d.csv", "x\n1\n")
    write(tmp_path, "study/models/m.stan", "data {}\n")
    write(tmp_path, "study/worker.py", "raise SystemExit(1)\n")
    write(tmp_path, "study/statistics.py", "raise SystemExit(1)\n")
    code = "import pathlib\nfrom lib.one import ONE\nMODEL = pathlib.Path('..') / 'models' / 'm.stan'\n"
    write(tmp_path, "study/scripts/sim.py", code + "def simulate(): return ONE + MODEL.exists()\n")
    return tmp_path / "study"


def test_the_snapshot_is_that_of_today_where_nothing_above_is_needed(study):
    assert list(Simulation(study / "scripts" / "sim.py").files()) == ["sim.py"]
    assert "folder" not in Simulation(study / "scripts" / "sim.py").spec()


def test_what_is_above_is_where_the_script_finds_it(study):
    simulation = Simulation(study / "scripts" / "sim.py", include=["../lib"])
    files = ["study/.here", "study/lib/one.py", "study/lib/two.py", "study/scripts/lib/one.py", "study/scripts/lib/two.py",
             "study/scripts/sim.py"]  # fmt: skip
    assert sorted(simulation.files()) == files and simulation.spec()["script"] == "study/scripts/sim.py"
    assert simulation.code_hash() == Simulation(study / "scripts" / "sim.py", include=[study / "lib"]).code_hash()


def test_of_a_project_only_code_that_is_loaded_enters_the_hash(study):
    def hash_now():
        simulation = Simulation(study / "scripts" / "sim.py", project=True)
        check(simulation, sf.grid(), Interpreter())
        return simulation.code_hash()

    before = hash_now()
    for name in ("lib/two.py", "data/d.csv", "worker.py"):
        write(study, name, "changed = 1\n")
    assert hash_now() == before
    write(study, "models/m.stan", "data { int n; }\n")
    with_model = hash_now()
    write(study, "lib/one.py", "ONE = 3\n")
    assert len({before, with_model, hash_now()}) == 3


@pytest.mark.parametrize("language", ["py", "sh"])
def test_a_project_travels_with_functions_scripts_and_commands(study, tmp_path, language):
    """From another working directory; the project's own worker.py and statistics.py are in nobody's way."""
    code = {
        "py": "import json, sys\nfrom lib.one import ONE\njson.dump({'x': ONE + len(open('../data/d.csv').read())}, open('r.json', 'w'))\n"
        "open('../above.txt', 'w').write('a')\nopen('beside.txt', 'w').write('b')\n",
        "sh": "#!/bin/sh\necho $(($(wc -c < ../data/d.csv) + 1)) > r.json\necho a > ../above.txt\necho b > beside.txt\n",
    }[language]
    script = write(study, f"scripts/whole.{language}", code)
    script.chmod(0o755)
    run = sf.run(script, args="", results_file="r.json", project=True, replications=2, seed=1, store=tmp_path / "runs")
    assert run.results().iloc[:, -1].tolist() == [5, 5]
    assert sorted({path.name for path in run.artifacts()}) == ["above.txt", "beside.txt", "r.json"]
    assert run.replay(1, 1).strip() == {"py": '{"x": 5}', "sh": "5"}[language]


def test_code_that_was_loaded_only_in_replications_counts_for_reuse(study, tmp_path):
    write(study, "lib/late.py", "LATE = 1\n")
    code = "import importlib\nNAME = '.'.join(['lib', 'late'])\ndef simulate(): return importlib.import_module(NAME).LATE\n"
    script = write(study, "scripts/late.py", code)

    taken = []
    start = {"on_start": lambda run, taken_over, drawn: taken.append(taken_over)}
    sf.run(script, project=True, replications=2, seed=1, store=tmp_path / "runs", **start)
    write(study, "data/d.csv", "x\n2\n")
    with pytest.warns(
        UserWarning, match=r"taken over, though files .* differ from those that it had: data/d.csv\. .*fresh=True"
    ):
        sf.run(script, project=True, replications=2, seed=1, store=tmp_path / "runs", **start)
    write(study, "lib/late.py", "LATE = 2\n")
    run = sf.run(script, project=True, replications=2, seed=1, store=tmp_path / "runs", **start)
    assert taken == [0, 2, 0] and run.results()["value"].tolist() == [2, 2]


R_SCRIPT = """source(here::here("R", "h.R"))
writeLines("x", here::here("output", "log.txt"))
x <- nrow(read.csv("../data/d.csv"))
"""


@pytest.mark.parametrize("whole", [False, True])
def test_r_finds_the_project_s_folder(tmp_path, whole):
    """Each process has a folder of its own, also for here::here(), which keeps what it found when it was loaded."""
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    study = tmp_path / "study"
    write(study, "R/h.R", "f <- function() 3\n")
    write(study, "R/unused.R", "g <- 1\n")
    write(study, "data/d.csv", "x\n1\n")
    write(study, "output/old.txt", "of an earlier day")
    write(study, ".gitignore", "output\n")
    subprocess.run(["git", "init", "-q", study], check=True)
    code = "cat(x + f(), file = 'r.txt')\n" if whole else (
        "simulate <- function(n) { file <- here::here('output', 'own.txt'); old <- file.exists(file); cat(n, file = file)\n"
        "  c(value = x + f() + 10 * old) }\n"
    )  # fmt: skip
    script = write(study, "analysis/sim.R", R_SCRIPT + code)
    options = {"args": "{n}", "results_file": "r.txt"} if whole else {}
    run = sf.run(
        script, {"n": [1, 2]}, project=True, replications=20, seed=1, store=tmp_path / "runs", workers=2, **options
    )
    assert run.errors().empty and run.results()["value"].tolist() == [4] * 40
    assert [one["name"] for one in run.record["own_code"]] == ["../R/h.R"]
    if whole:
        assert sorted({str(path).split("/artifacts/")[1].split("/", 2)[2] for path in run.artifacts()}) == [
            "output/log.txt",
            "r.txt",
        ]
    assert run.replay(2, 3) == ("4" if whole else {"value": 4})
