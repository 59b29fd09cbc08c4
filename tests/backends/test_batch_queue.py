"""Whether a job could start in a queue, and why jobs wait."""

import boto3
import pytest
from simferry import infra
from simferry.backends.batch_queue import check_queue, check_size, why_waiting
from simferry.errors import UsageError


@pytest.fixture
def queues(emulator):
    infra.deploy(yes=True, tell=lambda _: None)
    outputs = infra.show().outputs
    return {name: outputs[f"{name}Queue"] for name in ("Spot", "Demand", "Fargate")}


def environment_of(queue):
    return boto3.client("batch").describe_job_queues(jobQueues=[queue])["jobQueues"][0]["computeEnvironmentOrder"][0][
        "computeEnvironment"
    ]


@pytest.mark.parametrize(
    "size, message, hint",
    [
        ((1.5, 4096, False), "vcpus is 1.5, and machines of EC2 have whole ones", "vcpus=2"),
        ((2, 3 * 1024, True), "Fargate has no size of 2 vCPUs with 3 GB", 'vcpus=2, memory="4G"'),
        ((3, 8 * 1024, True), "Fargate has no size of 3 vCPUs with 8 GB", 'vcpus=4, memory="8G"'),
        ((64, 8 * 1024, True), "Fargate has no size of 64 vCPUs with 8 GB", 'vcpus=32, memory="244G"'),
    ],
)
def test_sizes(size, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        check_size(*size)
    assert hint in str(caught.value)


@pytest.mark.parametrize("size", [(1, 100, False), (0.25, 512, True), (16, 32 * 1024, True)])
def test_sizes_that_there_are(size):
    check_size(*size)


def test_queues(queues):
    assert check_queue(queues["Spot"], 256, False) == (256, ("default_x86_64",))
    assert check_queue(queues["Fargate"], 1, True) == (256, ())
    with pytest.raises(UsageError, match="there is no job queue none in us-east-1"):
        check_queue("none", 1, False)
    with pytest.raises(UsageError, match=r"a job needs 257 vCPUs, and the compute environments of .* at most 256"):
        check_queue(queues["Spot"], 257, False)
    with pytest.raises(UsageError, match="is one of Fargate"):
        check_queue(queues["Fargate"], 1, False)
    with pytest.raises(UsageError, match="is not one of Fargate"):
        check_queue(queues["Demand"], 1, True)
    boto3.client("batch").update_job_queue(jobQueue=queues["Spot"], state="DISABLED")
    with pytest.raises(UsageError, match="is disabled") as caught:
        check_queue(queues["Spot"], 1, False)
    assert "--state ENABLED" in str(caught.value)
    boto3.client("batch").update_compute_environment(
        computeEnvironment=environment_of(queues["Demand"]), state="DISABLED"
    )
    with pytest.raises(UsageError, match=r"can start machines: .* is VALID and DISABLED"):
        check_queue(queues["Demand"], 1, False)


@pytest.mark.parametrize("allowed", [0, 5])
def test_a_quota_that_is_too_small_is_told_before_anything_is_submitted(emulate, allowed):
    emulate(quotas={"SPOT": allowed})
    infra.deploy(yes=True, tell=lambda _: None)
    outputs = infra.show().outputs
    said = rf"quota of vCPUs in us-east-1 is {allowed}, and a job needs 6 \(All Standard .* Spot Instance Requests\)"
    with pytest.raises(UsageError, match=said) as caught:
        check_queue(outputs["SpotQueue"], 6, False)
    assert "--quota-code L-34B43A08" in str(caught.value) and 'on="demand"' in str(caught.value)
    check_queue(outputs["DemandQueue"], 6, False)
    if allowed:
        check_queue(outputs["SpotQueue"], 5, False)


def test_why_jobs_wait(queues):
    told = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement is too high"
    assert (
        why_waiting(queues["Spot"], [{}, {"statusReason": told}])
        == "a machine: no machine of the compute environment is large enough for a job"
    )
    assert why_waiting(queues["Spot"], [{"statusReason": "something new"}]) == "a machine: something new"
    assert why_waiting(queues["Spot"], [{}]) == "a machine"
    boto3.client("batch").update_compute_environment(
        computeEnvironment=environment_of(queues["Spot"]), state="DISABLED"
    )
    assert why_waiting(queues["Spot"], []).endswith("is VALID and DISABLED (ComputeEnvironment Healthy)")
    boto3.client("batch").update_job_queue(jobQueue=queues["Spot"], state="DISABLED")
    assert why_waiting(queues["Spot"], []).startswith("the job queue ") and why_waiting(queues["Spot"], []).endswith(
        "which is disabled"
    )
