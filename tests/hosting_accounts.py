"""What tests of endpoints share: an account with an image, a role, a bucket and a model; moto's endpoints are in service at once."""

import io
import tarfile

import boto3
import pytest
from account_fixtures import put_image
from aws_fixtures import ACCOUNT, REGION, ROLE

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/trees:1"


def archive(text=b"a tree") -> bytes:
    """A tar.gz with one file."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as tar:
        member = tarfile.TarInfo("model.txt")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return held.getvalue()


@pytest.fixture
def hosting(account, tmp_path, monkeypatch):
    """A client of SageMaker in an account where endpoints can be deployed from IMAGE and model.tar.gz of the current folder."""
    ecr = boto3.client("ecr")
    ecr.create_repository(repositoryName="trees")
    put_image(ecr, "trees", "1")
    monkeypatch.setenv("SIMFERRY_ROLE", ROLE)
    for name in ("SIMFERRY_STORE", "SIMFERRY_STACK", "SIMFERRY_IMAGES", "SIMFERRY_PRICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tar.gz").write_bytes(archive())
    return account("sagemaker")


def left() -> dict[str, list[str]]:
    """What is there of endpoints, and the objects in the default bucket."""
    sagemaker, s3 = boto3.client("sagemaker"), boto3.client("s3")
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    found = [one for name in buckets for one in s3.list_objects_v2(Bucket=name).get("Contents", [])]
    return {
        "endpoints": [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]],
        "configs": [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "models": [one["ModelName"] for one in sagemaker.list_models()["Models"]],
        "objects": [one["Key"] for one in found],
    }  # fmt: skip
