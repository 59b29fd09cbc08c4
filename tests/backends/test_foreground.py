"""Where checks run: R that checks and goes on as the first job's worker. Replays are in verbs/test_replay.py."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import simferry as sf
from common import require
from simferry.errors import SimulationError
from sweeps import simferry, wait_until, write


def marks(run):
    return [json.loads(path.read_bytes()).get("mark") for path in run.folder.glob("jobs/*/job.json")]


def waiting_below(parent):
    """The processes of R that wait for a job, or run one."""
    found = []
    for child in parent.children(recursive=True):
        try:
            found += [child] if "check_and_run" in child.cmdline() else []
        except psutil.Error:
            continue
    return found


def any_runs(command):
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return command in listed.splitlines()


@pytest.fixture(autouse=True)
def no_process_waits():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")
    yield
    wait_until(lambda: not waiting_below(psutil.Process()))


def test_one_process_checks_and_runs_the_first_job(tmp_path):
    code = (
        'cat("loaded by", Sys.getpid(), "for", Sys.getenv("SIMFERRY_INPUT"), "\\n")\n'
        "loaded <- exists('mark')\nmark <- 1\n"
        "simulate <- function() c(x = rnorm(1), loaded = loaded)\n"
    )
    script = write(tmp_path, "simulate.R", code)
    run = sf.run(script, replications=4, seed=1, workers=1, store=tmp_path / "runs")
    again = run.extend(6)
    assert [bool(mark) for mark in marks(again)] == [True, False]
    logs = run.logs()
    # the job's log has what the job printed, not what the check did, and the job loads the script as if nothing had been checked
    assert logs["0001-0001"].count("loaded by") == logs["0002-0001"].count("loaded by") == 1
    assert f"for {run.folder}/jobs/0001-0001/input" in logs["0001-0001"]
    assert not run.results()["loaded"].any()
    alone = sf.run(script, replications=6, seed=1, store=tmp_path / "alone")
    assert alone.results()["x"].tolist() == run.results()["x"].tolist()


@pytest.mark.parametrize(
    "code", ["simulate <- function( 1", "system('sleep 60 &'); quit(status = 3)", "stop('no')", "other <- function() 1"]
)
def test_a_simulation_that_is_refused_leaves_nothing(tmp_path, code):
    script = write(tmp_path, "simulate.R", code)
    with pytest.raises(SimulationError):
        sf.run(script, replications=4, seed=1, store=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_the_check_made_is_not_there_when_the_job_loads(tmp_path):
    code = f"""
cache <- file.path(tempdir(), "draw.rds")
if (!file.exists(cache)) saveRDS(runif(1), cache)
draw <- readRDS(cache)
system("sleep 61.{tmp_path.stat().st_ino} >/dev/null 2>&1 &")   # in the background, as a server
servers <- length(system("ps -eo args | grep '^sleep 61.{tmp_path.stat().st_ino}'", intern = TRUE))
simulate <- function() c(draw = draw, servers = servers)
"""
    script = write(tmp_path, "simulate.R", code)
    first, second = (sf.run(script, seed=s, replications=1, store=tmp_path / "runs").results() for s in (1, 2))
    assert first["servers"].tolist() == second["servers"].tolist() == [1]
    assert first["draw"].tolist() != second["draw"].tolist()  # it follows from the run's seed


def test_a_profile_beside_the_script_finds_the_folder_of_the_job(tmp_path):
    write(tmp_path, ".Rprofile", "options(started_in = getwd())\n")
    script = write(tmp_path, "simulate.R", "simulate <- function() dir.exists(getOption('started_in'))")
    run = sf.run(script, replications=1, seed=1, include=[".Rprofile"], store=tmp_path / "runs")
    assert run.results()["value"].tolist() == [True]


def test_a_folder_that_was_there_stays(tmp_path):
    (tmp_path / "runs").mkdir()
    with pytest.raises(SimulationError):
        sf.run(write(tmp_path, "simulate.R", "stop('no')"), replications=1, store=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_is_taken_over_needs_no_job(tmp_path):
    script = write(tmp_path, "simulate.R", "simulate <- function() rnorm(1)")
    first, second = (sf.run(script, replications=4, seed=1, store=tmp_path / "runs") for _ in range(2))
    assert marks(second) == [] and first.results()["value"].tolist() == second.results()["value"].tolist()
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")] == []


def test_it_ends_with_its_driver(tmp_path):
    slow = "Sys.sleep(if (file.exists('/proc')) 0.3 else 0)\nsimulate <- function() { Sys.sleep(0.2); 1 }"
    write(tmp_path, "simulate.R", slow)
    driver = simferry("run", "simulate.R", "-n", "100", "--store", "runs", cwd=tmp_path, start=True)
    found = wait_until(lambda: waiting_below(psutil.Process(driver.pid)))
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in found))


def test_a_check_ends_with_its_driver_and_leaves_nothing(tmp_path):
    program = f"sleep 62.{tmp_path.stat().st_ino}"
    write(tmp_path, "simulate.R", f"system('{program} >/dev/null 2>&1 &')\nwhile (TRUE) Sys.sleep(0.1)")
    driver = simferry("run", "simulate.R", "-n", "1", "--store", "runs", cwd=tmp_path, start=True)
    found = wait_until(lambda: len(found := waiting_below(psutil.Process(driver.pid))) == 2 and found)
    wait_until(lambda: any_runs(program))
    checked_in = Path(found[0].cmdline()[-2])
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    wait_until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in found))
    wait_until(lambda: not any_runs(program))
    assert list((tmp_path / "runs").iterdir()) == [] and not checked_in.exists()


@pytest.mark.parametrize("code", ["stop('no')", "simulate <- function() rnorm(1)"])
def test_r_removes_its_temporary_folder_where_nothing_is_to_be_run(tmp_path, monkeypatch, code):
    script = write(tmp_path, "simulate.R", "simulate <- function() rnorm(1)")
    sf.run(script, replications=1, seed=1, store=tmp_path / "runs")
    write(tmp_path, "tmp/.keep", "")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    write(tmp_path, "simulate.R", code)
    with contextlib.suppress(SimulationError):
        sf.run(script, replications=1, seed=1, store=tmp_path / "runs")
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == [".keep"]


def test_a_short_run_loads_no_pandas(tmp_path):
    code = (
        "import sys; from simferry.cli import main\n"
        "try: main(['run', 'simulate.R', '-p', 'n=1,2', '-p', 'm=\"a\"', '-n', '5', '--store', 'runs'])\n"
        "finally: print('pandas' in sys.modules)"
    )
    write(tmp_path, "simulate.R", "simulate <- function(n, m) rnorm(1, n)")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "10 of 10 replications done" in done.stdout and done.stdout.endswith("False\n"), done.stderr
