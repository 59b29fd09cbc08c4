"""What the tests of version 2's names share."""

import json

import pytest
import simferry.sagemaker as sagemaker
from aws_fixtures import ACCOUNT, REGION, ROLE
from simferry.sagemaker.processing import ScriptProcessor

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/my_simulation:latest"
BUCKET = f"sagemaker-{REGION}-{ACCOUNT}"


@pytest.fixture
def session(account):
    return sagemaker.Session()


@pytest.fixture
def sent(account):
    """The requests for jobs that go to SageMaker from here on."""
    seen = []
    account("sagemaker").meta.events.register(
        "before-call.sagemaker.CreateProcessingJob", lambda params, **_: seen.append(json.loads(params["body"]))
    )
    return seen


@pytest.fixture
def r_script(tmp_path, monkeypatch):
    """A script and data in the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simulate.R").write_text("cat('hello')")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    return "simulate.R"


def processor(**options):
    options = {"instance_count": 1, "instance_type": "ml.m5.xlarge", "command": ["/usr/bin/Rscript"], **options}
    return ScriptProcessor(role=ROLE, image_uri=IMAGE, **options)
