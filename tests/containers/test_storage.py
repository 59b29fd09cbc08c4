"""What jobs bring from S3, and what they leave there."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from simferry.containers.storage import S3Storage, TransferError
from simferry.system.untrusted import Tree


@pytest.mark.parametrize(
    ("prefix", "files"),
    [
        ("data/train", ["a.csv", "sub/b.csv", "train-2.csv"]),
        ("data/train/", ["a.csv", "sub/b.csv"]),
        ("data/train/a.csv", ["a.csv"]),
        ("data", ["train-2.csv", "train/a.csv", "train/sub/b.csv"]),
        ("", ["data/train-2.csv", "data/train/a.csv", "data/train/sub/b.csv"]),
    ],
)
def test_what_is_under_a_prefix(emulator, tmp_path, prefix, files):
    s3 = boto3.client("s3")
    for key in ("data/train/", "data/train/a.csv", "data/train/sub/b.csv", "data/train-2.csv"):
        s3.put_object(Bucket=emulator.bucket, Key=key, Body=key.encode())
    source = {"S3Uri": f"s3://{emulator.bucket}/{prefix}", "S3DataType": "S3Prefix"}
    S3Storage(s3, emulator.role, {}).fetch(source, tmp_path, 0, 1)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == files


def test_a_manifest_and_names_that_lead_elsewhere(emulator, tmp_path):
    s3 = boto3.client("s3")
    manifest = [{"prefix": f"s3://{emulator.bucket}/data/"}, "a.csv", "sub/b.csv"]
    for key, text in (
        ("m.json", json.dumps(manifest)),
        ("data/a.csv", "a"),
        ("data/sub/b.csv", "b"),
        ("x/../../y", "y"),
    ):
        s3.put_object(Bucket=emulator.bucket, Key=key, Body=text.encode())
    storage = S3Storage(s3, emulator.role, {})
    source = {"S3Uri": f"s3://{emulator.bucket}/m.json", "S3DataType": "ManifestFile"}
    storage.fetch({**source, "S3DataDistributionType": "ShardedByS3Key"}, tmp_path, 1, 2)
    assert [p.name for p in tmp_path.rglob("*.csv")] == ["b.csv"]
    with pytest.raises(TransferError, match="is no file's name"):
        storage.fetch({"S3Uri": f"s3://{emulator.bucket}/x", "S3DataType": "S3Prefix"}, tmp_path, 0, 1)
    for name in (str(tmp_path / "outside"), "../outside", ""):
        manifest = json.dumps([{"prefix": f"s3://{emulator.bucket}/data/a.csv"}, name])
        s3.put_object(Bucket=emulator.bucket, Key="m.json", Body=manifest.encode())
        s3.put_object(Bucket=emulator.bucket, Key=f"data/a.csv{name}", Body=b"planted")
        with pytest.raises(TransferError, match="is no file's name"):
            storage.fetch(source, tmp_path / "job", 0, 1)
    assert not (tmp_path / "outside").exists()
    with pytest.raises(TransferError, match=r"ListObjectsV2 failed .* \(NoSuchBucket\)"):
        storage.fetch({"S3Uri": "s3://nowhere/x", "S3DataType": "S3Prefix"}, tmp_path, 0, 1)


def test_what_was_sent_comes_back_once(emulator, tmp_path):
    s3 = boto3.client("s3")
    for key in ("kept/a", "kept/sub/b", "kept-not"):
        s3.put_object(Bucket=emulator.bucket, Key=key, Body=key.encode())
    storage, tree = S3Storage(s3, emulator.role, {}), Tree(tmp_path)
    storage.restore(tree, f"s3://{emulator.bucket}/none")
    storage.restore(tree, f"s3://{emulator.bucket}/kept")
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == ["a", "sub/b"]
    s3.delete_object(Bucket=emulator.bucket, Key="kept/a")
    (tmp_path / "c").write_text("new")
    storage.send(tree, f"s3://{emulator.bucket}/kept")
    listed = s3.list_objects_v2(Bucket=emulator.bucket, Prefix="kept/")["Contents"]
    assert [one["Key"] for one in listed] == ["kept/c", "kept/sub/b"]  # what came from there is not sent again


def test_an_output_whose_name_no_list_can_show_is_passed_over(emulator, tmp_path):
    for name in ("a", "a\nb", "\x1b[2Jc"):
        (tmp_path / name).write_text(name)
    tree, s3 = Tree(tmp_path), boto3.client("s3")
    S3Storage(s3, emulator.role, {}).send(tree, f"s3://{emulator.bucket}/out")
    listed = s3.list_objects_v2(Bucket=emulator.bucket, Prefix="out/")["Contents"]
    assert [one["Key"] for one in listed] == ["out/a"]
    assert list(tree.passed_over) == ["\x1b[2Jc", "a\nb"]
    with pytest.raises(ClientError, match="does not answer s3:keys with a line break"):
        s3.put_object(Bucket=emulator.bucket, Key="a\nb", Body=b"")
