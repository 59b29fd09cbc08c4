"""Sweeps as SageMaker Processing jobs on the emulator, and what the service knows of them."""

import boto3
import pytest
import simferry as sf
from simferry import errors
from simferry.aws import session
from simferry.backends.names import job_name

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


def interrupt_when(job, state):
    def look(now):
        if now.jobs.get(job) == state:
            raise KeyboardInterrupt

    return look


def names_of(run, jobs):
    return [job_name(run._folder, f"0001-{i + 1:04d}") for i in range(jobs)]


def describe(name):
    return boto3.client("sagemaker").describe_processing_job(ProcessingJobName=name)


def refused(emulator, script, image, asked=0, **given):
    before = emulator.requests["sagemaker", "CreateProcessingJob"]
    with pytest.raises(errors.SimferryError) as error:
        submit(emulator, script, image, **given)
    assert emulator.requests["sagemaker", "CreateProcessingJob"] - before == asked
    return str(error.value)


def away_always():
    raise session.NoAnswer("AWS can't be asked")
