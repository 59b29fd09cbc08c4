"""What a simulation is checked for before a run starts."""

import shutil
import subprocess
import sys
import warnings

import pytest
from common import require
from simferry import grid
from simferry.backends.foreground import Interpreter
from simferry.errors import Note, SimulationError
from simferry.sweep.simulation import Simulation
from simferry.verbs.check import check
from sweeps import write

PYTHON = "def simulate(n, rng):\n    return rng.normal(size=n).mean()\n"


def test_a_check_knows_the_interpreter(tmp_path):
    simulation = Simulation(write(tmp_path, "simulate.py", PYTHON))
    check(simulation, grid(n=[10]), Interpreter())
    assert simulation.environment["interpreter"].startswith("Python 3")


def test_packages_that_are_asked_for_politely_may_be_missing(tmp_path):
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    text = "if (!require(nothere)) try(library(nothere2))\nsimulate <- function(n, ...) n\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(Simulation(write(tmp_path, "simulate.R", text)), grid(n=[10], anything=["goes"]), Interpreter())


UNSURE = {
    "R": "f <- function() library(nothere)\nif (FALSE) nothere2::g()\nsimulate <- function(n) if (n > 9) nothere3::h() else n",
    "py": "def f():\n    import nothere\nif False:\n    import nothere2\n"
    "def simulate(n):\n    if n > 9:\n        import nothere3\n    return n\n",
}


@pytest.mark.parametrize("language", ["R", "py"])
@pytest.mark.parametrize("args", [None, "{n}"])
def test_packages_that_may_not_be_needed_are_a_note(tmp_path, language, args):
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    script = write(tmp_path, f"simulate.{language}", UNSURE[language])
    with pytest.warns(
        Note, match="names packages that are not installed: nothere2?, nothere2?, nothere3.*Install them"
    ):
        check(Simulation(script, args=args), grid(n=[1]), Interpreter())


NEEDED = {
    "R": (
        "f <- function() library(nothere)\nsimulate <- function(n) f()",
        "install.packages",
        "RUN Rscript -e 'install.p",
    ),
    "py": (
        "def f():\n    import nothere\ndef simulate(n):\n    f()\n",
        "pip install nothere",
        "RUN pip install nothere",
    ),
}


class InAnImage(Interpreter):
    """The interpreter of this machine, as if it were in an image."""

    def __init__(self, substitute=False):
        super().__init__(substitute=substitute, image="my-image")


@pytest.mark.parametrize("language", ["R", "py"])
def test_packages_that_are_needed_are_refused_with_how_to_install_them_there(tmp_path, language):
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    code, here, there = NEEDED[language]
    script = write(tmp_path, f"simulate.{language}", code)
    with pytest.raises(SimulationError, match="needs packages that are not installed: nothere") as local:
        check(Simulation(script), grid(n=[1]), Interpreter())
    assert here in str(local.value.hint) and (language == "R" or sys.executable in str(local.value.hint))
    with pytest.raises(SimulationError, match="not installed in image my-image: nothere") as image:
        check(Simulation(script), grid(n=[1]), InAnImage())
    assert f'recipe_for("{script}")' in str(image.value.hint) and there in str(image.value.hint)
    with pytest.warns(
        UserWarning, match="needs nothere, not installed on this machine. Image my-image, which is not here"
    ):
        check(Simulation(script), grid(n=[1]), InAnImage(substitute=True))


ELSEWHERE = {
    "R": "library(grid); .libPaths('lib'); library({})\nsimulate <- function(n) n",
    "py": "import __main__, os, sys\nhere = os.path.dirname(__file__)\nsys.path.insert(0, os.path.join(here, 'lib'))\n"
    "import {}\ndef simulate(n):\n    return n\n",
}


@pytest.mark.parametrize("language", ["R", "py"])
def test_packages_in_folders_that_the_script_adds_are_found(tmp_path, language):
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    (tmp_path / "lib" / "there").mkdir(parents=True)
    (tmp_path / "lib" / "there" / "__init__.py").touch()
    if language == "R":
        (tmp_path / "there").mkdir()
        fields = ("Title: T", "Description: D.", "License: GPL-2", "Author: A", "Maintainer: A <a@b.c>")
        (tmp_path / "there" / "DESCRIPTION").write_text("\n".join(["Package: there", "Version: 1.0", *fields, ""]))
        (tmp_path / "there" / "NAMESPACE").touch()
        subprocess.run(
            ["R", "CMD", "INSTALL", "-l", tmp_path / "lib", tmp_path / "there"], check=True, capture_output=True
        )
    for args in (None, "{n}"):
        script = write(tmp_path, f"simulate.{language}", ELSEWHERE[language].format("there"))
        check(Simulation(script, args=args, include=[str(tmp_path / "lib")]), grid(n=[1]), Interpreter())
    script = write(tmp_path, f"simulate.{language}", ELSEWHERE[language].format("nothere"))
    with pytest.raises(SimulationError, match="needs packages that are not installed: nothere"):
        check(Simulation(script), grid(n=[1]), Interpreter())


@pytest.mark.parametrize("language", ["R", "py"])
def test_packages_whose_tasks_have_no_streams_are_warned_of(tmp_path, language):
    name = "snowfall" if language == "R" else "mpire"
    code = {
        "R": "simulate <- function(n) { if (n > 9) snowfall::sfLapply(1:2, rnorm); mean(rnorm(n)) }",
        "py": "def simulate(n, rng):\n    if n > 9:\n        import mpire\n    return rng.random()",
    }[language]
    script = write(tmp_path, f"simulate.{language}", code)
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    with pytest.warns(UserWarning, match=f"uses {name}: tasks that it starts have no streams of their own"):
        check(Simulation(script), grid(n=[1]), Interpreter())


def test_a_script_named_as_a_module_of_python_and_one_in_a_package(tmp_path):
    for name, options in (("random.py", {}), ("random.py", {"args": ""})):
        path = tmp_path / name
        path.write_text("import random\ndef simulate(): return random.random()\n")
        with pytest.raises(SimulationError, match="has the name of Python's own module random"):
            check(Simulation(path, **options), grid(), Interpreter())
    path = tmp_path / "calendar.py"  # it can be loaded, and is in the way of what imports Python's own
    path.write_text("def simulate(): return 1\n")
    with pytest.warns(UserWarning, match="has the name of Python's own module calendar"):
        check(Simulation(path), grid(), Interpreter())
    path = tmp_path / "pandas.py"
    path.write_text("import pandas as pd\nd = pd.DataFrame()\ndef simulate(): return 1\n")
    with pytest.raises(SimulationError, match="has the name of the installed module pandas"):
        check(Simulation(path), grid(), Interpreter())


def test_nobody_is_told_to_install_a_package_of_their_own(tmp_path):
    write(tmp_path, "study/pyproject.toml", "")
    write(tmp_path, "study/src/mypkg/const.py", "A = 3\n")
    script = write(tmp_path, "study/scripts/sim.py", "import mypkg.const\ndef simulate(): return mypkg.const.A\n")
    with pytest.raises(SimulationError, match="imports mypkg of its project") as error:
        check(Simulation(script), grid(), Interpreter())
    assert "pip" not in f"{error.value.hint}" and "project=True" in f"{error.value.hint}"
    check(Simulation(script, project=True), grid(), Interpreter())


def test_what_is_above_the_script_is_named_where_it_is_missing(tmp_path):
    write(tmp_path, "study/.here", "")
    write(tmp_path, "study/lib/h.txt", "")
    script = write(tmp_path, "study/scripts/sim.py", "open('../lib/h.txt')\ndef simulate(): return 1\n")
    with pytest.raises(SimulationError, match="fails when it is loaded") as error:
        check(Simulation(script), grid(), Interpreter())
    assert 'include=["../lib/h.txt"], or its project with project=True' in f"{error.value.hint}"
