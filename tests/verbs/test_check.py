"""What a simulation is checked for before a run starts."""

import shutil

import pytest
from common import require
from simferry import grid
from simferry.backends.foreground import Interpreter
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
    check(Simulation(write(tmp_path, "simulate.R", text)), grid(n=[10], anything=["goes"]), Interpreter())


@pytest.mark.parametrize("language", ["R", "py"])
def test_packages_whose_tasks_have_no_streams_are_warned_of(tmp_path, language):
    name = "snow" if language == "R" else "mpire"
    code = {
        "R": "simulate <- function(n) { if (n > 9) snow::parLapply(cl, 1:2, rnorm); mean(rnorm(n)) }",
        "py": "def simulate(n, rng):\n    if n > 9:\n        import mpire\n    return rng.random()",
    }[language]
    script = write(tmp_path, f"simulate.{language}", code)
    require("r", language == "py" or shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    with pytest.warns(UserWarning, match=f"uses {name}: tasks that it starts have no streams of their own"):
        check(Simulation(script), grid(n=[1]), Interpreter())
