"""One submission through the SDK's ScriptProcessor: what arrives at the service, and that nothing else leaves."""

import copy
import socket
import subprocess
import sys
import threading

import jsonschema
import pytest
import requests
from aws_fixtures import ROLE
from botocore.exceptions import ClientError
from simferry.aws import script_processor
from simferry.aws.limits import RequestRefused
from simferry.aws.script_processor import sdk_session, start_script
from simferry.errors import SimferryError, UsageError

PLAN = {
    "InputName": "plan",
    "S3Input": {
        "S3Uri": "s3://bucket/run/plan/",
        "LocalPath": "/opt/ml/processing/input/plan",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "ShardedByS3Key",
        "S3CompressionType": "None",
    },
}
BLOCKS = {
    "OutputName": "blocks",
    "S3Output": {
        "S3Uri": "s3://bucket/run/blocks/",
        "LocalPath": "/opt/ml/processing/blocks",
        "S3UploadMode": "Continuous",
    },
}


def job(**options):
    return {
        "job_name": "run-0001",
        "role": ROLE,
        "image_uri": "123456789012.dkr.ecr.us-west-2.amazonaws.com/simferry-r:1",
        "command": ["/usr/bin/Rscript"],
        "code": "s3://bucket/run/code/worker.R",
        "inputs": [PLAN],
        "outputs": [BLOCKS],
        "arguments": ["run"],
        "max_runtime_seconds": 3600,
        **options,
    }


def test_the_job_arrives_as_it_was_described(sent):
    arn = start_script(**job(environment={"A": "1"}, instance_type="ml.c5.4xlarge", instance_count=2, volume_gb=5,
        volume_kms_key="volume-key", output_kms_key="output-key", tags={"run": "r1"},
        network={"EnableNetworkIsolation": True, "EnableInterContainerTrafficEncryption": True,
                 "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}))  # fmt: skip
    assert arn == "arn:aws:sagemaker:us-west-2:123456789012:processing-job/run-0001"
    code = {"S3Uri": "s3://bucket/run/code/worker.R", "LocalPath": "/opt/ml/processing/input/code"}
    as_a_file = {
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    assert sent == [
        {
            "ProcessingJobName": "run-0001",
            "AppSpecification": {
                "ImageUri": "123456789012.dkr.ecr.us-west-2.amazonaws.com/simferry-r:1",
                "ContainerEntrypoint": ["/usr/bin/Rscript", "/opt/ml/processing/input/code/worker.R"],
                "ContainerArguments": ["run"],
            },
            "ProcessingInputs": [PLAN, {"InputName": "code", "S3Input": {**code, **as_a_file}}],
            "ProcessingOutputConfig": {"Outputs": [BLOCKS], "KmsKeyId": "output-key"},
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 2,
                    "InstanceType": "ml.c5.4xlarge",
                    "VolumeSizeInGB": 5,
                    "VolumeKmsKeyId": "volume-key",
                }
            },
            "NetworkConfig": {
                "EnableNetworkIsolation": True,
                "EnableInterContainerTrafficEncryption": True,
                "VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]},
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "Environment": {"A": "1"},
            "RoleArn": ROLE,
            "Tags": [{"Key": "run", "Value": "r1"}],
        }
    ]


def test_several_instance_types_are_preferences(sent):
    start_script(**job(instance_type=["ml.c5.4xlarge", "ml.m5.4xlarge"], instance_count=1))
    assert sent[0]["ProcessingResources"]["ClusterConfig"] == {
        "InstancePreferences": [{"InstanceType": "ml.c5.4xlarge"}, {"InstanceType": "ml.m5.4xlarge"}],
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    }


def test_the_code_may_be_the_whole_folder_of_the_script(sent):
    start_script(**job(code_folder=True))
    code = sent[0]["ProcessingInputs"][1]["S3Input"]
    assert (code["S3Uri"], code["LocalPath"]) == ("s3://bucket/run/code/", "/opt/ml/processing/input/code")
    assert sent[0]["AppSpecification"]["ContainerEntrypoint"][1] == "/opt/ml/processing/input/code/worker.R"


def test_an_sdk_that_would_start_jobs_without_their_folder_is_refused(sent, monkeypatch):
    """A later one may have another name for the method by which the folder gets into the request."""
    folder_processor = script_processor._sdk().folder_processor
    monkeypatch.delattr(folder_processor, "_convert_code_and_add_to_inputs")
    with pytest.raises(SimferryError, match=r"run-0001 is not started: sagemaker-core [0-9.]+ .*worker.R") as caught:
        start_script(**job(code_folder=True))
    assert sent == [] and "sagemaker-core<" in caught.value.hint
    start_script(**job())
    assert len(sent) == 1


def test_nothing_that_was_passed_in_is_changed(sent):
    options = job(tags=[{"Key": "a", "Value": "b"}], environment={"A": "1"}, network={"EnableNetworkIsolation": True})
    before = copy.deepcopy(options)
    start_script(**options)
    start_script(**{**options, "job_name": "run-0002"})
    assert options == before
    assert sent[0]["ProcessingInputs"] == sent[1]["ProcessingInputs"]


@pytest.fixture
def telemetry(monkeypatch):
    """The addresses that the SDK's telemetry asks for."""
    asked = []
    monkeypatch.setattr(requests, "get", lambda url, **_: asked.append(url))

    def after_its_threads():
        for thread in threading.enumerate():
            if thread.name == "sagemaker-telemetry":
                thread.join()
        return asked

    return after_its_threads


def test_nothing_leaves_but_the_one_request(sent, telemetry, monkeypatch, moto_server):
    connections = []
    connect = socket.socket.connect
    monkeypatch.setattr(
        socket.socket, "connect", lambda self, address: (connections.append(address), connect(self, address))[1]
    )
    looked_up = []
    look_up = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: (looked_up.append(host), look_up(host, *a, **k))[1]
    )
    start_script(**job())
    port = int(moto_server.rpartition(":")[2])
    assert telemetry() == []
    assert set(connections) == {("127.0.0.1", port)} and set(looked_up) <= {"127.0.0.1"}
    assert len(sent) == 1


def test_and_without_the_opt_out_something_would_leave(sent, telemetry, monkeypatch):
    monkeypatch.setattr(script_processor, "_CONFIGURATION", {"SchemaVersion": "1.0"})
    script_processor._made_session.cache_clear()
    start_script(**job())
    script_processor._made_session.cache_clear()
    assert any("sm-pysdk-t-us-west-2" in url for url in telemetry())


def test_the_sdks_configuration_files_are_neither_read_nor_written(sent, monkeypatch, tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("this: is no configuration of the SDK's")
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(file))
    monkeypatch.setenv("SAGEMAKER_ADMIN_CONFIG_OVERRIDE", str(tmp_path / "not there"))
    start_script(**job())
    assert len(sent) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]


def test_the_configuration_is_validated_once_and_not_for_each_job(sent, monkeypatch):
    validations = []
    monkeypatch.setattr(jsonschema, "validate", lambda *a, **_: validations.append(a))
    for number in range(5):
        start_script(**job(job_name=f"run-{number}"))
    assert len(validations) <= 1


def test_a_request_that_the_service_would_refuse_is_not_sent(sent):
    with pytest.raises(RequestRefused, match=r"at 'appSpecification.containerArguments'.*less than or equal to 256"):
        start_script(**job(arguments=["x" * 300]))
    assert sent == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"code": "worker.R"}, "code: 'worker.R'"),
        ({"inputs": [{**PLAN, "S3Input": {**PLAN["S3Input"], "S3Uri": "/home/me"}}]}, "plan: '/home/me'"),
        ({"outputs": [{**BLOCKS, "S3Output": {**BLOCKS["S3Output"], "S3Uri": "out"}}]}, "blocks: 'out'"),
    ],
)
def test_what_is_not_in_s3_is_refused(sent, options, named):
    with pytest.raises(UsageError, match=f"{named} is not an address in S3"):
        start_script(**job(**options))
    assert sent == []


def test_the_services_errors_pass_unchanged(account):
    class Refusing:
        def create_processing_job(self, **request):
            raise error

    error = ClientError({"Error": {"Code": "ResourceLimitExceeded", "Message": "quota"}}, "CreateProcessingJob")
    with pytest.raises(ClientError) as caught:
        start_script(**job(session=sdk_session(sagemaker_client=Refusing())))
    assert caught.value is error


def test_without_the_sdk_it_says_what_to_install(account, monkeypatch):
    monkeypatch.setitem(sys.modules, "sagemaker.core.processing", None)
    monkeypatch.setitem(sys.modules, "sagemaker.core", None)
    script_processor._sdk.cache_clear()
    try:
        with pytest.raises(UsageError, match=r"pip install 'simferry\[sagemaker\]'"):
            start_script(**job())
    finally:
        script_processor._sdk.cache_clear()


def test_the_sdk_is_imported_late_and_quietly(account, moto_server):
    code = f"""
import logging, sys
from simferry.aws.script_processor import start_script
assert not any(name.startswith("sagemaker") for name in sys.modules)
root = logging.getLogger(); before = (list(root.handlers), root.level)
start_script(**{job()!r})
assert (list(root.handlers), root.level) == before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
