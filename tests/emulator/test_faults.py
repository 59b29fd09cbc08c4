"""Faults of the services that the emulator makes when it is told to."""

import time

import boto3
from botocore.exceptions import ClientError
from emulator_fixtures import Jobs
from simferry.emulator import Faults


def test_throttled_requests(emulate):
    emulator = emulate(faults=Faults(seed=1, throttle=0.5))

    def throttled() -> list[bool]:
        once = boto3.client("sagemaker", config=boto3.session.Config(retries={"total_max_attempts": 1}))
        out = []
        for _ in range(20):
            try:
                once.list_processing_jobs()
                out.append(False)
            except ClientError as error:
                assert error.response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
                out.append(True)
        return out

    first = throttled()
    assert 4 <= sum(first) <= 16
    boto3.client("s3").list_buckets()  # not throttled
    emulator.faults.throttle = 0
    assert not any(throttled())
    emulate(faults=Faults(seed=1, throttle=0.5))
    assert throttled() == first  # the same seed, the same faults


def test_no_capacity(emulate, image_r):
    jobs = Jobs(emulate(faults=Faults(capacity=1)), image_r)
    jobs.submit("none", "1")
    done = jobs.wait("none")
    assert "CapacityError: Unable to provision requested ML compute capacity" in done["FailureReason"]
    assert "ProcessingStartTime" not in done
    jobs.emulator.faults.capacity = 0
    jobs.submit("some", "1", preferences=["ml.t3.medium", "ml.m5.large"])
    cluster = jobs.wait("some")["ProcessingResources"]["ClusterConfig"]
    assert (cluster["SelectedInstanceType"], cluster["SelectedInstanceCount"]) == ("ml.t3.medium", 1)


def test_a_host_that_is_lost(emulate, image_r):
    jobs = Jobs(emulate(faults=Faults(lost_host=1)), image_r)
    jobs.submit("lost", "Sys.sleep(60)")
    done = jobs.wait("lost")
    assert done["FailureReason"] == "InternalServerError: We encountered an internal error.  Please try again."


def test_a_list_that_is_behind(emulate):
    jobs = Jobs(emulate(faults=Faults(start_seconds=60, list_lag_seconds=1)), "no-image")
    jobs.submit("new", "1")

    def listed():
        return [job["ProcessingJobName"] for job in jobs.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]]

    assert listed() == [] and jobs.describe("new")["ProcessingJobStatus"] == "InProgress"
    jobs.until(lambda: listed() == ["new"])
    assert time.time() - jobs.describe("new")["CreationTime"].timestamp() >= 1


def test_faults_are_drawn_for_each_kind_apart():
    one, other = Faults(seed=3, capacity=0.5, throttle=0.5), Faults(seed=3, capacity=0.5)
    for _ in range(7):
        one.throttles()
    assert [one.has_capacity() for _ in range(20)] == [other.has_capacity() for _ in range(20)]
    assert {one.has_capacity() for _ in range(20)} == {True, False}
