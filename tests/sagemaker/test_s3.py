"""Version 2's uploader and downloader."""

import io

import pytest
from sagemaker_fixtures import BUCKET
from simferry.errors import UsageError
from simferry.sagemaker.s3 import S3Downloader, S3Uploader, parse_s3_url, s3_path_join


def test_the_uploader_and_the_downloader(session, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("1")
    session.default_bucket()
    address = S3Uploader.upload("a.csv", f"s3://{BUCKET}/in", sagemaker_session=session)
    assert address == f"s3://{BUCKET}/in/a.csv"
    assert S3Uploader.upload(f"file://{tmp_path}/a.csv", f"s3://{BUCKET}/in") == address
    assert S3Downloader.list(f"s3://{BUCKET}/in") == [address]
    assert S3Downloader.read_file(address) == "1"
    assert S3Downloader.download(address, "back") == ["back/a.csv"]
    assert S3Uploader.upload_bytes(io.BytesIO(b"\0\xff"), f"s3://{BUCKET}/raw") == f"s3://{BUCKET}/raw"
    assert S3Downloader.read_bytes(f"s3://{BUCKET}/raw") == b"\0\xff"
    assert S3Uploader.upload_string_as_file_body("x", f"s3://{BUCKET}/x.txt") == f"s3://{BUCKET}/x.txt"


def test_parts_of_addresses():
    assert parse_s3_url("s3://bucket/a/b.csv") == ("bucket", "a/b.csv")
    with pytest.raises(UsageError, match="'http://x' is not an address in S3"):
        parse_s3_url("http://x")
    assert s3_path_join("s3://", "bucket", "", None, "/a//b/", "c") == "s3://bucket/a/b/c"
    assert s3_path_join("s3://bucket", "a", with_end_slash=True) == "s3://bucket/a/"
    assert s3_path_join("/foo", "bar/") == "foo/bar"
    assert s3_path_join("s3://") == "s3://"
