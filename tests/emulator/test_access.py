"""Policies: each name of a request is judged by itself."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from emulator_fixtures import allow
from emulator_requests import send, signed
from simferry.emulator.calls import ACCOUNT


def test_keys_are_judged_one_by_one(limited):
    """Several in one request, copies, uploads in parts that were begun for another key, buckets in a host's name."""
    mine = "arn:aws:s3:::sagemaker-us-east-1-123456789012/mine/*"
    emulator, service = limited(allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], mine))
    s3, bucket = boto3.client("s3"), emulator.bucket
    denied = pytest.raises(ClientError, match=r"AccessDenied|Forbidden")
    s3.copy_object(Bucket=bucket, Key="mine/b", CopySource=f"{bucket}/mine/a")
    with denied:
        s3.copy_object(Bucket=bucket, Key="mine/b", CopySource=f"{bucket}/secret")
    with denied:
        s3.copy_object(Bucket=bucket, Key="mine/b", CopySource={"Bucket": bucket, "Key": "mine/a", "VersionId": "null"})
    with denied:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "mine/b"}, {"Key": "secret"}]})
    with denied:
        s3.put_object(Bucket=bucket, Key="mine/c", Body=b"", ACL="public-read")
    with denied:
        s3.put_object(Bucket=bucket, Key="mine/c", Body=b"", Tagging="a=b")
    other = service["s3"].create_multipart_upload(Bucket=bucket, Key="secret")["UploadId"]
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(Bucket=bucket, Key="mine/a", UploadId=other, PartNumber=1, Body=b"his")
    path, host = f"/{bucket}/mine/a", f"{bucket}.localhost:{emulator.port}"
    for place, headers, status in [
        ("/mine/a", {"Host": host}, 200),
        ("/secret", {"Host": host}, 403),
        (path, {"Host": f"other.localhost:{emulator.port}"}, 403),
        (f"/{bucket}/mine/../secret", {}, 404),  # a name like any other
        (f"/{bucket}//mine/a", {}, 403),
        (f"{path}?acl", {}, 403),
        (f"{path}?versionId=null", {}, 403),
        (f"{path}?uploadId={other}", {}, 403),
        (f"{path}?acl&versionId=null", {}, 501),
        (f"{path}?tagging&acl", {}, 501),
        (f"{path}?versionId=1&versionId=2", {}, 400),
    ]:
        answered, said = send(emulator, "GET", place, signed(emulator, "s3", "GET", place, headers=headers))
        assert answered == status and said != "secret", (place, answered, said)
    kept = [one["Key"] for one in service["s3"].list_objects_v2(Bucket=bucket)["Contents"]]
    assert kept == ["mine/a", "mine/b", "secret"]


def test_conditions_on_a_prefix(limited):
    condition = {"StringLike": {"s3:prefix": ["mine/*"]}}
    emulator, _ = limited(allow("s3:ListBucket", "*", Condition=condition))
    s3 = boto3.client("s3")
    assert s3.list_objects_v2(Bucket=emulator.bucket, Prefix="mine/")["KeyCount"] == 1
    for given in ({}, {"Prefix": ""}, {"Prefix": "secret"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=emulator.bucket, **given)
    path = f"/{emulator.bucket}?list-type=2&prefix=mine%2F&prefix="
    assert send(emulator, "GET", path, signed(emulator, "s3", path=path))[0] == 400


def test_a_denial_holds_for_each_name(limited):
    """Repositories named together, and users who are not named."""
    deny = [
        {"Effect": "Deny", "Action": "ecr:*", "Resource": "arn:aws:ecr:*:*:repository/secret"},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::*:user/simferry-user"},
        {"Effect": "Deny", "Action": "logs:*", "Resource": "arn:aws:logs:*:*:log-group:secret:*"},
        {
            "Effect": "Deny",
            "Action": "s3:DeleteBucket",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    emulator, _ = limited(allow("*", "*"), *deny)
    ecr, iam, logs = boto3.client("ecr"), boto3.client("iam"), boto3.client("logs")
    ecr.create_repository(repositoryName="mine")
    iam.create_user(UserName="other")
    logs.create_log_group(logGroupName="mine")
    for ask in (
        lambda: ecr.describe_repositories(repositoryNames=["mine", "secret"]),
        lambda: iam.create_access_key(),
        lambda: iam.get_user(UserName="simferry-user"),
        lambda: iam.delete_user_policy(UserName="simferry-user", PolicyName="simferry"),
        lambda: logs.create_log_group(logGroupName="secret"),
        lambda: boto3.client("s3").delete_bucket(Bucket=emulator.bucket),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform"):
            ask()


def test_roles_are_assumed_by_those_whom_they_trust(limited):
    emulator, service = limited(allow("sts:AssumeRole", "*"))
    user = f"arn:aws:iam::{ACCOUNT}:user/simferry-user"
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}],
        "Version": "2012-10-17",
    }
    service["iam"].create_role(RoleName="mine", AssumeRolePolicyDocument=json.dumps(trust))
    sts = boto3.client("sts")
    sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/mine", RoleSessionName="me")
    with pytest.raises(ClientError, match="trust policy does not allow it"):
        sts.assume_role(RoleArn=emulator.role, RoleSessionName="me")  # SageMaker only
    trust["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})
    service["iam"].update_assume_role_policy(RoleName="mine", PolicyDocument=json.dumps(trust))
    with pytest.raises(ClientError, match="trust policy does not allow it"):
        sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/mine", RoleSessionName="me")
    for missing in (f"arn:aws:iam::{ACCOUNT}:role/none", "arn:aws:iam::999999999999:role/mine"):
        with pytest.raises(ClientError, match="There is no role"):
            sts.assume_role(RoleArn=missing, RoleSessionName="me")


def test_ending_several_jobs_of_batch_needs_the_right_to_end_one(limited):
    limited(allow("batch:TerminateJob", "*"))
    batch = boto3.client("batch")
    assert batch.terminate_jobs(jobs=["a", "b"], reason="enough")["successful"] == ["a", "b"]
    with pytest.raises(ClientError, match=r"AccessDenied.*batch:CancelJob "):
        batch.cancel_jobs(jobs=["a"], reason="enough")
