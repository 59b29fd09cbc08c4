"""The local backend: states of jobs, what is left on disk, processes that outlive their job."""

import json
import os
import subprocess
import sys

import psutil
import pytest
import simferry as sf
from simferry.backends import backend
from simferry.backends.local import Local, cores_here
from simferry.errors import UsageError
from simferry.jobs.launch import JOB
from sweeps import left_behind, wait_until, write


@pytest.fixture
def run(tmp_path):
    script = write(tmp_path, "simulate.py", "def simulate(n, rng):\n    print('hello')\n    return rng.random()")
    return sf.run(script, sf.grid(n=[1]), replications=3, seed=1, store=tmp_path / "runs")


def test_what_a_job_leaves_in_its_folder(run):
    job = run.folder / "jobs" / "0001-0001"
    assert sorted(p.name for p in job.iterdir()) == ["artifacts", "blocks", "job.json", "log.txt"]
    record = json.loads((job / "job.json").read_bytes())
    assert record["state"] == "succeeded" and record["driver"]["pid"] == os.getpid()
    assert run.logs() == {"0001-0001": "hello\nhello\nhello\n"}


def test_all_cores_unless_told_otherwise():
    assert Local().traits.workers == cores_here() >= 1
    assert backend("local", workers=3).traits.workers == 3
    with pytest.raises(UsageError, match='backend is "lokal"; it has to be local, docker, sagemaker or batch'):
        backend("lokal")


def pretend(run, name, **record):
    """A job's folder as a driver that is gone has left it."""
    root = run.folder / "jobs" / name
    (root / "scratch").mkdir(parents=True)
    if record:
        (root / "job.json").write_text(json.dumps(record))
    return root


def sleeping(root, **options):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    return subprocess.Popen(command, env={**os.environ, JOB: str(root)}, **options)


def identity(pid):
    return {"pid": pid, "started": psutil.Process(pid).create_time()}


def test_a_job_without_its_processes_is_lost_and_looking_changes_nothing(run):
    nobody = {"pid": 2**22 + 1, "started": 1.0}
    root = pretend(run, "0002-0001", **nobody, driver=nobody, state="running")
    assert Local().poll(run._folder, ["0002-0001", "0009-0001"]).states == {"0002-0001": "lost", "0009-0001": "pending"}
    assert json.loads((root / "job.json").read_bytes())["state"] == "running" and (root / "scratch").exists()


def test_a_pid_that_was_given_to_another_process_is_not_the_job(run):
    mine = identity(os.getpid())
    pretend(
        run,
        "0002-0001",
        pid=mine["pid"],
        started=mine["started"] - 100,
        driver={"pid": 1, "started": 0},
        state="running",
    )
    assert Local().poll(run._folder, ["0002-0001"]).states == {"0002-0001": "lost"}
    Local().cancel(run._folder, ["0002-0001"], at_once=True)  # and is not killed


@pytest.mark.parametrize("recorded", [True, False])
def test_processes_that_outlived_their_job_are_ended(run, recorded):
    root = run.folder / "jobs" / "0002-0001"
    nobody = {"pid": 2**22 + 1, "started": 1.0}
    pretend(run, root.name, **({**nobody, "driver": nobody, "state": "running"} if recorded else {}))
    left = [sleeping(root), sleeping(root, start_new_session=True)]
    other = sleeping(root.with_name("0003-0001"))
    wait_until(lambda: len(left_behind(run.folder)) == 3)
    assert Local().poll(run._folder, [root.name]).states == {root.name: "lost"}
    Local().cancel(run._folder, [root.name], at_once=True)
    assert [p.wait(5) for p in left] == [-9, -9] and other.poll() is None
    assert json.loads((root / "job.json").read_bytes())["state"] == "lost" and not (root / "scratch").exists()
    other.kill()
    other.wait()


def test_programs_that_a_simulation_left_running_end_with_its_job(tmp_path):
    code = "import subprocess\ndef simulate():\n    subprocess.Popen(['sleep', '60'], start_new_session=True)\n    return 1"
    run = sf.run(write(tmp_path, "simulate.py", code), replications=2, seed=1, store=tmp_path / "runs")
    assert len(run.results()) == 2 and left_behind(tmp_path) == []
