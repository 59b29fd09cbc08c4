"""Sweeps on AWS Batch, on the emulator, with a stack of simferry infra."""

import boto3
import pytest
import simferry as sf
from simferry import errors, infra

DESIGN = {"n": [5, 10], "effect": [0, 0.1]}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)


@pytest.fixture
def deployed(emulate, image_python, monkeypatch):
    """Starts an emulator with a stack: deployed(faults=...). `stack` of what it returns are the stack's outputs."""

    def start(**settings):
        emulator = emulate(**settings)
        monkeypatch.setenv("SIMFERRY_CARRIER_IMAGE", image_python)
        infra.deploy(yes=True, tell=lambda _: None)
        emulator.stack = infra.show().outputs
        emulator.requests.clear()
        return emulator

    return start


@pytest.fixture
def on_batch(deployed):
    return deployed()


def submit(script, image, design=DESIGN, **given):
    return sf.run(
        script, sf.grid(design), **{"replications": 20, "seed": 7, "image": image, "backend": "batch", **given}
    )


def detached(script, image, design=DESIGN, when=lambda _: True, **given):
    """A run whose submitter has left as soon as its progress is so; the jobs go on."""
    started = []

    def leave(now):
        if when(now):
            raise KeyboardInterrupt

    with pytest.raises(errors.Interrupted, match="detached"):
        submit(script, image, design, on_start=lambda run, *_: started.append(run), on_progress=leave, **given)
    return started[0]


def arrays():
    """What the service knows of arrays and plain jobs, the oldest first."""
    client = boto3.client("batch")
    queues = [one["jobQueueArn"] for one in client.describe_job_queues()["jobQueues"]]
    since = [{"name": "AFTER_CREATED_AT", "values": ["0"]}]
    found = [one for name in queues for one in client.list_jobs(jobQueue=name, filters=since)["jobSummaryList"]]
    jobs = client.describe_jobs(jobs=[one["jobId"] for one in found])["jobs"]
    return sorted(jobs, key=lambda job: job["createdAt"])


def children(array, *states):
    """The children of an array that are in these states."""
    client = boto3.client("batch")
    return [
        one
        for state in states
        for page in client.get_paginator("list_jobs").paginate(arrayJobId=array["jobId"], jobStatus=state)
        for one in page["jobSummaryList"]
    ]
