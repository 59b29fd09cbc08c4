"""SageMaker's training jobs in the emulator, asked for with boto3 and with sagemaker-core, unmodified. They run in real containers."""

import datetime
import io
import os
import tarfile
import time

import boto3
import pytest
from docker_fixtures import BASE, left_behind
from emulator_fixtures import Jobs
from emulator_requests import answered_by, refused
from simferry.emulator import Faults

GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped")
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


class Trainings:
    """Submits shell scripts as training jobs to an emulator, and looks after them. Requests of its clients are checked in their shape."""

    def __init__(self, emulator, image: str = BASE) -> None:
        self.emulator, self.image = emulator, image
        self.answered = answered_by("sagemaker")
        self.s3, self.client, self.logs = (boto3.client(name) for name in ("s3", "sagemaker", "logs"))

    def request(self, name, script="true", spot=False, seconds=600, count=1, **more) -> dict:
        place = f"s3://{self.emulator.bucket}"
        program = {"ContainerEntrypoint": ["sh", "-c"], "ContainerArguments": [script]}
        wait = {"MaxWaitTimeInSeconds": seconds} if spot else {}
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": self.image, "TrainingInputMode": "File", **program},
            "RoleArn": self.emulator.role,
            "OutputDataConfig": {"S3OutputPath": f"{place}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": count, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": seconds, **wait},
            **({"EnableManagedSpotTraining": True} if spot else {}),
            **more,
        }

    def submit(self, *given, **more) -> str:
        return self.client.create_training_job(**self.request(*given, **more))["TrainingJobArn"]

    def describe(self, name) -> dict:
        return self.client.describe_training_job(TrainingJobName=name)

    def stop(self, name) -> None:
        self.client.stop_training_job(TrainingJobName=name)

    def wait(self, name, *states) -> dict:
        """The job's description when it is in one of these states, primary or secondary; of the ends."""

        def there():
            told = self.describe(name)
            return told["TrainingJobStatus"] in (states or ENDED) or told["SecondaryStatus"] in states

        Jobs.until(there)
        return self.describe(name)

    def archive(self, name, which="model") -> dict[str, str]:
        got = self.s3.get_object(Bucket=self.emulator.bucket, Key=f"out/{name}/output/{which}.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(got)) as packed:
            return {member.name: packed.extractfile(member).read().decode() for member in packed}

    def text(self, key) -> str:
        return self.s3.get_object(Bucket=self.emulator.bucket, Key=key)["Body"].read().decode()

    def keys(self, prefix) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=self.emulator.bucket, Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", [])]

    def log(self, name) -> list[str]:
        """The lines of a job, of all streams."""
        try:
            streams = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/algo-")[
                "logStreams"
            ]
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        which = [
            {"logGroupName": GROUP, "logStreamName": one["logStreamName"], "startFromHead": True} for one in streams
        ]
        return [event["message"] for one in which for event in self.logs.get_log_events(**one)["events"]]


def states(told) -> list[str]:
    return [one["Status"] for one in told["SecondaryStatusTransitions"]]


@pytest.fixture
def training(emulate, engine):
    """Jobs of an emulator, which has these faults; of the time to end a hundredth."""

    def make(image=BASE, quotas=None, **faults):
        return Trainings(emulate(quotas=quotas, faults=Faults(**{"pace": 0.01, "start_seconds": 0, **faults})), image)

    yield make
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []


@pytest.fixture
def waiting(training):
    """Jobs that are accepted and wait."""
    return training("no-image", start_seconds=600)


# ---- a job ----


def test_a_job_runs_and_tells_of_itself(training):
    jobs = training()
    jobs.s3.put_object(Bucket=jobs.emulator.bucket, Key="in/data.csv", Body=b"1,2\n")
    script = (
        "cd /opt/ml; cat input/data/training/data.csv > model/m; cat input/config/hyperparameters.json > output/data/h; "
        "echo loss=0.5; echo loss=0.25; echo $TRAINING_JOB_ARN >> model/m"
    )
    request = jobs.request(
        "one", script, HyperParameters={"n": "20"}, Tags=[{"Key": "run", "Value": "power"}],
        InputDataConfig=[{
            "ChannelName": "training",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{jobs.emulator.bucket}/in"}},
        }],
    )  # fmt: skip
    request["AlgorithmSpecification"]["MetricDefinitions"] = [
        {"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "none", "Regex": "none=([0-9.]+)"}
    ]  # fmt: skip
    arn = jobs.client.create_training_job(**request)["TrainingJobArn"]
    done = jobs.wait("one")
    assert done["TrainingJobStatus"] == done["SecondaryStatus"] == "Completed" and "FailureReason" not in done
    assert states(done) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    ends = [one["EndTime"] for one in done["SecondaryStatusTransitions"]]
    assert ends == sorted(ends) and ends[-1] == done["TrainingEndTime"] >= done["TrainingStartTime"]
    assert done["TrainingTimeInSeconds"] == done["BillableTimeInSeconds"] >= 1
    assert done["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://{jobs.emulator.bucket}/out/one/output/model.tar.gz"}
    assert jobs.archive("one") == {"m": f"1,2\n{arn}\n"} and jobs.archive("one", "output") == {"h": '{"n": "20"}'}
    assert jobs.log("one") == ["loss=0.5", "loss=0.25"]
    assert [(one["MetricName"], one["Value"]) for one in done["FinalMetricDataList"]] == [("loss", 0.25)]
    assert jobs.client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "run", "Value": "power"}]


def test_a_job_that_fails(training):
    jobs = training()
    jobs.submit("bad", "echo no convergence > /opt/ml/output/failure; echo 1 > /opt/ml/output/data/o; exit 3")
    done = jobs.wait("bad")
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Failed", "Failed")
    assert done["FailureReason"] == "AlgorithmError: no convergence, exit code: 3"
    assert jobs.archive("bad", "output") == {"o": "1\n"} and jobs.keys("out/bad/") == ["out/bad/output/output.tar.gz"]


def test_stopping(training):
    jobs = training()
    saves = "trap 'echo saved > /opt/ml/model/m; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    for name, script in (("kind", saves), ("stubborn", STUBBORN)):
        jobs.submit(name, script)
        Jobs.until(lambda: jobs.log(name))  # noqa: B023
        jobs.stop(name)
        with refused("ValidationException", "because the training job is in status Stop(ping|ped)"):
            jobs.stop(name)
        done = jobs.wait(name)
        assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "Stopped")
        assert states(done)[-3:] == ["Stopping", "Uploading", "Stopped"] and "FailureReason" not in done
    assert jobs.archive("kind") == {"m": "saved\n"}


def test_a_job_over_its_time(training):
    jobs = training()
    jobs.submit("slow", "sleep 60", seconds=1)
    done = jobs.wait("slow")
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_nothing_is_left_of_a_job_that_does_not_heed_the_end_of_the_emulator(training, engine):
    jobs = training(pace=1)
    jobs.submit("stubborn", STUBBORN)
    Jobs.until(lambda: jobs.log("stubborn"))
    jobs.emulator.training_jobs.stop(30)
    (job,) = jobs.emulator.training_jobs.jobs.values()
    assert job.status == "Stopped"


# ---- managed Spot ----


def test_a_job_on_spot_is_interrupted_and_goes_on_from_its_checkpoints(training):
    jobs = training(spot_interruptions=2)
    script = (
        "cd /opt/ml/checkpoints; ls; n=$(ls | wc -l); echo x > $n; "
        "[ $n -lt 2 ] || { ls > /opt/ml/model/m; exit 0; }; while :; do sleep 0.1; done"
    )
    where = f"s3://{jobs.emulator.bucket}/kept"
    jobs.submit("spot", script, spot=True, CheckpointConfig={"S3Uri": where})
    done = jobs.wait("spot")
    assert states(done) == [
        *(["Starting", "Downloading", "Training", "Interrupted"] * 2), "Starting", "Downloading", "Training",
        "Uploading", "Completed",
    ]  # fmt: skip
    assert jobs.archive("spot") == {"m": "0\n1\n2\n"} and jobs.keys("kept/") == ["kept/0", "kept/1", "kept/2"]
    assert sorted(jobs.log("spot")) == ["0", "0", "1"]
    assert done["BillableTimeInSeconds"] < done["TrainingTimeInSeconds"]


def test_only_jobs_on_spot_are_interrupted(training):
    jobs = training("no-image", spot_interruptions=2, start_seconds=600)
    arns = [jobs.submit("whole"), jobs.submit("spot", spot=True)]
    assert [len(jobs.emulator.training_jobs.jobs[arn].interruptions) for arn in arns] == [0, 2]


def test_stopping_a_job_while_it_is_interrupted(training):
    jobs = training()
    jobs.submit("spot", STUBBORN, spot=True)
    Jobs.until(lambda: jobs.log("spot"))
    (job,) = jobs.emulator.training_jobs.jobs.values()
    job.interrupt()
    jobs.wait("spot", "Interrupted")
    jobs.stop("spot")
    done = jobs.wait("spot")
    assert states(done)[-3:] == ["Interrupted", "Stopping", "Stopped"] and done["TrainingJobStatus"] == "Stopped"
    assert jobs.keys("out/") == []


def test_spot_that_is_waited_for_too_long(training):
    jobs = training(capacity=1)
    jobs.submit("spot", spot=True, seconds=1)
    told = jobs.describe("spot")
    done = jobs.wait("spot")
    assert (done["TrainingJobStatus"], done["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
    assert told["SecondaryStatus"] == "Starting" and "TrainingStartTime" not in done
    jobs.submit("on-demand")
    assert jobs.wait("on-demand")["FailureReason"].startswith("CapacityError")


def test_a_lost_host_is_tried_again_where_the_request_says_so(training):
    jobs = training(lost_host=1)
    for name, more in (("once", {}), ("twice", {"RetryStrategy": {"MaximumRetryAttempts": 1}})):
        jobs.submit(name, "sleep 60", **more)
    assert [states(jobs.wait(name)).count("Training") for name in ("once", "twice")] == [1, 2]
    assert jobs.describe("twice")["FailureReason"].startswith("InternalServerError")


# ---- warm pools ----


def test_a_warm_pool(training):
    jobs = training()
    warm = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1, "KeepAlivePeriodInSeconds": 600}
    jobs.submit("first", ResourceConfig=warm)
    assert jobs.describe("first")["WarmPoolStatus"] == {"Status": "InUse"}
    jobs.wait("first")
    (listed,) = jobs.client.list_training_jobs(WarmPoolStatusEquals="Available")["TrainingJobSummaries"]
    assert listed["TrainingJobName"] == "first"
    jobs.submit("other", ResourceConfig={**warm, "VolumeSizeInGB": 2})
    jobs.emulator.faults.start_seconds = 600
    jobs.submit("second", ResourceConfig=warm)
    assert jobs.wait("second")["TrainingJobStatus"] == "Completed"  # it did not wait for a start
    told = jobs.describe("first")["WarmPoolStatus"]
    assert (told["Status"], told["ReusedByJob"]) == ("Reused", "second")
    jobs.client.update_training_job(TrainingJobName="second", ResourceConfig={"KeepAlivePeriodInSeconds": 0})
    assert jobs.describe("second")["WarmPoolStatus"]["Status"] == "Terminated"
    with refused("ValidationException", "The warm pool of second: Terminated"):
        jobs.client.update_training_job(TrainingJobName="second", ResourceConfig={"KeepAlivePeriodInSeconds": 9})


# ---- requests ----


def test_what_is_not_there_or_is_there_already(waiting):
    arn = waiting.submit("one")
    with refused("ResourceInUse", f"already exists \\({arn}\\)"):
        waiting.submit("one")
    for ask in (waiting.describe, waiting.stop):
        with refused("ValidationException", "Requested resource not found."):
            ask("none")
    waiting.stop("one")
    assert waiting.wait("one")["SecondaryStatus"] == "Stopped"
    with refused("ResourceInUse", "must be unique"):  # for good
        waiting.submit("one")


TYPES = [{"InstanceType": "ml.m5.large"}, {"InstanceType": "ml.c5.xlarge"}]


REFUSED = [
    ({"HyperParameters": {f"p{i}": "1" for i in range(101)}}, "length less than or equal to 100"),
    ({"spot": True, "StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8}}, "MaxWaitTimeInSeconds"),
    ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
    ({"AlgorithmSpecification": {"AlgorithmName": "a", "TrainingInputMode": "File"}}, "needs a TrainingImage"),
    ({"AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File", "MetricDefinitions": [{"Name": "m", "Regex": "m=.*"}]}},
     "has no group"),
    ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}, "needs VolumeSizeInGB"),
    ({"ResourceConfig": {"InstancePreferences": TYPES, "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}},
     "Exactly one of"),
    ({"spot": True, "ResourceConfig": {"InstancePreferences": TYPES, "InstanceCount": 1, "VolumeSizeInGB": 1}}, "Spot"),
    ({"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": "/opt/ml/model"}}, "a folder of its own below /opt/ml/"),
    ({"StoppingCondition": {"MaxRuntimeInSeconds": 2_419_201}}, "Longest run time for a training job"),
    ({"OutputDataConfig": {"S3OutputPath": "https://b/c"}}, "begin with s3://"),
]  # fmt: skip


def test_requests_that_are_refused(waiting):
    for more, message in REFUSED:
        with refused(".*", message):
            waiting.submit("one", **more)
    assert not waiting.emulator.training_jobs.jobs


def test_quotas_are_those_of_a_usage(emulate, engine):
    jobs = Trainings(emulate(quotas={"ml.m5.large": 1}, faults=Faults(start_seconds=600)), "no-image")
    jobs.submit("one")
    with refused("ResourceLimitExceeded", "'ml.m5.large for training job usage' is 1 Instances"):
        jobs.submit("two")
    jobs.submit("spot", spot=True)
    preferences = {"InstancePreferences": TYPES, "InstanceCount": 1, "VolumeSizeInGB": 1}
    jobs.submit("preferred", ResourceConfig=preferences)
    jobs.emulator.training_jobs.jobs[jobs.describe("preferred")["TrainingJobArn"]].started = time.time()
    assert jobs.describe("preferred")["ResourceConfig"]["SelectedInstanceType"] == "ml.c5.xlarge"


def test_lists(waiting):
    for name in ("b-1", "a-2", "a-1"):
        waiting.submit(name)
    waiting.stop("a-1")
    waiting.wait("a-1")

    def listed(**asked):
        pages = waiting.client.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2}, **asked)
        return [[one["TrainingJobName"] for one in page["TrainingJobSummaries"]] for page in pages]

    assert listed() == [["b-1", "a-2"], ["a-1"]]
    assert listed(SortBy="Name") == [["a-1", "a-2"], ["b-1"]]
    assert listed(SortOrder="Descending", NameContains="a-") == [["a-1", "a-2"], []]
    assert listed(StatusEquals="Stopped") == [
        [],
        ["a-1"],
    ]  # as the service says, states are looked at after pages are cut
    assert listed(CreationTimeAfter=datetime.datetime.now() + datetime.timedelta(hours=1)) == [[]]
    assert waiting.answered >= {"CreateTrainingJob", "DescribeTrainingJob", "ListTrainingJobs", "StopTrainingJob"}


def test_the_actions_that_a_user_needs(limited):
    job = "arn:aws:sagemaker:us-east-1:123456789012:training-job/one"
    allowed = [
        {"Effect": "Allow", "Action": ["sagemaker:CreateTrainingJob", "sagemaker:StopTrainingJob"], "Resource": job},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
         "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}},
    ]  # fmt: skip
    emulator, _ = limited(*allowed)
    emulator.faults.start_seconds = 600
    jobs = Trainings(emulator, "no-image")
    jobs.submit("one")
    jobs.stop("one")
    for ask, action in (
        (lambda: jobs.describe("one"), "DescribeTrainingJob"),
        (lambda: jobs.submit("two"), "CreateTrainingJob"),
    ):
        with refused("AccessDeniedException", f"not authorized to perform: sagemaker:{action}"):
            ask()
    with refused("AccessDeniedException", "sagemaker:AddTags"):
        jobs.submit("one", Tags=[{"Key": "a", "Value": "b"}])


def test_sagemaker_core(training, tmp_path, monkeypatch):
    config = tmp_path / "config.yaml"
    config.write_text("SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n")
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(config))
    jobs = training()
    from sagemaker.core.resources import TrainingJob
    from sagemaker.core.shapes import (
        AlgorithmSpecification,
        OutputDataConfig,
        ResourceConfig,
        StoppingCondition,
    )

    request = jobs.request("core", "echo hello; echo 1 > /opt/ml/model/m")
    made = TrainingJob.create(
        training_job_name="core",
        algorithm_specification=AlgorithmSpecification(
            training_image=BASE, training_input_mode="File", container_entrypoint=["sh", "-c"],
            container_arguments=request["AlgorithmSpecification"]["ContainerArguments"],
        ),
        role_arn=jobs.emulator.role,
        output_data_config=OutputDataConfig(s3_output_path=request["OutputDataConfig"]["S3OutputPath"]),
        resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=600),
        session=boto3.Session(), region="us-east-1",
    )  # fmt: skip
    made.wait(poll=1, logs=True)
    assert made.training_job_status == "Completed" and TrainingJob.get("core").secondary_status == "Completed"
    assert jobs.archive("core") == {"m": "1\n"}
