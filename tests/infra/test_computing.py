"""What the compute environments of Batch do now: jobs, vCPUs, dollars, and what keeps them from starting jobs."""

import boto3
import pytest
from emulator_fixtures import submit_to_batch
from simferry import infra
from simferry.backends.batch_costs import of_fargate, of_vcpus
from simferry.infra.computing import queues_of


@pytest.fixture
def outputs(emulator):
    emulator.faults.start_seconds = 60
    return infra.deploy(yes=True, tell=lambda line: None).outputs


def set_state(emulator, name, **values):
    """What only the service can change in an environment."""
    (one,) = [
        e for e in emulator.batch.environments.environments.values() if f"-{name}-" in e["computeEnvironmentName"]
    ]
    one.update({key: value for key, value in values.items() if key != "computeResources"})
    one["computeResources"].update(values.get("computeResources", {}))


def test_nothing_idle_costs(outputs):
    found = infra.show()
    assert [(one.on, one.vcpus, one.running, one.waiting, one.trouble) for one in found.queues] == [
        ("spot", 0, 0, 0, ""), ("demand", 0, 0, 0, ""), ("fargate", 0, 0, 0, "")
    ]  # fmt: skip
    assert (found.instances, found.dollars_an_hour) == (0, 0) and "runs now: 0 instances, $0.00 an hour\n" in str(found)
    assert "Batch" not in str(found).partition("runs now")[2]
    assert queues_of({}) == [] == queues_of({"SpotQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/gone"})


def test_what_runs_and_waits(emulator, outputs, monkeypatch):
    monkeypatch.setattr(emulator.batch, "_has_place", lambda job: False)
    batch = boto3.client("batch")
    submit_to_batch(batch, outputs, "SpotQueue", 5)
    submit_to_batch(batch, outputs, "FargateQueue", 3)
    submit_to_batch(batch, outputs, "FargateQueue")
    set_state(emulator, "Spot", computeResources={"desiredvCpus": 16})
    for job in emulator.batch.jobs.values():
        if job.index in (0, 1):  # as if it had started
            job.status = "RUNNING"
    found = infra.show()
    spot, _, fargate = found.queues
    assert (spot.running, spot.waiting, spot.vcpus, spot.dollars_an_hour) == (2, 3, 16, of_vcpus(16))
    assert (fargate.running, fargate.waiting, fargate.vcpus) == (2, 2, 2)
    assert fargate.dollars_an_hour == 2 * of_fargate(1, 2048) and len(fargate.jobs) == 2
    assert found.dollars_an_hour == pytest.approx(of_vcpus(16) + 2 * of_fargate(1, 2048))
    assert f"runs now: 0 instances, 18 vCPUs of Batch, 4 jobs, ${found.dollars_an_hour:.2f} an hour" in str(found)
    assert f"Batch, spot: 2 jobs run on 16 vCPUs, 3 wait, at most ${of_vcpus(16):.2f} an hour" in str(found)
    set_state(emulator, "Spot", computeResources={"instanceTypes": ["g5.xlarge"]})
    assert infra.show().queues[0].dollars_an_hour is None
    assert "2 jobs run on 16 vCPUs, 3 wait, price not known" in str(infra.show()) and "at least $" in str(infra.show())


def test_what_starts_no_jobs_says_why(emulator, outputs):
    set_state(
        emulator, "Spot", status="INVALID", statusReason="CLIENT_ERROR - You are not authorized to use launch template"
    )
    set_state(emulator, "Demand", state="DISABLED")
    boto3.client("batch").update_job_queue(jobQueue=outputs["FargateQueue"], state="DISABLED")
    troubles = [one.trouble for one in infra.show().queues]
    assert troubles[0].endswith("is INVALID: CLIENT_ERROR - You are not authorized to use launch template")
    assert troubles[1].endswith("is disabled") and troubles[2] == "the queue is disabled"
    assert str(infra.show()).count("0 jobs run on 0 vCPUs, at most $0.00 an hour; ") == 3
    assert infra.delete(yes=True, tell=lambda line: None)  # all the same
