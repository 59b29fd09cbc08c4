"""Faults of AWS Batch, of its answers and of who submits: nothing is computed twice, nothing is lost."""

import contextlib
import os
import random
import signal
import subprocess
import time

import boto3
import pytest
import simferry as sf
from batch_sweeps import DESIGN, arrays, children, detached, own_cache, submit  # noqa: F401
from simferry import errors
from simferry.backends.batch_children import described, seconds_of
from simferry.backends.batch_costs import dollars_an_hour
from simferry.emulator import Faults
from simferry.sweep.options import BatchOptions, check
from sweeps import DRAWS, digest, done_pairs, simferry, write


def test_an_answer_that_is_lost_submits_no_second_array(tmp_path, deployed, image_r):
    emulator = deployed(faults=Faults(lost_answer=1.0))
    run = submit(write(tmp_path, *DRAWS["r"]), image_r, jobs=2)
    assert emulator.requests["batch", "SubmitJob"] == 1 and len(arrays()) == 1
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 80


def test_a_second_array_of_a_plan_computes_nothing(tmp_path, on_batch, image_r, monkeypatch):
    """The service's list lags behind: the submitter does not find the array whose answer was lost."""
    emulator, answers = on_batch, []

    def loses_the_first():
        answers.append(len(answers) == 0)
        emulator.faults.list_lag_seconds = 1e9 if answers[-1] else 0.0
        return answers[-1]

    monkeypatch.setattr(emulator.faults, "loses_answer", loses_the_first)
    script = write(tmp_path, "slow.R", "simulate <- function(n) { Sys.sleep(0.1); mean(rnorm(n)) }")
    run = submit(script, image_r, {"n": 5}, replications=40, jobs=2)
    assert emulator.requests["batch", "SubmitJob"] == 2 and len(arrays()) == 2
    assert run.status().state == "complete" and len(run.status().jobs) == 2
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 40


def test_what_a_resume_with_other_options_does_not_find_computes_nothing(tmp_path, on_batch, image_r):
    """The service's list lags behind. Another plan has what the array of the first one was to compute."""
    on_batch.faults.start_seconds, on_batch.faults.list_lag_seconds = 5, 1e9
    run = detached(write(tmp_path, *DRAWS["r"]), image_r, jobs=2)

    def list_all(now):
        on_batch.faults.list_lag_seconds = 0.0

    sf.open(run.address).resume(memory="3G", on_progress=list_all)
    assert len(arrays()) == 2 and run.status().state == "complete"
    until = time.monotonic() + 60
    while {array["status"] for array in arrays()} != {"SUCCEEDED"}:
        assert time.monotonic() < until
        time.sleep(0.3)
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 80


@pytest.mark.parametrize("language", ["r", "python"])
def test_a_lost_machine_loses_seconds(tmp_path, deployed, image_r, image_python, language):
    """The next attempt leaves out what was sent."""
    emulator = deployed(faults=Faults(seed=2, lost_host=0.7))
    code = {
        "r": "simulate <- function(n) { Sys.sleep(0.2); c(m = mean(rnorm(n))) }",
        "python": "import time\ndef simulate(n, rng):\n    time.sleep(0.2)\n    return {'m': rng.normal(size=n).mean()}\n",
    }[language]
    script = write(tmp_path, {"r": "slow.R", "python": "slow.py"}[language], code)
    image = {"r": image_r, "python": image_python}[language]
    run = submit(script, image, {"n": [5, 10]}, replications=25, jobs=2, vcpus=1, attempts=10, retries=10)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 50
    jobs = described([one["jobId"] for array in arrays() for one in children(array, "SUCCEEDED", "FAILED")])
    options = check(BatchOptions, run._folder.plans()[0].backend_options)
    cost = sum(map(seconds_of, jobs)) / 3600 * dollars_an_hour(options)
    assert run.status().dollars == pytest.approx(cost)  # of all attempts
    attempts = {name.name.split("-")[2] for name in run._folder.block_names()}
    assert len(attempts) > 1 and emulator.requests["batch", "SubmitJob"] >= 1
    here = sf.run(script, sf.grid({"n": [5, 10]}), replications=25, seed=7, store=tmp_path / "store")
    assert run.results()["m"].tolist() == here.results()["m"].tolist()


CHILDREN, KILLS = (int(os.environ.get(f"SIMFERRY_TEST_{name}", n)) for name, n in (("CHILDREN", 12), ("KILLS", 4)))


def test_children_through_throttling_lost_machines_lost_answers_and_a_killed_submitter(tmp_path, deployed, image_r):
    emulator = deployed(faults=Faults(seed=3, throttle=0.1, lost_host=0.15, lost_answer=0.5))
    script = write(tmp_path, *DRAWS["r"])
    draw = random.Random(11)
    sweep = ("-p", "n=5,10", "-p", "effect=0,0.1", "-n", str(4 * CHILDREN), "--seed", "7", "--retries", "5")
    place = (
        "--backend",
        "batch",
        "--image",
        image_r,
        "--vcpus",
        "1",
        "--jobs",
        str(CHILDREN),
        "--store",
        emulator.stack["Store"],
    )
    command, kills = ["run", script, *sweep, *place], 0
    for _ in range(30):
        driver = simferry(*command, cwd=tmp_path, start=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.communicate(timeout=draw.uniform(2, 8) if kills < KILLS else 1800)
            if driver.returncode == 0:
                break
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()
            kills += 1
        if sf.runs(emulator.stack["Store"]):
            command = ["resume", "latest", "--store", emulator.stack["Store"]]
    assert kills == KILLS
    (run,) = sf.runs(emulator.stack["Store"])
    assert run.status().state == "complete"
    here = sf.run(script, sf.grid(DESIGN), replications=4 * CHILDREN, seed=7, store=tmp_path / "store")
    assert digest(run) == digest(here)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 16 * CHILDREN  # no finished replication was computed twice


def test_machines_that_never_come_are_explained(tmp_path, deployed, image_r):
    deployed(faults=Faults(capacity=1.0))
    notes = []

    def look(now):
        notes.append(now.note)
        if now.note:
            raise KeyboardInterrupt

    with pytest.raises(errors.Interrupted):
        submit(write(tmp_path, *DRAWS["r"]), image_r, jobs=2, on_progress=look)
    assert notes[-1] == "a machine: AWS has no such machines free now"


def test_a_queue_that_gives_up_says_why(tmp_path, deployed, image_r):
    deployed(faults=Faults(capacity=1.0, pace=1e-3))  # an hour takes 3.6 s
    with pytest.raises(errors.SimferryError, match="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"):
        submit(write(tmp_path, *DRAWS["r"]), image_r, jobs=2, retries=0)


def test_a_time_limit_ends_an_attempt_with_what_it_has(tmp_path, deployed, image_r):
    deployed(faults=Faults(pace=0.1))  # 60 s take 6
    script = write(tmp_path, "slow.R", "simulate <- function(n) { Sys.sleep(0.25); mean(rnorm(n)) }")
    run = submit(script, image_r, {"n": 5}, replications=45, jobs=1, vcpus=1, max_runtime=60)
    assert run.status().state == "complete" and len(arrays()) > 1
    assert arrays()[0]["statusReason"] == "Job attempt duration exceeded timeout"
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 45


def test_what_lags_behind_a_cancellation_computes_nothing(tmp_path, on_batch, image_r):
    on_batch.faults.start_seconds = 3
    script = write(tmp_path, "simulate.R", "simulate <- function(n) mean(rnorm(n))")
    run = detached(script, image_r, {"n": 5}, jobs=2)
    run._folder.cancel_plan()  # as a driver does whose list does not have the array yet
    (array,) = arrays()
    until = time.monotonic() + 60
    while boto3.client("batch").describe_jobs(jobs=[array["jobId"]])["jobs"][0]["status"] != "SUCCEEDED":
        assert time.monotonic() < until
        time.sleep(0.3)
    assert run.status().done == 0 and len(children(array, "SUCCEEDED")) == 2


def test_a_plan_that_its_driver_never_submitted_is_cancelled_and_goes_on(tmp_path, on_batch, image_r, monkeypatch):
    script = write(tmp_path, "simulate.R", "simulate <- function(n) mean(rnorm(n))")

    def ends(*_):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("simferry.backends.batch.Batch.submit", ends)
        with pytest.raises(SystemExit):
            submit(script, image_r, {"n": 5}, replications=4, jobs=2, name="never")
    run = sf.open("never")
    assert set(run.status().jobs.values()) == {"pending"}
    assert set(run.cancel().jobs.values()) == {"cancelled"} and arrays() == []
    assert run.resume().status().state == "complete" and len(arrays()) == 1
