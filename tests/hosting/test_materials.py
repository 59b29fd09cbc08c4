"""Models that are none, and where things are made: the stack, SIMFERRY_STORE, roles."""

import gzip
from pathlib import Path

import boto3
import pytest
from aws_fixtures import ACCOUNT, ROLE
from hosting_accounts import archive
from simferry.aws import stacks
from simferry.errors import UsageError
from simferry.hosting import materials


def test_models_that_are_none(hosting, tmp_path):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="lab", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    bad = {"text": b"a", "zipped.tar.gz": gzip.compress(b"a" * 2000), "empty": b"", "cut.tar.gz": archive()[:60]}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        s3.put_object(Bucket="lab", Key=name, Body=content)
        for model in (name, f"s3://lab/{name}"):
            with pytest.raises(
                UsageError, match=rf"model {model} is no tar.gz\ntar czf model.tar.gz -C FOLDER \.  packs"
            ):
                materials.check_model(model)
    (tmp_path / "m").mkdir()
    for model, text in {
        "m": r"m is a folder; a model is a tar.gz\ntar czf model.tar.gz -C m \. ",
        "none": "model none can't be read: No such file",
        "s3://lab/none.tar.gz": "there is no model s3://lab/none.tar.gz",
        "s3://nobody/m.tar.gz": "there is no model s3://nobody/m.tar.gz",
        "s3://lab/m/": "s3://lab/m/ is no model",
        "gs://lab/m.tar.gz": "gs://lab/m.tar.gz is no model",
    }.items():
        with pytest.raises(UsageError, match=text):
            materials.check_model(model)
    s3.put_object(Bucket="lab", Key="m.tar.gz", Body=archive())
    for model in ("s3://lab/m.tar.gz", Path("model.tar.gz")):
        materials.check_model(model)
    assert materials.model_in_s3("s3://lab/m.tar.gz", "s3://lab/f") == "s3://lab/m.tar.gz"
    uploaded = materials.model_in_s3("model.tar.gz", "s3://lab/f")
    assert uploaded == materials.model_in_s3(tmp_path / "model.tar.gz", "s3://lab/f")
    materials.remove_below("s3://lab/f")
    assert not s3.list_objects_v2(Bucket="lab", Prefix="f/").get("Contents")
    materials.remove_below("s3://nobody/f")


def test_where_things_are_made(hosting, monkeypatch):
    own = f"arn:aws:iam::{ACCOUNT}:role/lab-JobRole"
    outputs = {"Bucket": "lab", "Store": "s3://lab/simferry", "JobRole": own, "Repository": "r/lab"}
    monkeypatch.setattr(stacks, "outputs", lambda stack: outputs)
    home = materials.home("trees", None, None)
    assert (home.role, home.folder, home.repository) == (own, "s3://lab/simferry/hosting/trees", "r/lab")
    assert {tag["Key"]: tag["Value"] for tag in home.tags} == {
        "made-by": "simferry", "simferry:endpoint": "trees", "simferry:stack": "simferry",
    }  # fmt: skip
    monkeypatch.setenv("SIMFERRY_STORE", "s3://mine/runs/")
    home = materials.home("trees", None, None)
    assert (home.role, home.folder) == (ROLE, "s3://mine/runs/hosting/trees")  # the stack's can't read it
    assert "simferry:stack" not in [tag["Key"] for tag in home.tags]
    assert materials.home("trees", None, "lab").folder == "s3://lab/simferry/hosting/trees"
    assert materials.home("trees", f"arn:aws:iam::{ACCOUNT}:role/x", "lab").role.endswith("/x")
    monkeypatch.delenv("SIMFERRY_ROLE")
    monkeypatch.setattr(stacks, "outputs", lambda stack: {})
    with pytest.raises(UsageError, match="an endpoint needs the IAM role"):
        materials.home("trees", None, None)
