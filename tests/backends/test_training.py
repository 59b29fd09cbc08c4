"""Training jobs of SageMaker: what the service is asked for, and what its answers mean."""

import datetime
from types import SimpleNamespace

import pytest
from simferry.backends import backend
from simferry.backends.service import Request
from simferry.backends.training import Training

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
        get_paginator=lambda operation: SimpleNamespace(paginate=pages), describe_training_job=described
    )
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
