"""Runs that R starts are computed by a process beside it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from bridge_requests import error_of, finished, value_of
from simferry._rbridge import drivers as _rdrivers
from sweeps import wait_until, write


def test_a_run_that_is_stopped_is_kept_and_gone_on_with(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) { Sys.sleep(0.02); rnorm(1) }\n"))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=500.0, seed=1.0, store=str(tmp_path)
    ).plain()
    assert error_of("resume", run=made["folder"])["code"] == "run_busy"
    until = time.monotonic() + 20
    while not value_of("progress", run=made["folder"]).plain().get("done") and time.monotonic() < until:
        time.sleep(0.05)
    now = value_of("cancel", run=made["folder"]).plain()
    assert now["state"] == "incomplete" and 0 < now["done"] < 500
    value_of("resume", run=made["folder"])
    assert finished(made["folder"])["done"] == 500
    value_of("resume", run=made["folder"], extend=True, replications=510.0)
    assert finished(made["folder"])["done"] == 510


def test_an_error_of_the_driver_arrives(tmp_path):
    only_here = "if (nzchar(Sys.getenv('SIMFERRY_DRIVER'))) stop('not there')\nsimulate <- function(n) n\n"
    script = str(write(tmp_path, "s.R", only_here))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=5.0, seed=1.0, store=str(tmp_path)
    ).plain()
    outcome = finished(made["folder"])["outcome"]
    assert outcome["error"]["code"] == "simulation" and "not there" in outcome["error"]["message"]
    value_of("run", simulation=script, design={"n": 1.0}, replications=5.0, seed=1.0, store=str(tmp_path))


def test_the_worker_starts_while_the_next_run_is_created(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) n\n"))
    given = {"simulation": script, "design": {"n": 1.0}, "replications": 5.0, "store": str(tmp_path / "runs")}
    finished(value_of("run", seed=1.0, **given).plain()["folder"])  # its driver is kept
    second = value_of("run", seed=2.0, **given).plain()["folder"]
    assert finished(second)["done"] == 5
    (job,) = Path(second).glob("jobs/*/job.json")
    assert "mark" in json.loads(job.read_bytes())
    assert error_of("run", seed=3.0, **{**given, "design": {"m": 1.0}})["code"] == "simulation"
    (spare,) = _rdrivers._spare
    wait_until(lambda: not psutil.Process(spare.process.pid).children())
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name.startswith(".")] == []


def test_a_killed_driver_is_told_and_the_run_resumable(tmp_path):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) { Sys.sleep(0.05); rnorm(1) }\n"))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=40.0, seed=1.0, store=str(tmp_path)
    ).plain()
    _rdrivers.drivers[made["folder"]].process.kill()
    outcome = finished(made["folder"])["outcome"]
    assert outcome["error"]["code"] == "worker" and outcome["error"]["hint"].startswith('sim_resume("')


def test_an_idle_driver_ends_with_the_session():
    code = "import time; from simferry._rbridge import drivers as b; b.keep_spare(); print(b._spare[0].process.pid, flush=True); "
    code += "time.sleep(1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    time.sleep(0.2)
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_the_answer_of_a_driver_is_one_line_of_json(tmp_path):
    order = {
        "run": str(tmp_path),
        "cwd": str(tmp_path),
        "environment": dict(os.environ),
        "verb": "resume",
        "options": {},
    }
    done = subprocess.run(
        [sys.executable, "-m", "simferry._rbridge.drivers"],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["error"]["code"] == "run_not_found"
