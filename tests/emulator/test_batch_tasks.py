"""Attempts of AWS Batch's jobs, in containers."""

import json

import pytest
from batch_requests import Batch, container, role, size, task, until
from simferry.emulator import Faults
from simferry.emulator.batch_tasks import EXITED, NOT_STARTED, TIMED_OUT

LOST_ONLY = {"attempts": 3, "evaluateOnExit": [
    {"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}]}  # fmt: skip
LOGS = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "*"}


def sh(script, **more):
    return container("sh", "-c", script, **more)


@pytest.fixture
def emulator(emulate, engine):
    return emulate(faults=Faults(start_seconds=0))


@pytest.fixture
def batch(emulator):
    return Batch()


def left(emulator, engine):
    """What is there of the emulator's jobs."""
    label = {"label": f"simferry.owner={emulator._machine.owner}"}
    return [*engine.containers.list(all=True, filters=label), *engine.volumes.list(filters=label)]


def test_what_a_child_knows_and_says_while_it_runs(batch, emulator, engine):
    script = 'env | grep -E "^(AWS_BATCH|OWN)" | sort; mkfifo /tmp/wait; read x < /tmp/wait; exit "$x"'
    batch.define("child", sh(script, environment=[{"name": "OWN", "value": "a b"}]))
    array = batch.submit(definition="child", array=2, retryStrategy={"attempts": 1})
    told = batch.wait(f"{array}:1", "RUNNING")
    stream = told["container"]["logStreamName"]
    assert stream.split("/")[:2] == ["child", "default"] and told["container"]["taskArn"].endswith(stream.split("/")[2])
    until(lambda: len(batch.log(stream)) == 7)  # before it ends
    assert dict(line.split("=", 1) for line in batch.log(stream)) == {
        "AWS_BATCH_CE_NAME": "machines", "AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ARRAY_SIZE": "2", "OWN": "a b",
        "AWS_BATCH_JOB_ATTEMPT": "1", "AWS_BATCH_JOB_ID": f"{array}:1", "AWS_BATCH_JQ_NAME": "queue",
    }  # fmt: skip
    assert batch.describe(array)["status"] == "PENDING"
    batch.client.cancel_job(jobId=array, reason="too late")  # leaves what has begun
    for index in (0, 1):
        batch.wait(f"{array}:{index}", "RUNNING")
        label = {"label": f"simferry.job={array}:{index}"}
        until(lambda label=label: engine.containers.list(filters=label)[0].exec_run("ls /tmp/wait").exit_code == 0)
        (one,) = engine.containers.list(filters=label)
        assert (one.attrs["HostConfig"]["Memory"], one.attrs["HostConfig"]["NanoCpus"]) == (256 * 2**20, 10**9)
        assert not one.attrs["HostConfig"]["Privileged"] and not one.attrs["HostConfig"]["Binds"]
        one.exec_run(["sh", "-c", f"echo {index} > /tmp/wait"])
    told = batch.wait(array)
    assert {k: v for k, v in told["arrayProperties"]["statusSummary"].items() if v} == {"SUCCEEDED": 1, "FAILED": 1}
    bad = batch.describe(f"{array}:1")
    assert (bad["statusReason"], bad["container"]["exitCode"], len(bad["attempts"])) == (EXITED, 1, 1)
    assert bad["startedAt"] <= bad["stoppedAt"] and left(emulator, engine) == []


def test_attempts(batch):
    """The rule RETRY for one exit code; each attempt has its number and its own log stream."""
    strategy = {
        "attempts": 3,
        "evaluateOnExit": [{"onExitCode": "3", "action": "RETRY"}, {"onExitCode": "*", "action": "EXIT"}],
    }
    told = batch.run(sh("echo try $AWS_BATCH_JOB_ATTEMPT; exit $((4 - AWS_BATCH_JOB_ATTEMPT))"), retryStrategy=strategy)
    assert (told["status"], [one["container"]["exitCode"] for one in told["attempts"]]) == ("FAILED", [3, 2])
    streams = [one["container"]["logStreamName"] for one in told["attempts"]]
    assert [batch.log(one) for one in streams] == [["try 1"], ["try 2"]]


@pytest.mark.parametrize(("trap", "code"), [("exit 0", 0), ("", 137)])
def test_a_timeout_is_sigterm_then_sigkill_and_is_not_tried_again(batch, emulator, trap, code):
    """Also where the program ends well by itself after the signal."""
    emulator.faults.pace, emulator.batch.attempts.kill_seconds = 0.02, 1
    told = batch.run(
        sh(f"trap '{trap}' TERM; echo on; while :; do sleep 0.1; done"),
        timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3},
    )  # fmt: skip
    assert (told["status"], told["statusReason"], len(told["attempts"])) == ("FAILED", TIMED_OUT, 1)
    assert (told["container"]["exitCode"], told["timeout"]) == (code, {"attemptDurationSeconds": 60})


def test_a_job_that_runs_is_terminated(batch):
    batch.define("long", sh("trap 'echo told; exit 5' TERM; echo on; while :; do sleep 0.1; done"))
    job = batch.submit(definition="long", retryStrategy={"attempts": 3})
    stream = batch.wait(job, "RUNNING")["container"]["logStreamName"]
    until(lambda: batch.log(stream) == ["on"])
    batch.client.terminate_job(jobId=job, reason="enough")
    told = batch.wait(job)
    assert (told["status"], told["statusReason"], told["isTerminated"]) == ("FAILED", "enough", True)
    assert told["attempts"][0]["container"]["exitCode"] == 5 and batch.log(stream) == ["on", "told"]


def test_a_host_that_is_lost_is_tried_again_by_rule(batch, emulator):
    emulator.faults.lost_host = 1
    batch.define("long", sh("[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || sleep 60"))
    job = batch.submit(definition="long", retryStrategy=LOST_ONLY)
    until(lambda: batch.describe(job)["attempts"] or batch.status(job) == "RUNNING")
    emulator.faults.lost_host = 0
    told = batch.wait(job)
    first, second = told["attempts"]
    assert first["statusReason"].startswith("Host EC2 (instance i-") and "exitCode" not in first["container"]
    assert (told["status"], second["container"]["exitCode"]) == ("SUCCEEDED", 0)


@pytest.mark.parametrize(
    ("properties", "reason", "told", "code"),
    [
        (sh("tail /dev/zero", resourceRequirements=size(1, 16)), EXITED, "OutOfMemoryError: Container killed", 137),
        (container("true", image="nowhere/none:1"), NOT_STARTED, "CannotPullContainerError: .*nowhere/none:1", None),
        (container("no-such-program"), NOT_STARTED, "CannotStartContainerError: .*no-such-program", None),
        (sh("true", logConfiguration={"logDriver": "awslogs", "options": {"awslogs-group": "none"}}), NOT_STARTED,
         "CannotStartContainerError: .*logging driver.*group", None),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_as_the_service_says_it(batch, properties, reason, told, code):
    import re

    found = batch.run(properties)
    assert (found["status"], found["statusReason"]) == ("FAILED", reason)
    assert re.match(told, found["container"]["reason"]) and found["container"].get("exitCode") == code
    assert found["attempts"][0]["container"]["reason"] == found["container"]["reason"]


def test_a_log_group_is_made_where_it_is_asked_for(batch):
    options = {"awslogs-group": "mine", "awslogs-create-group": "true", "awslogs-stream-prefix": "lab"}
    told = batch.run(sh("echo kept", logConfiguration={"logDriver": "awslogs", "options": options}))
    stream = told["container"]["logStreamName"]
    assert stream.startswith("lab/default/") and batch.log(stream, "mine") == ["kept"]


def test_several_containers(batch, emulator, engine):
    """They share a volume; one waits for the success of another one; the end of the essential one ends the rest."""
    mounts = [{"sourceVolume": "shared", "containerPath": "/shared"}]
    first = sh("sleep 0.5; echo brought > /shared/a", name="bring", essential=False, mountPoints=mounts)
    beside = sh("trap 'echo told; exit 7' TERM; echo on; while :; do sleep 0.1; done", name="beside", essential=False)
    needs = [{"containerName": "bring", "condition": "SUCCESS"}, {"containerName": "beside", "condition": "START"}]
    work = sh('cat /shared/a; sleep 1; exit "$CODE"', name="work", mountPoints=mounts, dependsOn=needs)
    code = {"name": "work", "environment": [{"name": "CODE", "value": "4"}]}
    told = batch.run(
        task(work, beside, first, volumes=[{"name": "shared"}]),
        ecsPropertiesOverride={"taskProperties": [{"containers": [code]}]},
    )
    assert (told["status"], told["statusReason"]) == ("FAILED", EXITED)
    found = {one["name"]: one for one in told["ecsProperties"]["taskProperties"][0]["containers"]}
    assert {name: one["exitCode"] for name, one in found.items()} == {"bring": 0, "work": 4, "beside": 7}
    assert batch.log(found["work"]["logStreamName"]) == ["brought"]
    assert batch.log(found["beside"]["logStreamName"]) == ["on", "told"]
    assert "/work/" in found["work"]["logStreamName"] and left(emulator, engine) == []
    listed = batch.client.list_jobs(jobQueue="queue", jobStatus="FAILED")["jobSummaryList"]
    assert "container" not in listed[0]  # the service tells of several containers only where a job is described


def test_a_container_whose_need_failed_never_starts(batch):
    first = sh("exit 9", name="bring", essential=False)
    work = sh("echo never", name="work", dependsOn=[{"containerName": "bring", "condition": "SUCCESS"}])
    told = batch.run(task(work, first))
    assert (told["status"], told["statusReason"]) == ("FAILED", NOT_STARTED)
    found = {one["name"]: one for one in told["ecsProperties"]["taskProperties"][0]["containers"]}
    assert "another one depends, exited with code 9" in found["bring"]["reason"]
    assert batch.log(found["work"]["logStreamName"]) == []


def test_the_jobs_role_is_its_credential(emulate, image_python):
    """Under policies: the container gets its role's keys, and logs are written with the execution role's, which it does not get."""
    emulator = emulate(faults=Faults(start_seconds=0))
    batch = Batch()
    runs, starts = role("runs"), role("starts", "ecs-tasks", LOGS)
    script = (
        "import json,os,urllib.request as u; where=os.environ['AWS_CONTAINER_CREDENTIALS_FULL_URI'];"
        "got=json.load(u.urlopen(where)); print(json.dumps([got['RoleArn'], sorted(got), where]))"
    )
    batch.define("keys", container("-c", script, image=image_python, jobRoleArn=runs, executionRoleArn=starts))
    emulator.iam = True  # from here on
    internal = emulator._client("batch", "us-east-1")
    job = internal.submit_job(jobName="keys", jobQueue="queue", jobDefinition="keys")["jobId"]
    until(lambda: internal.describe_jobs(jobs=[job])["jobs"][0]["status"] in ("SUCCEEDED", "FAILED"))
    emulator.iam = False
    told = batch.describe(job)
    assert told["status"] == "SUCCEEDED", batch.log(told["container"]["logStreamName"])
    (line,) = batch.log(told["container"]["logStreamName"])
    arn, members, where = json.loads(line)
    assert arn == runs and members == ["AccessKeyId", "Expiration", "RoleArn", "SecretAccessKey", "Token"]
    import urllib.error
    import urllib.request

    with pytest.raises(urllib.error.HTTPError):  # with the container its address has ended
        urllib.request.urlopen(where)
