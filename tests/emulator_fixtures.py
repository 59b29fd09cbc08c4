"""What tests against the emulator share: one that lives as long as a test, with the environment that leads to it; stores in
its S3; jobs."""

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from common import require
from simferry.containers.removal import OWNER

P = "/opt/ml/processing"
GROUP = "/aws/sagemaker/ProcessingJobs"


@pytest.fixture
def emulate(monkeypatch, tmp_path):
    """Starts an emulator: emulate(quotas=..., faults=..., iam=True). The environment is its own until the test ends."""
    try:
        import boto3
        import moto.server  # noqa: F401
        from simferry.emulator import Emulator
        from simferry.emulator.server import CLEARED
    except ImportError as error:
        require("emulator", False, f"{error.name} is not installed (pip install '.[emulator]')")
    started = []

    def start(**settings) -> Emulator:
        for one in started:  # moto's state is the process's
            one.stop()
        started[:] = []
        made = Emulator(**settings)
        made.start()
        started.append(made)
        for name in {*CLEARED, *(n for n in os.environ if n.startswith("AWS_"))}:
            monkeypatch.delenv(name, raising=False)
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "no-such-file"))
        forget()
        return made

    def forget() -> None:
        """What knows credentials and addresses of another test."""
        from simferry.aws import session

        boto3.DEFAULT_SESSION = None
        for function in vars(session).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()
        if core := sys.modules.get("sagemaker.core.utils.utils"):  # it keeps its clients
            core.SageMakerClient.reset()

    yield start
    for one in started:
        one.stop()
    forget()


@pytest.fixture
def emulator(emulate):
    """An emulator without quotas, faults or policies."""
    return emulate()


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Makes this process another machine: machine("second") has no mirror that the first has."""

    def become(name: str) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "machines" / name))

    become("first")
    return become


@pytest.fixture
def place(emulator, machine, monkeypatch):
    """The address of an empty store."""
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    return f"s3://{emulator.bucket}/simferry"


@pytest.fixture
def s3(place):
    import boto3

    return boto3.client("s3")


class Gate:
    """Keeps simulations in R waiting in their containers until `open`. A simulation that calls WAIT goes on at once elsewhere."""

    WAIT = 'while (dir.exists("/opt/ml/config") && !file.exists("/tmp/open")) Sys.sleep(0.05)'

    def __init__(self, engine) -> None:
        self.engine = engine
        self.closed = threading.Event()

    def open(self, when: Path | None = None) -> None:
        """In every container that runs now or later; with `when` as soon as that file is there."""
        self.closed.clear()
        threading.Thread(target=self._keep_open, args=[when], daemon=True).start()

    def close(self) -> None:
        """For containers that start from now on."""
        self.closed.set()

    def _keep_open(self, when: Path | None) -> None:
        mine = {"label": f"{OWNER}=simferry-emulator-{os.getpid()}"}
        while not self.closed.wait(0.2):
            if when is None or when.exists():
                for container in self.engine.containers.list(filters=mine):
                    with contextlib.suppress(Exception):  # it has just ended
                        container.exec_run(["touch", "/tmp/open"])


@pytest.fixture
def gate(engine):
    made = Gate(engine)
    yield made
    made.close()


@pytest.fixture
def jobs(emulator, image_r):
    return Jobs(emulator, image_r)


class Jobs:
    """Submits R scripts as jobs to an emulator, with boto3, and looks after them."""

    def __init__(self, emulator, image: str) -> None:
        import boto3

        self.emulator, self.image = emulator, image
        session = boto3.Session()  # the keys of an emulator before this one are no good
        self.s3, self.sagemaker, self.logs = (session.client(name) for name in ("s3", "sagemaker", "logs"))

    def put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.emulator.bucket, Key=key, Body=text.encode())

    def get(self, key: str) -> str:
        return self.s3.get_object(Bucket=self.emulator.bucket, Key=key)["Body"].read().decode()

    def keys(self, prefix: str) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.emulator.bucket, Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", [])]

    def submit(
        self,
        name: str,
        script: str,
        inputs: dict[str, str] | None = None,
        outputs: dict[str, str] | None = None,
        image: str = "",
        instance_type: str = "ml.t3.medium",
        count: int = 1,
        preferences: list[str] | None = None,
        role: str = "",
        distribution: str = "FullyReplicated",
        mode: str = "File",
        local_path: str = "",
        **more,
    ) -> str:
        """inputs: prefixes by name; outputs: upload modes by name, sent to NAME/OUTPUT. Returns the job's ARN."""
        bucket = self.emulator.bucket
        self.put(f"code/{name}/script.R", script)

        def source(prefix: str, path: str) -> dict:
            where = {"S3Uri": f"s3://{bucket}/{prefix}", "LocalPath": path, "S3DataType": "S3Prefix"}
            return {**where, "S3InputMode": mode, "S3DataDistributionType": distribution}

        code = {
            **source(f"code/{name}", f"{P}/input/code"),
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        }
        given = [
            {"InputName": key, "S3Input": source(prefix, local_path or f"{P}/input/{key}")}
            for key, prefix in (inputs or {}).items()
        ]
        taken = [
            {
                "OutputName": key,
                "S3Output": {"S3Uri": f"s3://{bucket}/{name}/{key}", "LocalPath": f"{P}/{key}", "S3UploadMode": when},
            }
            for key, when in (outputs or {}).items()
        ]
        cluster = {"InstanceCount": count, "VolumeSizeInGB": 1}
        if preferences:
            cluster["InstancePreferences"] = [{"InstanceType": one} for one in preferences]
        else:
            cluster["InstanceType"] = instance_type
        return self.sagemaker.create_processing_job(
            ProcessingJobName=name,
            AppSpecification={
                "ImageUri": image or self.image,
                "ContainerEntrypoint": ["Rscript", f"{P}/input/code/script.R"],
            },
            ProcessingInputs=[{"InputName": "code", "S3Input": code}, *given],
            ProcessingOutputConfig={"Outputs": taken},
            ProcessingResources={"ClusterConfig": cluster},
            RoleArn=role or self.emulator.role,
            **more,
        )["ProcessingJobArn"]

    def describe(self, name: str) -> dict:
        return self.sagemaker.describe_processing_job(ProcessingJobName=name)

    def wait(self, name: str) -> dict:
        """The job's description when it has ended."""
        self.until(lambda: self.describe(name)["ProcessingJobStatus"] in ("Completed", "Failed", "Stopped"))
        return self.describe(name)

    def log(self, name: str) -> list[str]:
        """The lines of a job's first host."""
        streams = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        if not streams:
            return []
        which = {"logGroupName": GROUP, "logStreamName": streams[0]["logStreamName"], "startFromHead": True}
        return [event["message"] for event in self.logs.get_log_events(**which)["events"]]

    @staticmethod
    def until(true: Callable[[], object], seconds: float = 90) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.1)


def submit_to_batch(batch, outputs, queue="SpotQueue", children=1, **more) -> str:
    """Submit jobs that sleep, with a client of Batch, to a queue of a stack. Returns the id."""
    fargate = queue == "FargateQueue"
    needs = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2048"}]
    container = {
        "image": "no-image", "command": ["sleep", "60"], "resourceRequirements": needs,
        "executionRoleArn": outputs["ExecutionRole"],
    }  # fmt: skip
    made = batch.register_job_definition(
        jobDefinitionName="simferry-sleeper", type="container", containerProperties=container,
        platformCapabilities=["FARGATE" if fargate else "EC2"],
        tags={"made-by": "simferry", "simferry:stack": outputs["BaseStack"]},
    )["jobDefinitionArn"]  # fmt: skip
    array = {"arrayProperties": {"size": children}} if children > 1 else {}
    job = {"jobName": "power-1-0123456789-0001", "jobQueue": outputs[queue], "jobDefinition": made}
    return batch.submit_job(**job, **array, **more)["jobId"]


@pytest.fixture
def limited(emulate):
    """An emulator with policies enforced, two objects, and a user who has `policy` only, as keys and as clients."""

    def make(*statements):
        emulator = emulate(iam=True)
        service = {name: emulator._client(name, "us-east-1") for name in ("iam", "s3")}
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        service["iam"].put_user_policy(
            UserName="simferry-user", PolicyName="simferry", PolicyDocument=json.dumps(document)
        )
        for key in ("mine/a", "secret"):
            service["s3"].put_object(Bucket=emulator.bucket, Key=key, Body=key.encode())
        return emulator, service

    return make


def allow(actions, resource, **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}
