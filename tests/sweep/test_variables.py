"""Environment variables of a simulation: names, values, placeholders; the same in a function, a script and a command, in R and Python."""

import os
import shutil

import pytest
import simferry as sf
from click.testing import CliRunner
from common import require
from r_fixtures import in_r, library  # noqa: F401
from simferry.cli import main
from simferry.errors import SimulationError, UsageError
from sweeps import write

R_FUNCTION = """
at_the_top <- Sys.getenv("FOLDER")
simulate <- function(n) {
  seen <- Sys.getenv(c("TASK", "FOLDER", "EMPTY", "LEFT"), NA)
  if (n == 5) Sys.setenv(TASK = "changed", LEFT = "behind")
  data.frame(task = seen[[1]], folder = paste(seen[[2]], at_the_top), empty = seen[[3]], left = is.na(seen[[4]]), u = runif(1))
}
"""
PYTHON_FUNCTION = """
import os
at_the_top = os.environ["FOLDER"]
def simulate(n, rng):
    seen = [os.environ.get(name) for name in ("TASK", "FOLDER", "EMPTY", "LEFT")]
    if n == 5:
        os.environ.update(TASK="changed", LEFT="behind")
    return {"task": seen[0], "folder": f"{seen[1]} {at_the_top}", "empty": seen[2], "left": seen[3] is None,
            "u": rng.random()}
"""
ENV = {"TASK": "{condition}-{replication}-{n}", "FOLDER": "a b 'ü'", "EMPTY": ""}
CREDENTIALS = ["AWS_SECRET_ACCESS_KEY", "AWS_REGION", "GITHUB_TOKEN", "token", "DB_PASSWORD", "MY_SECRET_X", "API_KEY",
               "SSH_KEY", "GITHUB_PAT", "DB_PASS"]  # fmt: skip


@pytest.fixture
def r():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")


@pytest.mark.parametrize(("name", "code"), [("s.R", R_FUNCTION), ("s.py", PYTHON_FUNCTION)])
def test_functions(tmp_path, name, code, r):
    script = write(tmp_path, name, code)
    plain = write(tmp_path, f"plain-{name}", code)
    given = {"replications": 30, "seed": 1, "store": tmp_path / "runs", "workers": 2}
    run = sf.run(script, sf.grid(n=[5, 6]), env=ENV, **given)
    rows = run.results()
    numbers = zip(rows["condition"], rows["replication"], rows["n"].astype(int), strict=True)
    assert rows["task"].tolist() == [f"{c}-{r}-{n}" for c, r, n in numbers]
    assert set(rows["folder"]) == {"a b 'ü' a b 'ü'"} and set(rows["empty"]) == {""} and all(rows["left"])
    same = sf.run(plain, sf.grid(n=[5, 6]), env={**ENV, "TASK": "other"}, **given)
    assert same.results()["u"].tolist() == rows["u"].tolist()  # the streams do not depend on it
    replayed = run.replay(2, 7)
    assert replayed["task"].tolist() == ["2-7-6"] if name == "s.R" else replayed["task"] == "2-7-6"
    assert "TASK" not in os.environ and "FOLDER" not in os.environ
    assert run.extend(31).results()["task"].tolist()[30] == "1-31-5"


SCRIPTS = {
    "s.R": 'writeLines(paste(Sys.getenv("TASK"), Sys.getenv("SEED") == Sys.getenv("SIMFERRY_SEED"), Sys.getenv("MC_CORES")), "out.txt")',
    "s.py": "import os; e = os.environ; open('out.txt', 'w').write(f\"{e['TASK']} TRUE {e['MC_CORES']}\\n\")",
    "s.sh": '#!/bin/sh\n[ "$SEED" = "$SIMFERRY_SEED" ] && same=TRUE; echo "$TASK $same $MC_CORES" > out.txt',
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_and_commands(tmp_path, name, r):
    script = write(tmp_path, name, SCRIPTS[name])
    script.chmod(0o755)
    env = {"TASK": "{{{condition}}}", "SEED": "{seed}", "MC_CORES": 3}
    run = sf.run(script, args="{n}", env=env, design=sf.grid(n=[1, 2]), replications=1, store=tmp_path / "runs", seed=1)
    for condition in (1, 2):
        assert run.artifacts(condition, 1)[0].read_text() == f"{{{condition}}} TRUE 3\n"


def test_a_parameter_may_be_in_a_variable_alone(tmp_path):
    script = write(tmp_path, "s.py", "import os; open('out.txt', 'w').write(os.environ['N'])")
    run = sf.run(script, sf.grid(n=[7]), args="", env={"N": "{n}"}, replications=1, store=tmp_path / "runs", seed=1)
    assert run.artifacts(1, 1)[0].read_text() == "7"
    with pytest.raises(SimulationError, match="env: N: there is no parameter 'm' in the design"):
        sf.run(script, sf.grid(n=[7]), args="{n}", env={"N": "{m}"}, replications=1, store=tmp_path / "runs")


def test_names_and_values_that_are_refused(tmp_path):
    script = write(tmp_path, "s.py", PYTHON_FUNCTION)
    for name in CREDENTIALS:
        with pytest.raises(UsageError, match=f"env: {name} looks like a credential") as error:
            sf.Simulation(script, env={name: "hunter2"})
        assert "hunter2" not in f"{error.value} {error.value.hint}"
    for name in ("SIMFERRY_SEED", "PYTHONPATH", "R_PROFILE_USER"):
        with pytest.raises(UsageError, match=f"simferry sets {name}"):
            sf.Sweep(script, env={name: "1"})
    with pytest.raises(UsageError, match="env: 'a-b' is no name"):
        sf.Sweep(script, env={"a-b": "1"})
    with pytest.raises(UsageError, match="env: A is None; it has to be a text or a number"):
        sf.Sweep(script, env={"A": None})
    with pytest.raises(UsageError, match="env is 3; it has to be values by the names of variables"):
        sf.Sweep(script, env=3)
    for name in ("MONKEY", "KEYS", "SLURM_ARRAY_TASK_ID", "PATIENTS", "PASSES", "TOKENS"):
        assert sf.Simulation(script, env={name: 2.0}).env == {name: "2"}


def test_the_hash_holds_them(tmp_path):
    script = write(tmp_path, "s.py", PYTHON_FUNCTION)
    hashes = {sf.Simulation(script, env=env).code_hash() for env in ({}, {"A": "1"}, {"A": "2"}, {"B": "1"})}
    assert len(hashes) == 4 and sf.Simulation(script).code_hash() in hashes


def test_sweep_files_and_the_shell(tmp_path):
    script = write(tmp_path, "s.py", PYTHON_FUNCTION)
    sweep = sf.Sweep(script, sf.grid(n=[5]), env={"A": 1, "B": "x=y, {condition}"}, replications=2)
    sweep.write(tmp_path / "sweep.toml")
    again = sf.read_sweep(tmp_path / "sweep.toml")
    assert again == sweep and again.simulation.env == {"A": "1", "B": "x=y, {condition}"}
    assert "env={'A': '1', 'B': 'x=y, {condition}'}" in repr(sweep)
    given = [word for name, value in {**ENV, "B": "x=y, z"}.items() for word in ("--env", f"{name}={value}")]
    store = ["--store", str(tmp_path / "runs"), "--seed", "1"]
    done = CliRunner().invoke(main, ["run", str(tmp_path / "sweep.toml"), *given, *store])
    assert done.exit_code == 0, done.output
    run = sf.open("latest", store=tmp_path / "runs")
    assert run.record["simulation"]["env"] == {"A": "1", "B": "x=y, z", **ENV}
    done = CliRunner().invoke(main, ["run", str(script), "--env", "A", "-n", "1"])
    assert done.exit_code == 2 and "--env A is not of the form NAME=VALUE" in done.stderr


def test_r(tmp_path, in_r):  # noqa: F811
    code = f"""
        f <- function(n) paste(Sys.getenv("TASK"), Sys.getenv("K"))
        run <- sim_run(f, sim_grid(n = 1:2), 1, seed = 1, env = c(TASK = "{{condition}}/{{n}}", K = "1"), store = "{tmp_path}/runs")
        cat(sim_results(run)$value, sep = ";")
        run <- sim_run(f, sim_grid(n = 1), 1, seed = 1, env = list(TASK = "{{n}}", K = 2), store = "{tmp_path}/runs")
        cat("", sim_results(run)$value, sep = ";")
        for (env in list(c(API_KEY = "a"), "a"))
          cat("", tryCatch(sim_run(f, NULL, 1, env = env), simferry_error_usage = conditionMessage), sep = ";")
    """
    answer = in_r(code).split(";")
    assert answer[:3] == ["1/1 1", "2/2 1", "1 2"]
    assert answer[3].startswith("env: API_KEY looks like a credential") and "without a name" in answer[4]
