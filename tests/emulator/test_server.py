"""Requests that the emulator refuses as AWS refuses them, asked by boto3, unmodified, over HTTP."""

import urllib.error
import urllib.request

import pytest
from emulator_fixtures import Jobs, P
from emulator_requests import refused
from simferry.emulator import Faults


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"instance_type": "ml.m5.huge"}, "failed to satisfy constraint: Member must satisfy enum value set"),
        ({"Environment": {"A": "x" * 257}}, "at 'environment"),
        (
            {"role": "arn:aws:iam::123456789012:role/other"},
            "Could not assume role arn:aws:iam::123456789012:role/other",
        ),
        ({"role": "arn:aws:iam::999999999999:role/other"}, "RoleArn: Cross-account pass role is not allowed."),
        (
            {"image": "123456789012.dkr.ecr.us-west-2.amazonaws.com/lab:1"},
            "Invalid region us-west-2 in image URI .*/lab:1. Please provide an image URI in region us-east-1",
        ),
        ({"mode": "Pipe"}, "does not have the input mode Pipe"),
        ({"local_path": "/tmp/data"}, "LocalPath must begin with /opt/ml/processing/"),
        ({"local_path": f"{P}/../../x"}, "LocalPath must begin with /opt/ml/processing/"),
    ],
)
def test_requests_that_the_service_refuses(emulator, change, words):
    with refused("ValidationException", words):
        Jobs(emulator, "no-image").submit("bad", "1", inputs={"data": "in"}, **change)


@pytest.mark.parametrize("header", [{"Origin": "https://a-page.example"}, {"Host": "a-page.example"}])
def test_a_web_page_cannot_start_a_job(emulator, header):
    """Without signature or special headers, as a browser sends it without asking first."""
    query = "X-Amz-Credential=x/20260101/us-east-1/sagemaker/aws4_request&Action=CreateProcessingJob"
    request = urllib.request.Request(f"{emulator.url}/?{query}", b"{}", {"Content-Type": "text/plain", **header})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 403 and "no web pages" in caught.value.read().decode()


def test_names_are_unique_for_ever(emulate):
    jobs = Jobs(emulate(faults=Faults(start_seconds=60)), "no-image")
    jobs.submit("one", "1")
    jobs.sagemaker.stop_processing_job(ProcessingJobName="one")
    jobs.wait("one")
    with refused("ResourceInUse", "Job name must be unique within an AWS account and region"):
        jobs.submit("one", "1")
    with refused("ValidationException", "Could not find requested job with name: two"):
        jobs.describe("two")


def test_quotas_and_the_next_type_in_line(emulate):
    quotas = {"ml.c5.4xlarge": 2, "ml.c5.9xlarge": 1, "ml.p3.2xlarge": 0}
    jobs = Jobs(emulate(quotas=quotas, faults=Faults(start_seconds=60)), "no-image")
    jobs.submit("a", "1", instance_type="ml.c5.4xlarge")
    with refused(
        "ResourceLimitExceeded",
        "The account-level service limit 'ml.c5.4xlarge for processing job usage' is 2 Instances, with current utilization of "
        "1 Instances and a request delta of 2 Instances",
    ):
        jobs.submit("b", "1", instance_type="ml.c5.4xlarge", count=2)
    with refused("ResourceLimitExceeded", "is 0 Instances"):
        jobs.submit("c", "1", instance_type="ml.p3.2xlarge")
    jobs.submit("d", "1", instance_type="ml.c5.4xlarge")
    jobs.submit("e", "1", preferences=["ml.c5.4xlarge", "ml.c5.9xlarge"])
    with refused("ResourceLimitExceeded", "ml.c5.4xlarge for processing job usage"):
        jobs.submit("f", "1", preferences=["ml.c5.4xlarge", "ml.c5.9xlarge"])
    jobs.sagemaker.stop_processing_job(ProcessingJobName="a")
    jobs.wait("a")
    jobs.submit("f", "1", preferences=["ml.c5.4xlarge", "ml.c5.9xlarge"])
