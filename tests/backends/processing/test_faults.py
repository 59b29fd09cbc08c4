"""Faults of the service, of its answers and of who submits: nothing is computed twice, nothing is lost."""

import contextlib
import os
import random
import signal
import subprocess

import boto3
import pytest
import simferry as sf
from botocore.exceptions import ClientError
from sagemaker_sweeps import DESIGN, SLOW, SMALL, away_always, described, place_of, submit
from simferry import errors
from simferry.aws import session
from simferry.backends import processing as backend
from simferry.backends.names import job_name
from simferry.emulator import Faults
from sweeps import DRAWS, digest, done_pairs, simferry, write


def test_a_job_that_ran_too_long_is_dealt_out_again(tmp_path, emulator, image_r):
    # the first job, which its container's configuration names, hangs after some replications
    code = """
    config <- "/opt/ml/config/processingjobconfig.json"
    first <- file.exists(config) && any(grepl("0001-0001", readLines(config, warn = FALSE)))
    simulate <- function(n) { x <- rnorm(n); if (first && runif(1) < 0.1) Sys.sleep(600); mean(x) }
    """
    script = write(tmp_path, "hangs.R", code)
    run = submit(emulator, script, image_r, {"n": 5}, replications=30, max_runtime=10)
    assert run.status().state == "complete"
    assert run.status().jobs["0001-0001"] == "failed" and len(run.status().jobs) > 1
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 30


def test_a_simulation_that_can_not_be_loaded_there(tmp_path, emulator, image_r):
    script = write(
        tmp_path, "only_here.R", 'if (dir.exists("/opt/ml/config")) stop("not there"); simulate <- function(n) n'
    )
    with pytest.raises(errors.SimulationError, match=r"fails when it is loaded: .*not there"):
        submit(emulator, script, image_r, {"n": 5})
    assert emulator.requests["sagemaker", "CreateProcessingJob"] == 1


def test_twenty_jobs_through_throttling_lost_hosts_no_capacity_and_a_killed_submitter(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(seed=3, throttle=0.1, capacity=0.15, lost_host=0.15), quotas={SMALL: 12})
    script = write(tmp_path, *DRAWS["r"])
    draw = random.Random(11)
    sweep = ("-p", "n=5,10", "-p", "effect=0,0.1", "-n", "50", "--seed", "7", "--retries", "1")
    place = place_of(emulator, image_r, 20)
    store = f"s3://{emulator.bucket}/simferry"
    command = ["run", script, *sweep, *place, "--store", store]
    kills = 0
    for _ in range(30):
        driver = simferry(*command, cwd=tmp_path, start=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.communicate(timeout=draw.uniform(2, 9) if kills < 4 else 600)
            if driver.returncode == 0:
                break
        if driver.poll() is None:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.communicate()
            kills += 1
        if sf.runs(store):
            command = ["resume", "latest", "--store", store]
    assert kills == 4
    (run,) = sf.runs(store)
    assert run.status().state == "complete"
    here = sf.run(script, sf.grid(DESIGN), replications=50, seed=7, store=tmp_path / "store")
    assert digest(run) == digest(here)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 200  # no finished replication was computed twice
    names = [job["ProcessingJobName"] for job in described(emulator)]
    planned = {job_name(run._folder, job) for job in run.status().jobs}
    assert len(names) == len(set(names)) and set(names) <= planned


def test_a_submitter_killed_before_all_of_a_run_is_there_leaves_none(tmp_path, emulator, image_r, monkeypatch):
    from simferry.store.mirror import Objects

    put = Objects.put_many

    def half(self, contents):
        put(self, list(contents)[:2])
        raise SystemExit  # as if killed: nothing that follows is done

    with monkeypatch.context() as killed:
        killed.setattr(Objects, "put_many", half)
        killed.setattr("simferry.store.mirror.RemoteRunFolder.remove", lambda self: None)
        with pytest.raises(SystemExit):
            submit(emulator, write(tmp_path, *DRAWS["r"]), image_r)
    store = f"s3://{emulator.bucket}/simferry"
    assert boto3.client("s3").list_objects_v2(Bucket=emulator.bucket, Prefix="simferry/")["KeyCount"] == 2
    assert sf.runs(store) == []
    with pytest.raises(errors.RunNotFound):
        sf.open("latest", store)


def test_what_one_of_many_jobs_left_is_not_dealt_to_many(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(seed=1, capacity=0.3))
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=6)
    plans = run._folder.plans()
    failed = sum(job["ProcessingJobStatus"] == "Failed" for job in described(emulator)[:6])
    assert 0 < failed < 6 and plans[1].jobs <= failed


def test_a_service_that_is_away_for_a_while_is_waited_for(tmp_path, emulator, image_r, monkeypatch):
    poll, away = backend.Sagemaker._list, iter([False, True, True, False, True] + [False] * 1000)

    def sometimes(self, run, seconds_old=0.0):
        if next(away):
            raise session.NoAnswer("AWS can't be asked")
        return poll(self, run, seconds_old)

    monkeypatch.setattr(backend.Sagemaker, "_list", sometimes)
    assert submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=2).status().state == "complete"
    monkeypatch.setattr("simferry.driver.drive.PATIENCE", 2)
    script = write(tmp_path, "slow.R", SLOW)
    with monkeypatch.context() as away_for_good:
        away_for_good.setattr(backend.Sagemaker, "_list", lambda *_: away_always())
        with pytest.raises(errors.Interrupted, match=r"The jobs of run slow.* go on"):
            submit(emulator, script, image_r, {"n": 5})
    with monkeypatch.context() as ended:  # an emulator is not waited for
        ended.setattr("simferry.driver.drive.PATIENCE", 10_000)
        gone = session.NoAnswer("AWS can't be asked", for_good=True)
        ended.setattr(backend.Sagemaker, "_list", lambda *_: (_ for _ in ()).throw(gone))
        with pytest.raises(session.NoAnswer, match="AWS can't be asked"):
            sf.runs(f"s3://{emulator.bucket}/simferry")[-1].resume()
    assert len(sf.runs(f"s3://{emulator.bucket}/simferry")) == 2


def test_credentials_that_expire_while_jobs_run(tmp_path, emulator, image_r, monkeypatch):
    polls = []

    def expire(self, run, seconds_old=0.0):
        polls.append(run)
        if len(polls) > 2:
            raise session.CredentialsError("the AWS credentials have expired", session.LOGIN)
        return poll(self, run, seconds_old)

    poll = backend.Sagemaker._list
    monkeypatch.setattr(backend.Sagemaker, "_list", expire)
    with pytest.raises(session.CredentialsError) as caught:
        submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=1)
    run = polls[0]
    assert f"The jobs of run {run.id} go on.\n{run.command('watch')}  follows" in str(caught.value)
    monkeypatch.setattr(backend.Sagemaker, "_list", poll)
    assert sf.open(run.address).resume().status().state == "complete"
    assert len(described(emulator)) == 1


FAILED = {"Error": {"Code": "InternalFailure", "Message": "oops"}, "ResponseMetadata": {"HTTPStatusCode": 500}}


LOST = [session.NoAnswer("AWS can't be asked"), ClientError(FAILED, "CreateProcessingJob")]


@pytest.mark.parametrize("answer", LOST, ids=["none", "500"])
def test_an_answer_that_is_lost_submits_no_job_twice_and_removes_no_run(
    tmp_path, emulator, image_r, monkeypatch, answer
):
    start_script, lost = backend.start_script, iter([True, False, True] + [False] * 100)

    def heard(**job):
        start_script(**job)
        if next(lost):
            raise answer

    monkeypatch.setattr(backend, "start_script", heard)
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=3)
    assert run.status().state == "complete" and len(described(emulator)) == 3
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 80
