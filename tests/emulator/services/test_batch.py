"""AWS Batch in the emulator, asked with boto3. No container runs here: see emulator/test_batch_tasks.py."""

import datetime
import urllib.error
import urllib.request
from functools import partial

import boto3
import botocore.config
import pytest
from batch_requests import NO_CAPACITY, Batch, container, limit, role, size, task, until
from emulator_requests import answered_by, refused, send, signed
from simferry.emulator import Faults
from simferry.emulator.operations import OPERATIONS


@pytest.fixture
def batch(emulate):
    """Jobs are accepted and wait."""
    emulate(faults=Faults(start_seconds=600))
    return Batch()


@pytest.fixture
def at_once(emulate, monkeypatch):
    """Jobs run at once, without containers: those whose names begin with "bad" fail. Gives what ran, in its order."""
    emulator, ran = emulate(faults=Faults(start_seconds=0)), []

    def run(job):
        job.status = "RUNNING"
        ran.append(job)
        bad = job.request["jobName"].startswith("bad") and job.index in (None, 1)
        job.end("FAILED" if bad else "SUCCEEDED", "")

    monkeypatch.setattr(emulator.batch.attempts, "run", run)
    return Batch(), ran


# ---- shapes ----


@pytest.fixture
def answered():
    """The operations of Batch that were answered, each in its shape."""
    return partial(answered_by, "batch")


def test_every_answer_has_the_services_shape(emulate, answered):
    emulate(faults=Faults(start_seconds=600))
    seen = answered()
    batch = Batch((limit(),))
    client = batch.client
    client.update_compute_environment(computeEnvironment="machines", computeResources={"maxvCpus": 8})
    client.update_job_queue(jobQueue="queue", priority=2)
    assert client.describe_compute_environments()["computeEnvironments"][0]["computeResources"]["maxvCpus"] == 8
    assert client.describe_job_queues()["jobQueues"][0]["jobStateTimeLimitActions"] == [limit()]
    batch.define("two", task(container(name="a"), container(name="b")), timeout={"attemptDurationSeconds": 90})
    assert len(client.describe_job_definitions()["jobDefinitions"]) == 2
    more = {"tags": {"made-by": "me"}, "propagateTags": True, "retryStrategy": {"attempts": 2}}
    jobs = [batch.submit(**more), batch.submit(array=3, **more), batch.submit(definition="two", **more)]
    jobs.append(f"{jobs[1]}:2")
    assert [one["jobId"] for one in client.describe_jobs(jobs=jobs)["jobs"]] == jobs
    for asked in ({"jobQueue": "queue", "jobStatus": "RUNNABLE"}, {"arrayJobId": jobs[1], "jobStatus": "RUNNABLE"}):
        assert client.list_jobs(**asked)["jobSummaryList"]
    client.cancel_job(jobId=jobs[0], reason="enough")
    client.cancel_jobs(jobs=[jobs[3]], reason="enough")
    client.terminate_job(jobId=jobs[1], reason="enough")
    client.terminate_jobs(jobs=[jobs[2]], reason="enough")
    for job in jobs:
        assert batch.wait(job)["status"] == "FAILED"
    client.deregister_job_definition(jobDefinition="two:1")
    client.update_job_queue(jobQueue="queue", state="DISABLED")
    client.delete_job_queue(jobQueue="queue")
    client.update_compute_environment(computeEnvironment="machines", state="DISABLED")
    client.delete_compute_environment(computeEnvironment="machines")
    assert seen == OPERATIONS["batch"]


def test_errors_are_the_services(batch, emulate):
    with refused("ClientException", "JobQueue nowhere not found"):
        batch.client.submit_job(jobName="a", jobQueue="nowhere", jobDefinition="nothing")
    with refused("ClientException", "JobDefinition nothing:9 not found"):
        batch.submit(definition="nothing:9")
    with refused("UnknownOperationException", "batch:CreateSchedulingPolicy"):
        batch.client.create_scheduling_policy(name="a")
    emulator = emulate(faults=Faults(throttle=1))
    once = boto3.client("batch", config=botocore.config.Config(retries={"total_max_attempts": 1}))
    with refused("TooManyRequestsException", "Too Many Requests") as caught:
        once.describe_job_queues()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    emulator.faults.throttle = 0
    body = b'{"jobName": 1}'
    status, said = send(
        emulator, "POST", "/v1/submitjob", signed(emulator, "batch", "POST", "/v1/submitjob", body), body
    )
    assert status == 400 and "jobQueue" in said and "Member must not be null" in said  # a client that checks nothing


# ---- submitting ----


def test_what_takes_no_jobs(batch):
    batch.client.deregister_job_definition(jobDefinition="nothing:1")
    with refused("ClientException", "not active"):
        batch.submit(definition="nothing:1")
    batch.define("here", container("true"), platformCapabilities=["EC2"])
    batch.client.update_job_queue(jobQueue="queue", state="DISABLED")
    with refused("ClientException", "DISABLED and does not take jobs"):
        batch.submit(definition="here")


def test_definitions_and_queues_are_of_one_platform(batch):
    """The execution role has to be one of ECS's tasks."""
    given = container("true", executionRoleArn=role("tasks"), resourceRequirements=size(1, 2048))
    batch.define("fargate", given, platformCapabilities=["FARGATE"])
    with refused("ClientException", "do not fit the job queue's compute environments"):
        batch.submit(definition="fargate")
    with refused("ClientException", "role/other can't be assumed by ecs-tasks"):
        batch.define("other", {**given, "executionRoleArn": role("other", "ec2")}, platformCapabilities=["FARGATE"])


def test_an_answer_that_is_lost_has_submitted(emulate):
    emulator = emulate(faults=Faults(start_seconds=600, lost_answer=1))
    batch = Batch()
    once = boto3.client("batch", config=botocore.config.Config(retries={"total_max_attempts": 1}))
    with refused("ServerException", "lost the answer"):
        once.submit_job(jobName="one", jobQueue="queue", jobDefinition="nothing")
    emulator.faults.lost_answer = 0
    batch.submit("one")
    named = batch.client.list_jobs(jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["one"]}])
    assert len({one["jobId"] for one in named["jobSummaryList"]}) == 2  # names are not unique


# ---- order ----


def test_children_run_in_the_order_of_their_dependencies(at_once):
    batch, ran = at_once
    first = batch.submit("first", array=3, dependsOn=[{"type": "SEQUENTIAL"}])
    second = batch.submit("second", array=3, dependsOn=[{"jobId": first, "type": "N_TO_N"}])
    third = batch.submit("third", dependsOn=[{"jobId": second}])
    assert batch.wait(third)["status"] == "SUCCEEDED" and batch.status(second) == "SUCCEEDED"
    order = [job.id for job in ran]
    assert sorted(order) == sorted([*(f"{one}:{n}" for one in (first, second) for n in range(3)), third])
    before = {f"{first}:1": f"{first}:0", f"{first}:2": f"{first}:1", third: f"{second}:2"}
    before |= {f"{second}:{n}": f"{first}:{n}" for n in range(3)}
    assert all(order.index(earlier) < order.index(later) for later, earlier in before.items())


def test_what_needs_a_job_that_failed_never_runs(at_once):
    batch, ran = at_once
    bad = batch.submit("bad", array=3, dependsOn=[{"type": "SEQUENTIAL"}])
    after = batch.submit("after", dependsOn=[{"jobId": bad}])
    assert batch.wait(after)["statusReason"] == "Dependent Job failed"
    assert [job.index for job in ran] == [0, 1]
    told = batch.describe(bad)
    assert (told["status"], told["statusReason"]) == ("FAILED", "Array Child Job failed")
    assert {k: v for k, v in told["arrayProperties"]["statusSummary"].items() if v} == {"SUCCEEDED": 1, "FAILED": 2}


# ---- lists ----


def listed(batch, **asked):
    pages = batch.client.get_paginator("list_jobs").paginate(**asked)
    return [one["jobName"] for page in pages for one in page["jobSummaryList"]]


def test_lists_as_the_service_filters(batch):
    batch.define("other", container("false"))
    for name in ("run-1", "Run-2", "sun"):
        batch.submit(name, definition="other" if name == "sun" else "nothing")
    array = batch.submit("many", array=4)

    def filtered(name, *values, **more):
        return listed(batch, jobQueue="queue", filters=[{"name": name, "values": [*values]}], **more)

    assert filtered("JOB_NAME", "RUN*") == ["Run-2", "run-1"]  # the latest first
    assert filtered("JOB_NAME", "run-2") == ["Run-2"] and filtered("JOB_NAME", "run") == []
    assert filtered("JOB_NAME", "many*") == ["many"]  # children are not found
    assert filtered("JOB_NAME", "sun", jobStatus="SUCCEEDED") == ["sun"]  # the status is ignored
    assert filtered("JOB_DEFINITION", "other") == filtered("JOB_DEFINITION", "oth*") == ["sun"]
    (arn,) = {one["jobDefinition"] for one in batch.client.list_jobs(
        jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["sun"]}])["jobSummaryList"]}  # fmt: skip
    assert filtered("JOB_DEFINITION", arn) == ["sun"] and filtered("JOB_DEFINITION", f"{arn[:-1]}9") == []
    now = round(datetime.datetime.now().timestamp() * 1000)
    assert len(filtered("AFTER_CREATED_AT", str(now - 60_000))) == len(filtered("BEFORE_CREATED_AT", str(now + 9))) == 4
    assert filtered("AFTER_CREATED_AT", str(now + 60_000)) == filtered("BEFORE_CREATED_AT", str(now - 60_000)) == []

    until(lambda: sorted(listed(batch, jobQueue="queue", jobStatus="RUNNABLE")) == ["Run-2", "run-1", "sun"])
    assert listed(batch, jobQueue="queue") == []  # without a status those that are RUNNING
    assert listed(batch, jobQueue="queue", jobStatus="PENDING") == ["many"]
    assert len(listed(batch, arrayJobId=array, jobStatus="RUNNABLE")) == 4 and listed(batch, arrayJobId=array) == []
    assert listed(batch, arrayJobId="nowhere", jobStatus="RUNNABLE") == []
    for wrong in (
        {}, {"jobQueue": "queue", "arrayJobId": array}, {"jobQueue": "nowhere"}, {"multiNodeJobId": array},
        {"jobQueue": "queue", "filters": 2 * [{"name": "JOB_NAME", "values": ["a"]}]},
        {"jobQueue": "queue", "filters": [{"name": "SHARE_IDENTIFIER", "values": ["a"]}]},
        {"jobQueue": "queue", "filters": [{"name": "AFTER_CREATED_AT", "values": ["today"]}]},
        {"jobQueue": "queue", "nextToken": "x"},
    ):  # fmt: skip
        with refused("ClientException", ""):
            batch.client.list_jobs(**wrong)


def test_pages_and_limits(batch):
    array = batch.submit("many", array=1001)
    until(lambda: batch.describe(array)["arrayProperties"]["statusSummary"]["RUNNABLE"] == 1001)
    pages = batch.client.get_paginator("list_jobs").paginate(arrayJobId=array, jobStatus="RUNNABLE")
    assert [len(page["jobSummaryList"]) for page in pages] == [1000, 1]
    pages = batch.client.get_paginator("list_jobs").paginate(
        arrayJobId=array, jobStatus="RUNNABLE", PaginationConfig={"PageSize": 600}
    )
    assert [len(page["jobSummaryList"]) for page in pages] == [600, 401]
    for _ in range(101):
        batch.submit("one")
    pages = batch.client.get_paginator("list_jobs").paginate(
        jobQueue="queue", filters=[{"name": "JOB_NAME", "values": ["one"]}]
    )
    assert [len(page["jobSummaryList"]) for page in pages] == [100, 1]
    children = [f"{array}:{n}" for n in range(101)]
    assert len(batch.client.describe_jobs(jobs=[*children[:99], "nowhere"])["jobs"]) == 99
    with refused("ClientException", "At most 100 jobs"):
        batch.client.describe_jobs(jobs=children)
    with refused("ClientException", "At most 50 jobs"):
        batch.client.terminate_jobs(jobs=children[:51], reason="enough")
    assert boto3.client("batch", region_name="eu-west-1").describe_jobs(jobs=[array])["jobs"] == []


def test_a_list_that_is_behind(emulate):
    emulate(faults=Faults(start_seconds=600, list_lag_seconds=1))
    batch = Batch()
    job = batch.submit("new")
    asked = {"jobQueue": "queue", "filters": [{"name": "JOB_NAME", "values": ["new"]}]}
    assert listed(batch, **asked) == [] and batch.status(job) == "RUNNABLE"
    until(lambda: listed(batch, **asked) == ["new"])


def test_definitions_and_jobs_are_found_by_their_tags(batch):
    mine = {"made-by": "me"}
    batch.define("tagged", container("true"), tags=mine)
    job = batch.submit(array=2, tags=mine)

    def found():
        asked = {"TagFilters": [{"Key": "made-by", "Values": ["me"]}]}
        answer = boto3.client("resourcegroupstaggingapi").get_resources(**asked)["ResourceTagMappingList"]
        return [one["ResourceARN"].split(":", 5)[5] for one in answer]

    assert found() == ["job-definition/tagged:1", f"job/{job}"]
    batch.client.deregister_job_definition(jobDefinition="tagged:1")
    assert found() == [f"job/{job}"]


# ---- what waits, and what is ended ----


def test_jobs_that_wait_are_cancelled_and_terminated(batch):
    array = batch.submit(array=2)
    other = batch.submit("other")
    batch.wait(f"{array}:1", "RUNNABLE")
    batch.client.cancel_job(jobId=array, reason="enough")
    told = batch.wait(array)
    assert (told["status"], told["isCancelled"], told["isTerminated"]) == ("FAILED", True, False)
    child = batch.describe(f"{array}:1")
    assert (child["status"], child["statusReason"], child["attempts"]) == ("FAILED", "enough", [])
    batch.client.terminate_job(jobId=other, reason="stop")
    told = batch.wait(other)
    assert (told["statusReason"], told["isCancelled"], told["isTerminated"]) == ("stop", False, True)
    for end in (batch.client.cancel_jobs, batch.client.terminate_jobs):  # one that is not there counts as ended
        assert end(jobs=["nowhere", other], reason="r")["successful"] == ["nowhere", other]
    assert batch.describe(other)["statusReason"] == "stop"


def test_jobs_go_with_their_queue(batch):
    job = batch.submit(array=2)
    batch.client.update_job_queue(jobQueue="queue", state="DISABLED")
    batch.client.delete_job_queue(jobQueue="queue")
    assert batch.wait(job)["status"] == "FAILED" and batch.describe(f"{job}:0")["isTerminated"]


def test_capacity_that_never_comes(emulate):
    emulator = emulate(faults=Faults(start_seconds=0, capacity=1))
    batch = Batch((limit(seconds=600),))
    job = batch.submit(array=2)
    child = f"{job}:0"
    until(lambda: "statusReason" in batch.describe(child))
    told = batch.describe(child)
    assert told["status"] == "RUNNABLE" and told["statusReason"].startswith(f"{NO_CAPACITY} - Service cannot fulfill")
    (one, _) = batch.client.list_jobs(arrayJobId=job, jobStatus="RUNNABLE")["jobSummaryList"]
    assert one["statusReason"] == told["statusReason"]
    emulator.faults.pace = 0
    told = batch.wait(child)
    assert told["statusReason"] == f"Canceled by JobStateTimeLimit action due to reason: {NO_CAPACITY}"
    assert told["isCancelled"] and batch.wait(job)["status"] == "FAILED"


def test_jobs_that_no_machine_takes(emulate, monkeypatch):
    emulator = emulate(faults=Faults(start_seconds=0))
    monkeypatch.setattr(emulator.batch.attempts, "run", lambda job: job.end("SUCCEEDED", ""))
    batch = Batch()
    large = {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "17"}]}}
    job = batch.submit(**large)
    until(lambda: "MAX_RESOURCE" in batch.describe(job).get("statusReason", ""))
    assert batch.status(job) == "RUNNABLE"
    batch.client.update_compute_environment(computeEnvironment="machines", computeResources={"maxvCpus": 32})
    assert "statusReason" not in batch.wait(job)

    (environment,) = emulator.batch.environments.environments.values()
    environment["status"] = "INVALID"
    job = batch.submit()
    until(lambda: "invalid" in batch.describe(job).get("statusReason", ""))
    environment |= {"status": "VALID", "state": "DISABLED"}
    until(lambda: "statusReason" not in batch.describe(job))
    assert batch.status(job) == "RUNNABLE"
    batch.client.update_compute_environment(computeEnvironment="machines", state="ENABLED")
    assert batch.wait(job)["status"] == "SUCCEEDED"


def test_the_address_of_credentials_is_a_containers_secret(batch):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{batch.client.meta.endpoint_url}/v2/credentials/guess")
    assert caught.value.code in (400, 403)
