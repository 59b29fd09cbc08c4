"""Training jobs of SageMaker: what the service is asked for, what its answers mean, and sweeps on the emulator."""

import datetime
import json
from types import SimpleNamespace

import boto3
import pytest
import simferry as sf
from botocore.exceptions import ClientError
from image_programs import PROGRAM, RECIPE
from sagemaker_sweeps import (
    DESIGN,
    SMALL,
    interrupt,
    own_cache,  # noqa: F401
    submit,
)
from simferry import errors
from simferry.aws.session import QuotaError
from simferry.backends import backend
from simferry.backends.names import job_name
from simferry.backends.service import NotNow, Request
from simferry.backends.training import Training
from simferry.emulator import Faults
from simferry.verbs.compute import backend_of_run
from sweeps import digest, done_pairs, simferry, write

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc)
ROLE = "arn:aws:iam::123456789012:role/simferry"


@pytest.fixture
def service(monkeypatch):
    """A service that knows the training jobs in `jobs`, by name, and counts what it is asked to describe."""

    def described(TrainingJobName):
        asked.append(TrainingJobName)
        return {"TrainingJobName": TrainingJobName, "CreationTime": NOW, **jobs[TrainingJobName]}

    def pages(**given):
        return [
            {"TrainingJobSummaries": [{"TrainingJobName": n, "CreationTime": NOW, **job} for n, job in jobs.items()]}
        ]

    jobs, asked = {}, []
    client = SimpleNamespace(
        get_paginator=lambda operation: SimpleNamespace(paginate=pages), describe_training_job=described,
        meta=SimpleNamespace(endpoint_url="https://api.sagemaker.us-east-1.amazonaws.com"),
    )  # fmt: skip
    monkeypatch.setattr("simferry.aws.session.client", lambda name: client)
    return SimpleNamespace(jobs=jobs, asked=asked)


RUN = SimpleNamespace(address="s3://b/simferry/x", record=SimpleNamespace(created=NOW.isoformat()))


def test_which_class_runs_jobs():
    kinds = [type(backend("sagemaker", role=ROLE, **given)).__name__ for given in ({}, {"spot": True})]
    assert kinds == ["Sagemaker", "Training"]
    made = backend("sagemaker", service="training", max_runtime=1_000_000)
    assert isinstance(made, Training) and made.seconds_allowed == 28 * 86_400


@pytest.mark.parametrize(
    ("said", "state", "cut_short", "message"),
    [
        ({"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed"}, "succeeded", False, ""),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}, "cancelled", False, ""),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"}, "failed", True, ""),
        ({"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxWaitTimeExceeded"}, "failed", True, ""),
        ({"FailureReason": "AlgorithmError: no data, exit code: 1"}, "failed", False, ""),
        ({"FailureReason": "AlgorithmError: an InternalServerError, exit code: 1"}, "failed", False, ""),
        ({"FailureReason": "AlgorithmError: , exit code: 137"}, "failed", True, ""),
        ({"FailureReason": "AlgorithmError: exited with code 137"}, "failed", True, ""),
        ({"FailureReason": "InternalServerError: We encountered an internal error."}, "failed", True, ""),
        ({"FailureReason": "CapacityError: Unable to provision requested ML compute capacity."}, "failed", True, ""),
        ({"FailureReason": "AlgorithmError: simferry: load: x\ny, exit code: 1"}, "failed", False, "load: x\ny"),
    ],
)  # fmt: skip
def test_what_the_end_of_a_job_means(service, said, state, cut_short, message):
    service.jobs["a"] = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", **said}
    where = backend("sagemaker", spot=True, role=ROLE)
    job = where.list(RUN)["a"]
    assert (job.state, job.cut_short, job.message) == (state, cut_short, message)
    where.list(RUN)
    assert service.asked == ["a"]  # once: an end does not change


def test_jobs_without_a_machine_are_told(service):
    going = {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    service.jobs |= {
        "a": going,
        "b": {**going, "SecondaryStatus": "Interrupted"},
        "c": {**going, "SecondaryStatus": "Pending"},
    }
    run = SimpleNamespace(**vars(RUN), plans=lambda: [])
    run.record.simulation = {"kind": "function"}
    where = backend("sagemaker", spot=True, role=ROLE)
    assert where.poll(run, []).waits_for == ""
    where.list(run)
    assert where.poll(run, []).waits_for == "machines of 2 jobs"
    service.jobs.clear()
    where.list(run)
    assert where.poll(run, []).waits_for == ""


def test_the_cost_is_what_is_billed_and_what_spot_saves_is_known(service):
    def job(**times):
        started = {"TrainingStartTime": NOW, "TrainingEndTime": NOW} if times else {"TrainingEndTime": NOW}
        return {"TrainingJobStatus": "Completed", "SecondaryStatus": "Completed", **started, **times}

    service.jobs |= {
        "spot": job(TrainingTimeInSeconds=3600, BillableTimeInSeconds=1080), "never started": job(),
        "kept": job(
            BillableTimeInSeconds=60, TrainingTimeInSeconds=60,
            WarmPoolStatus={"Status": "Available", "ResourceRetainedBillableTimeInSeconds": 300},
        ),
        "runs": {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Interrupted"},
    }  # fmt: skip
    where = backend("sagemaker", spot=True, role=ROLE)
    found = where.list(RUN)
    assert {name: (one.billed, one.ran) for name, one in found.items()} == {
        "spot": (1080, 3600), "never started": (0, 0), "kept": (360, 60), "runs": (None, 0.0),
    }  # fmt: skip
    assert found["runs"].state == "running"
    where.list(RUN)
    assert sorted(service.asked) == ["kept", "kept", "never started", "spot"]  # a machine that is kept goes on to cost


@pytest.mark.parametrize(
    ("given", "limit", "wait"),
    [({}, 86_400, 172_800), ({"max_runtime": 600}, 600, 87_000), ({"max_runtime": 600, "max_wait": 900}, 600, 900)],
)
def test_how_long_a_job_may_wait(given, limit, wait):
    assert backend("sagemaker", spot=True, **given)._wait(limit) == wait
    assert backend("sagemaker", spot=True, **given)._wait(10 * wait) == 10 * wait + (
        0 if "max_wait" in given else 86_400
    )


def test_an_old_run_has_no_training_jobs(tmp_path):
    record = SimpleNamespace(simulation={"kind": "function", "language": "r"})
    run = SimpleNamespace(id="x", address="s3://b/x", record=record, code=tmp_path, job_address=lambda job: "s3://b/j/")
    plan = SimpleNamespace(types=["ml.m5.large"], hosts=1, limit=60)
    with pytest.raises(Exception, match="run x was made by a simferry that had no training jobs"):
        backend("sagemaker", spot=True, role=ROLE).request(Request("n", run, "0001-0001", plan))


def test_a_job_whose_answer_was_lost_is_there_by_its_name(service, monkeypatch):
    def refuse(code, message):
        def create(request):
            raise ClientError({"Error": {"Code": code, "Message": message}}, "CreateTrainingJob")

        monkeypatch.setattr(where, "create", create)

    where = backend("sagemaker", spot=True, role=ROLE)
    monkeypatch.setattr(where, "request", lambda asked: {})
    refuse("ResourceInUse", "Training job names must be unique")
    where.start(None)
    used = "is 2 Instances, with current utilization of 2 Instances and a request delta of 1 Instances."
    refuse(
        "ResourceLimitExceeded", f"The account-level service limit 'ml.m5.xlarge for spot training job usage' {used}"
    )
    with pytest.raises(NotNow, match="the quota"):
        where.start(None)
    refuse("ResourceLimitExceeded", used.replace("is 2", "is 0"))
    with pytest.raises(QuotaError, match=r"quota for spot training jobs on ml\.m5\.xlarge is 0, and a job needs 1"):
        where.start(None)


def test_processing_jobs_stay_processing_jobs(monkeypatch):
    options = SimpleNamespace(backend="sagemaker", backend_options={"role": ROLE})
    folder = SimpleNamespace(id="x", record=SimpleNamespace(options=options), plans=lambda: [])
    assert type(backend_of_run(folder)).__name__ == "Sagemaker"
    with pytest.raises(errors.UsageError, match="run x has processing jobs of SageMaker, which can't be changed"):
        backend_of_run(folder, spot=True)
    options.backend_options |= {"spot": True, "service": "training"}
    assert isinstance(backend_of_run(folder, spot=False), Training)


# ---- sweeps ----


def trained():
    """Every training job that the service knows, oldest first."""
    sagemaker = boto3.client("sagemaker")
    names = [one["TrainingJobName"] for one in sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]]
    jobs = [sagemaker.describe_training_job(TrainingJobName=name) for name in names]
    return sorted(jobs, key=lambda job: (job["CreationTime"], job["TrainingJobName"]))


SLOW = {
    "r": (
        "simulate.R",
        "simulate <- function(n, effect = 0) {\n  Sys.sleep(0.1)\n"
        "  c(m = mean(rnorm(n, effect)), inside = file.exists('/opt/ml'))\n}\n",
    ),
    "python": (
        "simulate.py",
        "import os, time\ndef simulate(n, effect, rng):\n    time.sleep(0.1)\n"
        "    return {'m': rng.normal(effect, size=n).mean(), 'inside': os.path.exists('/opt/ml')}\n",
    ),
}  # fmt: skip


def test_three_interruptions_of_spot_change_nothing(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(spot_interruptions=3, seed=3, pace=0.1))
    script = write(tmp_path, *SLOW["r"])
    here = sf.run(script, sf.grid(DESIGN), replications=20, seed=7, store=tmp_path / "store")
    there = submit(emulator, script, image_r, spot=True, max_runtime=600)
    rows, mine = there.results(), here.results()
    assert rows["inside"].all() and digest(there) != digest(here)
    assert rows.drop(columns="inside").equals(mine.drop(columns="inside"))  # bit for bit
    assert sorted(done_pairs(there)) == sorted(set(done_pairs(there))) and len(done_pairs(there)) == 80
    (job,) = trained()
    states = [one["Status"] for one in job["SecondaryStatusTransitions"]]
    assert states.count("Interrupted") == 3 and job["TrainingJobStatus"] == "Completed"
    attempts = {block.name.split("-")[2] for block in there._folder.block_names()}
    assert len(attempts) > 1  # which have finished some
    now = there.status()
    assert now.state == "complete" and now.saved > 0 and now.dollars > 0
    assert "saved by Spot" in simferry("status", there.address, cwd=tmp_path).stdout
    saved = 1 - job["BillableTimeInSeconds"] / job["TrainingTimeInSeconds"]
    assert now.saved / (now.saved + now.dollars) == pytest.approx(saved)


def test_what_the_service_is_asked_for_a_training_job(tmp_path, emulator, image_r):
    run = submit(
        emulator, write(tmp_path, *SLOW["r"]), image_r, instance_type=[SMALL, "ml.m5.large"], volume=12, max_runtime=600,
        service="training", keep_alive=60, kms_key="alias/runs", network_isolation=True, attempts=3, replications=2,
        inputs={"data": write(tmp_path, "data.csv", "x\n3\n")},
    )  # fmt: skip
    (job,) = trained()
    assert job["TrainingJobName"] == job_name(run._folder, "0001-0001") and len(job["TrainingJobName"]) == 63
    assert [one["ChannelName"] for one in job["InputDataConfig"]] == ["data", "code", "plan"]
    assert job["AlgorithmSpecification"]["ContainerEntrypoint"] == [
        "sh", "/opt/ml/input/data/code/simferry_worker/train.sh", "Rscript", "/opt/ml/processing/input/code/worker.R",
    ]  # fmt: skip
    assert job["CheckpointConfig"]["S3Uri"] == f"{run.address}/checkpoints/0001-0001"
    resources = job["ResourceConfig"]
    assert [p["InstanceType"] for p in resources["InstancePreferences"]] == [SMALL, "ml.m5.large"]
    assert (resources["VolumeSizeInGB"], resources["KeepAlivePeriodInSeconds"]) == (12, 60)
    assert job["EnableNetworkIsolation"] and job["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 2} and not job["EnableManagedSpotTraining"]
    tags = boto3.client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert {t["Key"]: t["Value"] for t in tags} == {"made-by": "simferry", "simferry:run": run.id}
    assert run.status().done == 8 and run.status().saved is None


WHOLE = """
args <- commandArgs(TRUE)
data <- read.csv(file.path(Sys.getenv("SIMFERRY_INPUT"), "data", "data.csv"))
library(foreach); library(doParallel); registerDoParallel(2)
m <- foreach(i = 1:4, .combine = c) %dopar% mean(rnorm(as.integer(args[1])) + data$x[1])
write.csv(data.frame(m = mean(m)), "/opt/ml/processing/output/result.csv", row.names = FALSE)
writeLines("kept", "note.txt")
writeLines("no block", "/opt/ml/processing/blocks/a b")
cat("it printed this\n")
"""


def test_a_whole_script_leaves_its_files(tmp_path, emulator, image_r, machine):
    given = {"args": "{n}", "results_file": "result.csv", "inputs": {"data": write(tmp_path, "data.csv", "x\n3\n")}}
    script = write(tmp_path, "parallel.R", WHOLE)
    docker = sf.run(
        script,
        sf.grid(n=[10, 20]),
        seed=7,
        backend="docker",
        image=image_r,
        store=tmp_path / "s",
        replications=2,
        **given,
    )
    run = submit(emulator, script, image_r, {"n": [10, 20]}, replications=2, spot=True, **given)
    assert digest(run) == digest(docker)
    machine("second")
    run = sf.open(run.address)
    assert [p.name for p in run.artifacts(1, 2)] == ["note.txt", "result.csv"]
    assert run.artifacts(2, 1)[0].read_text() == "kept\n" and run.logs()["0001-0001"].count("it printed this") == 4


def test_a_job_that_can_not_go_on_says_why(tmp_path, emulator, image_r):
    script = write(tmp_path, "a.R", "if (dir.exists('/opt/ml/input')) stop('no licence')\nsimulate <- function(n) n\n")
    with pytest.raises(errors.SimulationError, match="the simulation fails when it is loaded: no licence"):
        submit(emulator, script, image_r, {"n": 5}, service="training", fresh=True)


def test_it_is_stopped_and_goes_on(tmp_path, emulator, image_python):
    """Cancelled from elsewhere: the job writes what it has, and that is not computed again."""
    script = write(tmp_path, *SLOW["python"])
    begun = []

    def cancel(now):
        if now.done:
            sf.open(begun[0].address).cancel()

    with pytest.raises(errors.Interrupted, match="were stopped by somebody"):
        submit(
            emulator, script, image_python, spot=True, on_start=lambda run, *_: begun.append(run),
            on_progress=cancel,
        )  # fmt: skip
    run = sf.open(begun[0].address)
    assert run.status().jobs == {"0001-0001": "cancelled"} and 0 < run.status().done < 80
    run.resume()
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 80


def test_an_image_is_a_training_job_for_each_replication(tmp_path, emulator, scrap, machine):
    """The driver goes; the jobs are looked after from another machine."""
    image = scrap.build(RECIPE, train=PROGRAM)
    (tmp_path / "data.csv").write_text("x\n1\n2\n")
    given = {"results_file": "result.csv", "inputs": {"training": tmp_path / "data.csv"}, "seed": 7, "replications": 2}
    # of jobs of less than a second Spot saves nothing: each costs a second
    given |= {"metric": {"loss": "loss=([0-9.]+)"}, "env": {"MODE": "file", "PAUSE": "1.5"}}
    design = sf.grid(gain=[1, 2, 5])
    docker = sf.run(f"image:{image}", design, backend="docker", store=tmp_path / "store", **given)
    there = {"backend": "sagemaker", "role": emulator.role, "instance_type": SMALL, "spot": True}
    begun = []
    with pytest.raises(errors.Interrupted, match="detached"):
        sf.run(
            f"image:{image}", design, on_start=lambda run, *_: begun.append(run.address), on_progress=interrupt,
            **there, **given,
        )  # fmt: skip
    machine("second")
    run = sf.open(begun[0]).resume()
    assert digest(run) == digest(docker) and len(trained()) == 6
    assert run.errors()["message"].tolist() == ["no convergence"] * 2
    machine("third")
    run = sf.open(run.address)
    assert [path.name for path in run.artifacts(2, 1)] == ["metrics.csv", "m-algo-1.txt", "result.csv"]
    assert sorted(run.status().jobs.values()) == ["failed"] * 2 + ["succeeded"] * 4
    assert trained()[0]["HyperParameters"] == {"gain": "1"}
    watched = simferry("watch", run.address, cwd=tmp_path)
    assert watched.returncode == 3 and "2 failed" in watched.stdout + watched.stderr
    status = json.loads(simferry("status", run.address, "--json", cwd=tmp_path).stdout)
    assert (status["failed"], status["dollars_saved"] > 0) == (2, True)
