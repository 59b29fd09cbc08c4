"""A request is read in one way."""

from urllib.parse import urlencode

import boto3
import pytest
from botocore.exceptions import ClientError
from emulator_fixtures import allow
from emulator_requests import FORM, keys, send, signed
from simferry.emulator.calls import ACCOUNT


def test_a_request_that_could_be_read_in_two_ways(emulate):
    """The header that let a request for IAM pass as one that everybody may make, and its kin."""
    emulator = emulate(iam=True)
    who = ("Action", "GetCallerIdentity")
    for path, headers, form in [
        ("/", {"X-Amz-Target": "x.GetCallerIdentity"}, USERS),
        ("/", {"X-Amz-Target": "AWSSecurityTokenService.GetCallerIdentity"}, USERS),
        ("/", {"X-HTTP-Method-Override": "GET", "X-Amz-Target": "x.GetCallerIdentity"}, USERS),
        ("/?Action=GetCallerIdentity", {}, USERS),
        ("/?Action=ListUsers", {}, dict([who])),
        ("/", {}, [who, *USERS.items()]),
        ("/", {}, [*USERS.items(), who]),
    ]:
        body = urlencode(form).encode()
        for service in ("iam", "sts"):
            status, said = send(
                emulator, "POST", path, signed(emulator, service, "POST", path, body, {**FORM, **headers}), body
            )
            assert status in (400, 403) and "<Users>" not in said, (service, path, headers, said)
    with pytest.raises(ClientError, match="not authorized to perform: iam:ListUsers"):
        boto3.client("iam").list_users()


def test_a_service_is_the_one_that_is_signed_for(limited):
    """Neither the target, the host nor the path leads to another."""
    emulator, _ = limited(allow("ecr:*", "*"), allow("s3:*", "*"))
    data = urlencode(USERS).encode()
    for service, headers, body in [
        ("sts", FORM, data), ("s3", FORM, data), ("ecr", FORM, data),
        ("ecr", {"X-Amz-Target": "Logs_20140328.DescribeLogGroups"}, b"{}"),
        ("s3", {"Host": "iam.localhost"}, data), ("ecr", {"X-Amz-Target": "ListUsers"}, data),
        ("ecr", {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", **FORM}, data),
    ]:  # fmt: skip
        status, said = send(emulator, "POST", "/", signed(emulator, service, "POST", "/", body, headers), body)
        assert status in (400, 403, 404, 501) and "UserName" not in said and "logGroups" not in said


def test_headers_that_mean_something_to_moto(emulator):
    """Of another account, and another region."""
    headers = {"x-moto-account-id": "999999999999", "User-Agent": "region/cn-north-1", **FORM}
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    status, said = send(emulator, "POST", "/", signed(emulator, "sts", "POST", "/", body, headers), body)
    assert status == 200 and f"arn:aws:iam::{ACCOUNT}:user/simferry-user" in said


def test_bodies_that_are_no_json_objects(emulator):
    for body in (b"[]", b"{", b"\xff", b"[" * 100_000, b'"' + b"x" * 10):
        headers = signed(emulator, "sagemaker", "POST", "/", body, {"X-Amz-Target": "SageMaker.ListProcessingJobs"})
        status, said = send(emulator, "POST", "/", headers, body)
        assert status == 400 and "SerializationException" in said
    assert keys(emulator).secret_key not in said


def test_other_partitions(emulator):
    with pytest.raises(ClientError, match="AWS's main partition, not cn-north-1"):
        boto3.client("iam", region_name="cn-north-1", endpoint_url=emulator.url).list_users()


USERS = {"Action": "ListUsers", "Version": "2010-05-08"}
