"""Sweeps as SageMaker Processing jobs, on the emulator: HTTP on loopback, jobs in real containers."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys

import boto3
import pytest
import simferry as sf
from botocore.exceptions import ClientError
from simferry import errors
from simferry.aws import session
from simferry.backends import processing as backend
from simferry.backends.names import job_name
from simferry.emulator import Faults
from simferry.images.find import find_or_push
from simferry.verbs import run as verbs
from sweeps import DRAWS, digest, done_pairs, simferry, wait_until, write

DESIGN = {"n": [5, 10], "effect": [0, 0.1]}
SMALL = "ml.t3.medium"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    monkeypatch.delenv("SIMFERRY_ROLE", raising=False)


def submit(emulator, script, image, design=DESIGN, **given):
    given = {"replications": 20, "seed": 7, "instance_type": SMALL, "role": emulator.role, "image": image, **given}
    return sf.run(script, sf.grid(design), backend="sagemaker", **given)


def place_of(emulator, image, jobs):
    """The options of the command line that submit there."""
    place = ["--backend", "sagemaker", "--image", image, "--role", emulator.role]
    return [*place, "--instance-type", SMALL, "--jobs", str(jobs)]


def described(emulator):
    """Every job that the service knows, newest last."""
    sagemaker = boto3.client(
        "sagemaker", config=boto3.session.Config(retries={"total_max_attempts": 10})
    )  # it may be throttled
    names = [
        one["ProcessingJobName"] for one in sagemaker.list_processing_jobs(MaxResults=100)["ProcessingJobSummaries"]
    ]
    jobs = [sagemaker.describe_processing_job(ProcessingJobName=name) for name in names]
    return sorted(jobs, key=lambda job: (job["CreationTime"], job["ProcessingJobName"]))


# ---- the same numbers everywhere ----


@pytest.mark.parametrize("language", ["r", "python"])
def test_the_same_table_local_docker_and_sagemaker(tmp_path, emulator, image_r, image_python, language):
    script = write(tmp_path, *DRAWS[language])
    image = {"r": image_r, "python": image_python}[language]
    given = {"replications": 20, "seed": 7}
    here = sf.run(script, sf.grid(DESIGN), store=tmp_path / "store", **given)
    docker = sf.run(script, sf.grid(DESIGN), store=tmp_path / "store", backend="docker", image=image, **given)
    there = submit(emulator, script, image, jobs=3)
    assert digest(there) == digest(docker) == digest(here)
    assert sorted(done_pairs(there)) == sorted(set(done_pairs(there))) and len(done_pairs(there)) == 80
    assert there.address.startswith(f"s3://{emulator.bucket}/simferry/")
    assert emulator.requests["sagemaker", "CreateProcessingJob"] == 3


def test_what_the_service_is_asked_for(tmp_path, emulator, image_r):
    run = submit(
        emulator, write(tmp_path, *DRAWS["r"]), image_r, instance_type=[SMALL, "ml.m5.large"], volume=12, max_runtime=600,
        tags="project=ferry, cost=low", kms_key="alias/runs", network_isolation=True,
    )  # fmt: skip
    (job,) = described(emulator)
    assert job["ProcessingJobName"] == job_name(run._folder, "0001-0001")
    assert job["ProcessingJobName"].startswith("test-what") and job["ProcessingJobName"].endswith("-0001-0001")
    assert len(job["ProcessingJobName"]) == 63 and run.id[-13:] in job["ProcessingJobName"]
    assert [i["InputName"] for i in job["ProcessingInputs"]] == ["plan", "code"]
    assert {o["OutputName"]: o["S3Output"]["S3UploadMode"] for o in job["ProcessingOutputConfig"]["Outputs"]} == {
        "blocks": "Continuous",
        "artifacts": "Continuous",
    }
    assert job["AppSpecification"]["ContainerEntrypoint"] == ["Rscript", "/opt/ml/processing/input/code/worker.R"]
    assert ".dkr.ecr.us-east-1.amazonaws.com/simferry-test-r@sha256:" in job["AppSpecification"]["ImageUri"]
    cluster = job["ProcessingResources"]["ClusterConfig"]
    assert [p["InstanceType"] for p in cluster["InstancePreferences"]] == [SMALL, "ml.m5.large"]
    assert cluster["VolumeSizeInGB"] == 12 and cluster["VolumeKmsKeyId"] == "alias/runs"
    assert job["NetworkConfig"]["EnableNetworkIsolation"] is True
    assert job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    tags = boto3.client("sagemaker").list_tags(ResourceArn=job["ProcessingJobArn"])["Tags"]
    assert {t["Key"]: t["Value"] for t in tags} == {"simferry:run": run.id, "project": "ferry", "cost": "low"}


SCRIPT = """
args <- commandArgs(TRUE)
data <- read.csv(file.path(Sys.getenv("SIMFERRY_INPUT"), "data", "data.csv"))
more <- readLines(file.path(Sys.getenv("SIMFERRY_INPUT"), "more", "text.txt"))
library(foreach); library(doParallel); registerDoParallel(2)
m <- foreach(i = 1:4, .combine = c) %dopar% mean(rnorm(as.integer(args[1])) + data$x[1])
write.csv(data.frame(m = mean(m), more = more), "/opt/ml/processing/output/result.csv", row.names = FALSE)
writeLines("kept", "/opt/ml/processing/output/note.txt")
"""


def test_a_whole_script_its_inputs_and_what_it_leaves(tmp_path, emulator, image_r):
    script = write(tmp_path, "parallel.R", SCRIPT)
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="texts/text.txt", Body=b"from S3\n")
    inputs = {"data": write(tmp_path, "data.csv", "x\n3\n"), "more": f"s3://{emulator.bucket}/texts/"}
    whole = {"args": "{n}", "results_file": "result.csv", "inputs": inputs, "replications": 2}
    run = submit(emulator, script, image_r, {"n": [10, 20]}, jobs=2, **whole)
    docker = sf.run(
        script, sf.grid(n=[10, 20]), seed=7, backend="docker", image=image_r, store=tmp_path / "store", **whole
    )
    assert digest(run) == digest(docker)
    assert set(run.results()["more"]) == {"from S3"}
    assert [p.name for p in run.artifacts(1, 2)] == ["note.txt", "result.csv"]
    assert run.artifacts(2, 1)[0].read_text() == "kept\n"
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="texts/text.txt", Body=b"another\n")
    with pytest.raises(errors.StoreError, match="are not those with which the run began"):
        run.extend(3)
    own = next(i for i in described(emulator)[0]["ProcessingInputs"] if i["InputName"] == "data")
    assert own["S3Input"]["S3Uri"] == f"{run.address}/input/data/"


def test_a_script_over_several_hosts(tmp_path, emulator, image_r):
    code = """
    library(doParallel); registerDoParallel()
    host <- foreach(i = 1:40, .combine = c) %dopar% { Sys.sleep(0.01); Sys.info()[["nodename"]] }
    write.csv(data.frame(hosts = length(unique(host))), "/opt/ml/processing/output/out.csv", row.names = FALSE)
    """
    script = write(tmp_path, "hosts.R", code)
    run = submit(emulator, script, image_r, {"n": 1}, args="{n}", results_file="out.csv", replications=1, hosts=2)
    assert described(emulator)[0]["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 2
    assert run.results()["hosts"].tolist() == [2]


# ---- following, detaching, stopping ----


def test_detach_watch_follow_cancel_resume_extend(tmp_path, emulator, image_r, gate):
    code = f'simulate <- function(n) {{ {gate.WAIT}; cat(sprintf("line of %g \\n", n)); mean(rnorm(n)) }}'
    script = write(tmp_path, "slow.R", code)
    sweep = ("-p", "n=5,10", "-n", "16", "--seed", "7")
    driver = simferry("run", script, *sweep, *place_of(emulator, image_r, 2), cwd=tmp_path, start=True)
    wait_until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] == 2)
    (run,) = sf.runs(f"s3://{emulator.bucket}/simferry")
    wait_until(lambda: set(run.status().jobs.values()) == {"running"})
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4
    assert "2 jobs go on" in said and "simferry watch s3://" in said

    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "another-machine")}
    address = said.split("simferry watch ")[1].split()[0]
    now = simferry("status", address, cwd=tmp_path, **elsewhere)
    assert "2 running" in now.stdout and "$0.0" in now.stdout, now.stderr
    gate.open()
    lines = simferry("logs", address, "--follow", cwd=tmp_path, **elsewhere).stdout.splitlines()
    assert len(lines) == 32 and all(re.fullmatch(r"0001-000[12] \| line of (5|10) ", line) for line in lines)
    watched = simferry("watch", address, cwd=tmp_path, **elsewhere)
    assert watched.returncode == 0 and "32 of 32 replications done, 0 failed" in watched.stdout

    gate.close()
    run = sf.open(address)
    driver = simferry("extend", address, "-n", "40", "--jobs", "1", cwd=tmp_path, start=True)
    wait_until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] == 3)
    wait_until(lambda: "running" in sf.open(address).status().jobs.values())
    stopped = simferry("cancel", address, cwd=tmp_path, **elsewhere)
    assert "is stopped" in stopped.stdout, stopped.stderr
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4 and "were stopped by somebody" in said
    assert run.status().jobs["0002-0001"] == "cancelled"
    gate.open()
    done = run.resume(jobs=1).status()
    assert (done.state, done.done) == ("complete", 80)
    whole = sf.run(script, sf.grid(n=[5, 10]), replications=40, seed=7, store=tmp_path / "store", workers=8)
    assert digest(run) == digest(whole)


def test_jobs_beyond_the_quota_go_in_waves(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 1})
    said = []
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=3, on_progress=said.append)
    assert run.status().state == "complete" and len(described(emulator)) == 3
    assert any("service limit" in now.note and now.jobs["0001-0003"] == "pending" for now in said)


def test_the_first_type_that_is_to_be_had(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 0})
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, instance_type=f"{SMALL},ml.t3.large")
    assert run.status().state == "complete"
    assert described(emulator)[0]["ProcessingResources"]["ClusterConfig"]["SelectedInstanceType"] == "ml.t3.large"


# ---- faults ----


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


# ---- others at the same time ----

SLOW = "simulate <- function(n) { Sys.sleep(0.2); mean(rnorm(n)) }"


def interrupt(_):
    raise KeyboardInterrupt


def detached(emulator, script, image, design, **given):
    """A run whose submitter has left; the jobs go on."""
    started = []
    with pytest.raises(errors.Interrupted, match="detached"):
        submit(
            emulator,
            script,
            image,
            design,
            on_start=lambda run, *_: started.append(run),
            on_progress=interrupt,
            **given,
        )
    return started[0]


def test_two_drivers_do_not_deal_out_the_same_work(tmp_path, emulator, image_r, machine, gate):
    script = write(tmp_path, "slow.R", f"simulate <- function(n) {{ {gate.WAIT}; mean(rnorm(n)) }}")
    # its job runs into its limit, and what it left undone is dealt out again, by one of two
    run = detached(emulator, script, image_r, {"n": 5}, replications=30, max_runtime=6)
    sweep = {"cwd": tmp_path, "start": True}
    drivers = [
        simferry("resume", run.address, XDG_CACHE_HOME=str(tmp_path / name), **sweep) for name in ("first", "second")
    ]
    wait_until(lambda: any(driver.poll() is not None for driver in drivers))
    gate.open()
    said = [driver.communicate(timeout=120) for driver in drivers]
    assert sorted(driver.returncode for driver in drivers) == [0, 1], said
    assert any("another process has just started to compute" in err for _, err in said)
    pairs = done_pairs(sf.open(run.address))
    assert len(pairs) == len(set(pairs)) == 30


def test_a_cancel_while_jobs_wait_for_the_quota(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 1})
    script = write(tmp_path, "slow.R", SLOW)
    sweep = (
        "-p",
        "n=5,10,20",
        "-n",
        "100",
        "--seed",
        "7",
    )
    place = place_of(emulator, image_r, 3)
    driver = simferry("run", script, *sweep, *place, cwd=tmp_path, start=True)
    wait_until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] >= 2, 40)
    (run,) = sf.runs(f"s3://{emulator.bucket}/simferry")
    simferry("cancel", run.address, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "elsewhere"))
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4 and "were stopped by somebody" in said
    assert len(described(emulator)) <= 2
    submitted = emulator.requests["sagemaker", "CreateProcessingJob"]
    with pytest.raises(errors.Interrupted):  # the old jobs, stopped, do not stop the new ones
        run.resume(on_progress=interrupt_when("0002-0002", "pending"))
    assert emulator.requests["sagemaker", "CreateProcessingJob"] > submitted
    run.cancel()


def interrupt_when(job, state):
    def look(now):
        if now.jobs.get(job) == state:
            raise KeyboardInterrupt

    return look


def test_a_cancel_reaches_jobs_that_the_list_does_not_show_yet(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(list_lag_seconds=6))
    run = detached(emulator, write(tmp_path, "slow.R", SLOW), image_r, {"n": [5, 10]}, replications=100, jobs=2)
    sf.open(run.address).cancel()
    states = [job["ProcessingJobStatus"] for job in (describe(name) for name in names_of(run, 2))]
    assert set(states) <= {"Stopping", "Stopped"}


def test_a_resume_with_other_options_stops_jobs_that_the_list_does_not_show_yet(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(list_lag_seconds=6))
    run = detached(emulator, write(tmp_path, "slow.R", SLOW), image_r, {"n": [5, 10]}, replications=100, jobs=2)
    again = sf.open(run.address)
    with pytest.raises(errors.Interrupted):
        again.resume(jobs=1, on_progress=interrupt_when("0002-0001", "running"))
    states = [job["ProcessingJobStatus"] for job in (describe(name) for name in names_of(run, 2))]
    assert set(states) <= {"Stopping", "Stopped"}
    again.cancel()


def names_of(run, jobs):
    return [job_name(run._folder, f"0001-{i + 1:04d}") for i in range(jobs)]


def describe(name):
    return boto3.client("sagemaker").describe_processing_job(ProcessingJobName=name)


def test_on_error_stop_holds_for_jobs_that_are_taken_up_again(tmp_path, emulator, image_r):
    script = write(tmp_path, "fails.R", "simulate <- function(n) { Sys.sleep(0.3); if (runif(1) < 0.5) stop('no'); n }")
    run = detached(emulator, script, image_r, {"n": [5, 10]}, replications=40, jobs=2, on_error="stop")
    run.resume()
    assert run.status().failed and len(described(emulator)) == 2


def test_a_run_that_was_moved_does_not_compute_again_what_it_has(tmp_path, emulator, image_r):
    script = write(tmp_path, *DRAWS["r"])
    run = submit(emulator, script, image_r, jobs=2)
    s3 = boto3.client("s3")
    for one in s3.list_objects_v2(Bucket=emulator.bucket, Prefix=f"simferry/{run.id}/")["Contents"]:
        s3.copy(
            {"Bucket": emulator.bucket, "Key": one["Key"]}, emulator.bucket, one["Key"].replace("simferry/", "moved/")
        )
    moved = sf.open(f"s3://{emulator.bucket}/moved/{run.id}")
    moved.resume()
    assert len(described(emulator)) == 2 and digest(moved) == digest(run)
    with pytest.raises(errors.UsageError, match="has an empty part"):
        sf.open(f"s3://{emulator.bucket}//simferry/{run.id}")


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


@pytest.mark.parametrize("change", [{"plan": "../../../outside"}, {"files": "../../outside"}])
def test_a_plan_that_leads_elsewhere_is_refused(tmp_path, emulator, image_r, change, monkeypatch):
    import json

    run = detached(emulator, write(tmp_path, "slow.R", SLOW), image_r, {"n": 5}, replications=4)
    s3, key = boto3.client("s3"), f"simferry/{run.id}/plan/0001/plan.json"
    plan = json.loads(s3.get_object(Bucket=emulator.bucket, Key=key)["Body"].read())
    s3.put_object(Bucket=emulator.bucket, Key=key, Body=json.dumps({**plan, **change}).encode())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    found = sf.open(run.address)
    if "plan" in change:
        assert list(found.status().jobs) == ["0001-0001"]
    else:
        with pytest.raises(errors.StoreError, match="has a wrong folder of jobs"):
            found.status()


# ---- money ----


def test_a_budget_is_kept_by_the_service_itself(tmp_path, emulator, image_r):
    script = write(tmp_path, "slow.R", SLOW)
    run = submit(emulator, script, image_r, {"n": [5, 10]}, jobs=2, budget=0.02)
    for job in described(emulator):  # 2 x (start-up of 240 s and this) at 0.05 dollars an hour
        assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == int(0.02 / (2 * 0.05 / 3600) - 240) == 480
    assert 0 < run.status().dollars < 0.02
    with pytest.raises(errors.BudgetReached, match=r"the budget of \$0\.001 does not allow 2 more jobs"):
        run.extend(30, budget=0.001, jobs=2)
    assert len(described(emulator)) == 2 and len(run._folder.plans()) == 1
    assert run.extend(30, budget=0.1, jobs=1).status().state == "complete"
    assert run._backend().options.budget == 0.1  # from then on
    spent = run.status().dollars
    dear = sf.open(run.address)._backend(instance_type="ml.m5.24xlarge")
    assert dear.poll(run._folder, []).dollars == pytest.approx(
        spent, rel=0.2
    )  # what ran has the price of what it ran on


def test_a_budget_under_a_quota(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 1})
    run = submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, jobs=3, budget=0.5)
    assert run.status().state == "complete" and len(described(emulator)) == 3
    worst = sum(240 + job["StoppingCondition"]["MaxRuntimeInSeconds"] for job in described(emulator)) * 0.05 / 3600
    assert worst <= 0.5


# ---- few requests ----


def test_requests_of_a_large_sweep(tmp_path, emulate, image_r, monkeypatch):
    emulator = emulate(faults=Faults(start_seconds=1000))
    uri = find_or_push(image_r).uri
    counts = []
    start_script = backend.start_script

    def counting(**job):
        start_script(**job)
        counts.append(emulator.requests.copy())
        if len(counts) == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(backend, "start_script", counting)
    emulator.requests.clear()
    given = {"replications": 1, "jobs": 10, "store": f"s3://{emulator.bucket}/many"}
    with pytest.raises(errors.Interrupted, match="10 jobs go on"):
        submit(emulator, write(tmp_path, *DRAWS["r"]), uri, {"n": range(1, 10_001)}, **given)
    s3 = sum(n for (service, _), n in counts[-1].items() if service == "s3")
    (run,) = sf.runs(given["store"])
    code = sum(path.is_file() for path in run._folder.code.rglob("*"))
    assert counts[-1].total() - s3 <= 12 and s3 - code <= 30, (counts[-1], code)


# ---- bad input ----


def refused(emulator, script, image, asked=0, **given):
    before = emulator.requests["sagemaker", "CreateProcessingJob"]
    with pytest.raises(errors.SimferryError) as error:
        submit(emulator, script, image, **given)
    assert emulator.requests["sagemaker", "CreateProcessingJob"] - before == asked
    return str(error.value)


def test_what_is_refused_before_money_is_spent(tmp_path, emulator, image_r, monkeypatch):
    script = write(tmp_path, *DRAWS["r"])
    s3 = boto3.client("s3")

    def says(image=image_r, **given):
        return refused(emulator, script, image, **given)

    assert "there is no bucket nowhere-at-all" in says(store="s3://nowhere-at-all/runs")
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert "far-away is in eu-west-1, and the configured region is us-east-1" in says(store="s3://far-away/runs")
    s3.create_bucket(Bucket="open-to-all")
    s3.put_bucket_acl(Bucket="open-to-all", ACL="public-read")
    assert "open-to-all is public by its access control list" in says(store="s3://open-to-all/runs")
    assert "is not in S3" in says(store=str(tmp_path / "runs"))
    assert "Did you mean ml.c5.4xlarge" in says(instance_type="ml.c5.4xlareg")
    absent = "123456789012.dkr.ecr.us-east-1.amazonaws.com/nothing:1"
    assert f"there is no image {absent} in ECR" in says(image=absent)
    assert "there is no image simferry-nothing in this account's ECR" in says(image="simferry-nothing")
    monkeypatch.delenv("SIMFERRY_ROLE")
    assert "needs the IAM role" in says(role=None)
    assert "there is nothing at s3://" in says(inputs={"data": f"s3://{emulator.bucket}/not/there.csv"})
    assert "has no option rule" in says(rule="x")
    assert "SageMaker allows 777600" in says(max_runtime=1_000_000)
    assert not described(emulator)
    wrong_role = says(role="arn:aws:iam::123456789012:role/nobody", asked=1)
    assert "nobody" in wrong_role and "assume" in wrong_role


def test_a_quota_of_zero(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 0})
    script = write(tmp_path, *DRAWS["r"])
    assert f"quota for processing jobs on {SMALL} is 0" in refused(emulator, script, image_r, asked=1)
    assert "and a job needs 2" in refused(emulate(quotas={SMALL: 1}), write(tmp_path, "all.R", "1"), image_r, asked=1,
                                          hosts=2, args="{n} {effect}")  # fmt: skip


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "there are no AWS credentials"),
        ({"AWS_DEFAULT_REGION": None}, "no AWS region is set"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does not answer"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
    ],
)
def test_a_configuration_that_does_not_work(tmp_path, emulator, image_r, variables, words):
    script = write(tmp_path, *DRAWS["r"])
    environment = {**os.environ, **{k: v for k, v in variables.items() if v}}
    for name in [k for k, v in variables.items() if v is None]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "simferry", "run", script, "-p", "n=5", "-n", "2", "--backend", "sagemaker",
         "--image", image_r, "--role", emulator.role],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1 and words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and "emulator\n" not in done.stderr


# ---- least privilege ----


def test_what_the_documented_policies_do_not_allow_is_denied(tmp_path, emulate, image_r):
    emulator = emulate(iam=True)
    with pytest.raises(session.AwsError, match="access to bucket somebody-elses-bucket is denied"):
        submit(emulator, write(tmp_path, *DRAWS["r"]), image_r, store="s3://somebody-elses-bucket/runs")


def test_it_is_a_backend_of_a_sweep_file(tmp_path, emulator, image_r):
    write(tmp_path, *DRAWS["r"])
    sweep = write(
        tmp_path, "sweep.toml",
        f'[simulation]\nscript = "simulate.R"\n[design.grid]\nn = [5]\n[run]\nreplications = 4\nseed = 1\nbackend = "sagemaker"\n'
        f'[sagemaker]\nimage = "{image_r}"\nrole = "{emulator.role}"\ninstance_type = ["{SMALL}"]\n',
    )  # fmt: skip
    done = simferry("run", sweep, cwd=tmp_path)
    assert done.returncode == 0 and "4 of 4 replications done" in done.stdout, done.stderr
    assert verbs.open("latest", f"s3://{emulator.bucket}/simferry").status().done == 4


def test_a_replay_runs_in_the_runs_own_image(tmp_path, emulator, image_r):
    code = 'simulate <- function(n) c(m = mean(rnorm(n)), inside = file.exists("/opt/ml"))'
    run = submit(emulator, write(tmp_path, "where.R", code), image_r, {"n": 5}, replications=3)
    row = run.results().iloc[1]
    assert sf.open(run.address).replay(1, 2) == {"m": row["m"], "inside": True}
    elsewhere = run._backend(image_id="sha256:" + "0" * 64)
    with pytest.raises(errors.UsageError, match=r"which is not on this machine\ndocker pull"):
        elsewhere.foreground("replay")


def test_what_is_refused_leaves_nothing_in_the_store(tmp_path, emulator, image_r):
    script = write(tmp_path, *DRAWS["r"])
    assert "or SIMFERRY_ROLE" in refused(
        emulator, script, image_r, role="arn:aws:iam::123456789012:role/nobody", asked=1
    )
    assert "is not a role" in refused(emulator, script, image_r, role="arn:aws:iam::123456789012:user/me")
    said = refused(emulator, script, image_r, budget=0.0001, jobs=2)
    assert "the start costs $0.0083" in said and "budget=0.01, or more" in said
    assert sf.runs(f"s3://{emulator.bucket}/simferry") == []


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


def away_always():
    raise session.NoAnswer("AWS can't be asked")
