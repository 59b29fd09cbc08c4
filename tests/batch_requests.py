"""What tests against AWS Batch in the emulator share: machines, a queue, definitions, and jobs that are waited for."""

import json
import time
from collections.abc import Callable
from typing import Any

MACHINES = {
    "type": "SPOT", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"], "instanceTypes": ["default_x86_64"],
    "instanceRole": "arn:aws:iam::123456789012:instance-profile/machines",
}  # fmt: skip
ON_FARGATE = {"type": "FARGATE", "maxvCpus": 16, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"


def size(vcpus: float = 1, mib: int = 256) -> list[dict[str, str]]:
    return [{"type": "VCPU", "value": f"{vcpus:g}"}, {"type": "MEMORY", "value": str(mib)}]


def limit(reason: str = NO_CAPACITY, seconds: int = 600) -> dict[str, Any]:
    return {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": seconds, "action": "CANCEL"}


def container(*command: str, **more) -> dict[str, Any]:
    return {"image": "debian:bookworm-slim", "command": [*command], "resourceRequirements": size(), **more}


def task(*containers: dict[str, Any], **more) -> dict[str, Any]:
    return {"ecsProperties": {"taskProperties": [{"containers": [*containers], **more}]}}


def role(name: str, service: str = "ecs-tasks", *statements: dict[str, Any]) -> str:
    """The ARN of a new role that a service may assume."""
    import boto3

    iam, trust = boto3.client("iam"), {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}}
    document = {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]
    if statements:
        allowed = json.dumps({"Version": "2012-10-17", "Statement": [*statements]})
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=allowed)
    return str(made["Arn"])


def until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


class Batch:
    """A client of Batch, with a compute environment "machines" and a queue "queue" on it."""

    def __init__(self, limits: tuple[dict[str, Any], ...] = ()) -> None:
        import boto3

        self.client, self.logs = boto3.client("batch"), boto3.client("logs")
        self.client.create_compute_environment(
            computeEnvironmentName="machines", type="MANAGED", computeResources=MACHINES
        )
        self.client.create_job_queue(
            jobQueueName="queue", priority=1, jobStateTimeLimitActions=[*limits],
            computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "machines"}],
        )  # fmt: skip
        self.define("nothing", container("true"))

    def define(self, name: str, properties: dict[str, Any], **more) -> str:
        """properties: of a container, or ecsProperties."""
        given = properties if "ecsProperties" in properties else {"containerProperties": properties}
        made = self.client.register_job_definition(jobDefinitionName=name, type="container", **given, **more)
        return str(made["jobDefinitionArn"])

    def submit(self, name: str = "job", definition: str = "nothing", array: int = 0, **more) -> str:
        many = {"arrayProperties": {"size": array}} if array else {}
        return str(
            self.client.submit_job(jobName=name, jobQueue="queue", jobDefinition=definition, **many, **more)["jobId"]
        )

    def describe(self, job: str) -> dict[str, Any]:
        return dict(self.client.describe_jobs(jobs=[job])["jobs"][0])

    def status(self, job: str) -> str:
        return str(self.describe(job)["status"])

    def wait(self, job: str, *states: str) -> dict[str, Any]:
        """The description of a job in one of these states; without any, when it has ended."""
        until(lambda: self.status(job) in (states or ("SUCCEEDED", "FAILED")))
        return self.describe(job)

    def run(self, properties: dict[str, Any], of_definition: dict[str, Any] | None = None, **more) -> dict[str, Any]:
        """The description of a job after its end."""
        self.define("one", properties, **(of_definition or {}))
        return self.wait(self.submit(definition="one", **more))

    def log(self, stream: str, group: str = "/aws/batch/job") -> list[str]:
        events = self.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        return [one["message"] for one in events]
