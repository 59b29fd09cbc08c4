"""Version 2's names: their defaults and addresses, what R passes, and an R script of the workshop's kind through reticulate."""

import copy
import json
import os
import re
import shutil
import subprocess
import sys

import boto3
import pytest
import simferry.sagemaker as sagemaker
from aws_fixtures import ROLE
from common import require
from sagemaker_fixtures import BUCKET, IMAGE, SIMULATE_R, SUBMIT_R, TIMED, processor
from simferry.errors import UsageError
from simferry.sagemaker.network import NetworkConfig
from simferry.sagemaker.processing import ProcessingInput, ProcessingOutput, Processor, ScriptProcessor
from simferry.sagemaker.s3 import S3Downloader


def test_names_and_addresses_are_version_2s(sent, r_script, account):
    it = processor(base_job_name="social-distancing")
    it.run(
        r_script,
        inputs=[
            ProcessingInput("s3://other/data.csv", "/opt/ml/processing/input"),
            ProcessingInput("data", "/opt/ml/processing/input/data"),
            ProcessingInput(f"file://{os.getcwd()}/data/a.csv", "/opt/ml/processing/input/a", input_name="named"),
        ],
        outputs=[
            ProcessingOutput("/opt/ml/processing/output"),
            ProcessingOutput("/opt/ml/processing/more", "s3://other/more", "more", s3_upload_mode="Continuous"),
        ],
        wait=False,
    )
    name = it.latest_job.job_name
    assert re.fullmatch(f"social-distancing-{TIMED}", name)
    base = f"s3://{BUCKET}/{name}"
    inputs = {one["InputName"]: one["S3Input"] for one in sent[0]["ProcessingInputs"]}
    assert {n: one["S3Uri"] for n, one in inputs.items()} == {
        "input-1": "s3://other/data.csv",
        "input-2": f"{base}/input/input-2",
        "named": f"{base}/input/named/a.csv",
        "code": f"{base}/input/code/simulate.R",
    }
    assert inputs["code"]["LocalPath"] == "/opt/ml/processing/input/code"
    assert sent[0]["ProcessingOutputConfig"]["Outputs"] == [
        {
            "OutputName": "output-1",
            "S3Output": {
                "S3Uri": f"{base}/output/output-1",
                "LocalPath": "/opt/ml/processing/output",
                "S3UploadMode": "EndOfJob",
            },
        },
        {
            "OutputName": "more",
            "S3Output": {
                "S3Uri": "s3://other/more",
                "LocalPath": "/opt/ml/processing/more",
                "S3UploadMode": "Continuous",
            },
        },
    ]
    application = sent[0]["AppSpecification"]
    assert application["ContainerEntrypoint"] == ["/usr/bin/Rscript", "/opt/ml/processing/input/code/simulate.R"]
    assert S3Downloader.list(base) == [
        f"{base}/input/code/simulate.R",
        f"{base}/input/input-2/a.csv",
        f"{base}/input/named/a.csv",
    ]
    job = it.latest_job
    assert [one.input_name for one in job.inputs] == ["input-1", "input-2", "named", "code"]
    assert job.outputs[0].destination == f"{base}/output/output-1"
    assert job.output_config == {"Outputs": sent[0]["ProcessingOutputConfig"]["Outputs"]}
    assert job.describe()["ProcessingJobName"] == name
    assert it.jobs == [job]


def test_the_base_name_comes_from_the_image_and_every_name_is_one_of_the_services(sent, r_script):
    it = processor()
    it.run(r_script, wait=False)
    assert re.fullmatch(f"my-simulation-{TIMED}", it.latest_job.job_name)
    it = processor(base_job_name="x" * 100)
    it.run(r_script, wait=False)
    assert len(it.latest_job.job_name) == 63 and re.search(f"-{TIMED}$", it.latest_job.job_name)
    it.run(r_script, wait=False, job_name="mine")
    assert [job.job_name for job in it.jobs][-1] == "mine"


def test_a_plain_processor_has_its_own_entry_point_and_all_options(sent):
    network = NetworkConfig(True, security_group_ids=["sg-1"], subnets="subnet-1", encrypt_inter_container_traffic=True)
    it = Processor(ROLE, IMAGE, 1, "ml.m5.xlarge", ["python3", "/app.py"], 10, "volume-key", "output-key", 60,
                   network_config=network, tags=[{"Key": "a", "Value": "b"}])  # fmt: skip
    it.run(
        outputs=[ProcessingOutput("/opt/ml/processing/output", "s3://b/out")],
        arguments=["x"],
        wait=False,
        job_name="plain",
        experiment_config={"ExperimentName": "e"},
    )
    assert sent == [
        {
            "ProcessingJobName": "plain",
            "AppSpecification": {
                "ImageUri": IMAGE,
                "ContainerEntrypoint": ["python3", "/app.py"],
                "ContainerArguments": ["x"],
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceType": "ml.m5.xlarge",
                    "InstanceCount": 1,
                    "VolumeSizeInGB": 10,
                    "VolumeKmsKeyId": "volume-key",
                }
            },
            "RoleArn": ROLE,
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "output-1",
                        "S3Output": {
                            "S3Uri": "s3://b/out",
                            "LocalPath": "/opt/ml/processing/output",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ],
                "KmsKeyId": "output-key",
            },
            "NetworkConfig": {
                "EnableNetworkIsolation": True,
                "EnableInterContainerTrafficEncryption": True,
                "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
            "Tags": [{"Key": "a", "Value": "b"}],
            "ExperimentConfig": {"ExperimentName": "e"},
        }
    ]


def test_the_same_options_travel_through_the_sdk(sent, r_script):
    network = {"EnableNetworkIsolation": False, "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}}
    it = processor(instance_type=["ml.c5.xlarge", "ml.m5.xlarge"], network_config=network, env={"A": "1"},
                   volume_kms_key="volume-key", output_kms_key="output-key", tags={"a": "b"})  # fmt: skip
    it.run(
        r_script,
        outputs=[ProcessingOutput("/opt/ml/processing/output")],
        experiment_config={"ExperimentName": "e"},
        wait=False,
    )
    got = sent[0]
    assert got["ProcessingResources"]["ClusterConfig"] == {
        "InstancePreferences": [{"InstanceType": "ml.c5.xlarge"}, {"InstanceType": "ml.m5.xlarge"}],
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": "volume-key",
    }
    assert (got["NetworkConfig"], got["Environment"]) == (network, {"A": "1"})
    assert got["ProcessingOutputConfig"]["KmsKeyId"] == "output-key"
    assert (got["Tags"], got["ExperimentConfig"]) == ([{"Key": "a", "Value": "b"}], {"ExperimentName": "e"})


def test_objects_that_are_used_again_are_as_they_were(sent, r_script):
    one = ProcessingInput("data", "/opt/ml/processing/input/data")
    out = ProcessingOutput("/opt/ml/processing/output")
    inputs, outputs, arguments = [one], [out], ["--args", 1.0]
    before = copy.deepcopy([vars(one), vars(out), arguments])
    it = processor()
    it.run(r_script, inputs, outputs, arguments, wait=False, job_name="first")
    it.run(r_script, inputs, outputs, arguments, wait=False, job_name="second")
    assert [vars(one), vars(out), arguments] == before and inputs == [one] and outputs == [out]
    places = [got["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"] for got in sent]
    assert places == [f"s3://{BUCKET}/{name}/output/output-1" for name in ("first", "second")]


def test_a_session_of_ones_own_is_used(account, sent, r_script, moto_server):
    own = boto3.session.Session("other", "key", region_name="eu-west-1")
    session = sagemaker.Session(boto_session=own, default_bucket="my-own-bucket", default_bucket_prefix="team")
    seen = []
    session.sagemaker_client.meta.events.register(
        "before-call.sagemaker.CreateProcessingJob", lambda params, **_: seen.append(json.loads(params["body"]))
    )
    it = processor(sagemaker_session=session)
    it.run(r_script, wait=False, job_name="mine")
    assert seen[0]["ProcessingInputs"][0]["S3Input"]["S3Uri"] == "s3://my-own-bucket/team/mine/input/code/simulate.R"
    assert sent == [] and session.boto_region_name == "eu-west-1"


# ---- bad input ----


@pytest.mark.parametrize(
    ("options", "run", "said"),
    [
        ({}, {"arguments": ["x" * 300]}, "containerArguments.*256"),
        ({}, {"job_name": "a_b"}, "processingJobName"),
        ({"env": {"A": "x" * 257}}, {}, "at 'environment'"),
        (
            {},
            {"inputs": [ProcessingInput("nowhere", "/opt/ml/processing/x")]},
            "input-1: there is no file or folder nowhere",
        ),
        ({}, {"inputs": [ProcessingInput("empty", "/x")]}, "input-1: there is no file in the folder empty"),
        (
            {"instance_type": "local"},
            {"inputs": [ProcessingInput("empty", "/x")]},
            "there is no file in the folder empty",
        ),
        ({}, {"inputs": [ProcessingInput("s3://b/x")]}, "input-1 has no destination"),
        ({}, {"inputs": ["s3://b/x"]}, "input-1 is 's3://b/x'"),
        ({}, {"outputs": ["/out"]}, "output-1 is '/out'"),
        ({}, {"outputs": [ProcessingOutput(destination="s3://b/x")]}, "output-1 has no source"),
        (
            {},
            {"inputs": [ProcessingInput("data", f"/x/{i}") for i in range(10)]},
            "the job has 11 inputs, the script among them, and SageMaker allows 10",
        ),
        (
            {},
            {"inputs": [ProcessingInput("data", one) for one in ("/x", "/x/")]},
            "have the same LocalPath: /x",
        ),
        ({}, {"code": "nowhere.R"}, "there is no script nowhere.R"),
        ({}, {"code": "ftp://x/y.R"}, "'ftp://x/y.R' is neither a path"),
        ({}, {"inputs": [ProcessingInput("s3://b/x", "/x", s3_compression_type="Gzip")]}, "Gzip is for.*Pipe"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_sent(sent, r_script, account, options, run, said):
    with pytest.raises(UsageError, match=said):
        processor(**options).run(**{"code": r_script, "wait": False, **run})
    assert sent == []
    assert not [
        b
        for b in account("s3").list_buckets()["Buckets"]
        if account("s3").list_objects_v2(Bucket=b["Name"])["KeyCount"]
    ]


def test_what_a_processor_needs_is_said_at_once(session):
    with pytest.raises(UsageError, match="ScriptProcessor needs role and instance_type"):
        ScriptProcessor(image_uri=IMAGE, command="Rscript")
    with pytest.raises(UsageError, match=r"needs a command(.|\n)*/usr/bin/Rscript"):
        ScriptProcessor(ROLE, IMAGE, instance_type="ml.m5.xlarge")
    with pytest.raises(UsageError, match=r"there is no instance type 'm5.large'(.|\n)*Did you mean ml.m5.large"):
        processor(instance_type="m5.large")
    with pytest.raises(UsageError, match="dataset_definition"):
        ProcessingInput(dataset_definition={})


def test_a_name_that_is_not_here_says_what_is():
    assert sagemaker.__version__.startswith("2+simferry.")
    with pytest.raises(
        AttributeError, match=r"has no clarify; of version 2 it has: FrameworkProcessor, LocalSession, "
    ):
        sagemaker.clarify  # noqa: B018


# ---- from R ----


def test_a_published_r_script_runs_with_its_import_line_changed(emulate, image_r, tmp_path):
    require("reticulate", shutil.which("Rscript") is not None and _has_reticulate(), "R with reticulate is needed")
    emulator = emulate()
    (tmp_path / "data.csv").write_text("length,width,people\n1000,1000,100\n")
    (tmp_path / "simulate.R").write_text(SIMULATE_R)
    (tmp_path / "submit.R").write_text(SUBMIT_R)
    done = subprocess.run(
        ["Rscript", "--vanilla", "submit.R"],
        cwd=tmp_path,
        env={**os.environ, "RETICULATE_PYTHON": sys.executable, "SIMFERRY_ROLE": emulator.role, "CONTAINER": image_r},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "iterations: 1000 " in lines  # the job's own, through CloudWatch
    assert "status: Completed " in lines
    assert any(re.fullmatch(f"job: social-distancing-{TIMED} ", line) for line in lines)
    (read_back,) = (line.split() for line in lines if line.startswith("read back:"))
    assert read_back[2] == "1000" and 0 < float(read_back[3]) < 1
    assert any(line.startswith("refused:") and "256" in done.stdout for line in lines)


def _has_reticulate() -> bool:
    return subprocess.run(["Rscript", "-e", "library(reticulate)"], capture_output=True, check=False).returncode == 0
