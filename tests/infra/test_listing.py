"""simferry.infra.list_all: all that simferry has made, whatever made it, and what can't be seen."""

import json

import boto3
import pytest
from account_fixtures import put_image, put_run
from emulator_fixtures import allow
from simferry import infra
from simferry.aws.buckets import default_bucket
from simferry.aws.session import CredentialsError
from simferry.images.ecr import make_where_missing
from simferry.infra.listing import ListedBucket, ListedLog, ListedRepository, Listing

RUN = "power-20261128-0123abcd"


@pytest.fixture
def bucket(emulator):
    """That of a stack, with a run; beside it a repository of its own and a run in the default bucket."""
    bucket = infra.deploy(yes=True, tell=lambda line: None).outputs["Bucket"]
    s3, ecr = boto3.client("s3"), boto3.client("ecr")
    put_run(s3, bucket, f"simferry/{RUN}", "")
    put_run(s3, emulator.bucket, f"simferry/{RUN}", "")
    s3.put_object(Bucket=emulator.bucket, Key="somebody/else", Body=b"1")
    make_where_missing("123456789012", "us-east-1", "simferry-r", lambda line: None)
    put_image(ecr, "simferry-r", "0123")
    ecr.create_repository(repositoryName="theirs")
    boto3.client("logs").create_log_group(logGroupName="/aws/sagemaker/ProcessingJobs")
    return bucket


def test_all_is_found_in_few_requests(emulator, bucket):
    emulator.requests.clear()
    found = infra.list_all()
    assert [(one.name, one.status) for one in found.stacks] == [
        ("simferry", "CREATE_COMPLETE"), ("simferry-batch", "CREATE_COMPLETE")
    ]  # fmt: skip
    assert [(one.name, one.folder, one.stack, one.objects) for one in found.buckets] == [
        (bucket, "", "simferry", 2), (emulator.bucket, "simferry/", "", 2),
    ]  # fmt: skip
    assert [one.address for one in found.runs] == [f"s3://{name}/simferry/{RUN}" for name in (bucket, emulator.bucket)]
    assert {(one.name.partition("-repository")[0], one.stack, one.images) for one in found.repositories} == {
        ("simferry", "simferry", 0), ("simferry-r", "", 1),
    }  # fmt: skip
    assert [one.name for one in found.images] == ["simferry-r:0123"]
    assert {(one.name.partition("-LogGroup")[0], one.days_kept) for one in found.logs} == {
        ("/aws/sagemaker/ProcessingJobs", None), ("simferry-batch", 90),
    }  # fmt: skip
    assert {(one.kind, one.stack) for one in found.others} == {
        ("batch:compute-environment", "simferry"), ("batch:job-queue", "simferry"),
    }  # fmt: skip
    assert found.unseen == []
    assert sum(emulator.requests.values()) <= 10, emulator.requests
    for line in ("us-east-1, account 123456789012 (other regions are not looked at)", "(stack simferry)",
                 f's3://{bucket}/simferry/{RUN}").delete()  deletes a run'):  # fmt: skip
        assert line in str(found)


def test_what_a_deleted_stack_has_left_is_found(emulator, bucket, monkeypatch):
    infra.delete(yes=True, tell=lambda line: None)
    found = infra.list_all()
    assert found.stacks == [] and found.buckets[0].name == bucket
    assert "(stack simferry, which is deleted)" in str(found)
    assert "simferry.infra.delete(data=True)  deletes all of stack simferry" in str(found)
    monkeypatch.setenv("SIMFERRY_STORE", "s3://mine/runs")
    boto3.client("s3").create_bucket(Bucket="mine")
    put_run(boto3.client("s3"), "mine", f"runs/{RUN}", "")
    assert infra.list_all().runs[-1].address == f"s3://mine/runs/{RUN}"


def test_what_may_not_be_seen_is_named_and_the_rest_listed(limited):
    """Without tags the stack of the default name is still found."""
    _, service = limited(allow("*", "*"))
    bucket = infra.deploy(yes=True, tell=lambda line: None).outputs["Bucket"]
    put_run(service["s3"], bucket, f"simferry/{RUN}", "")
    denied = {"Effect": "Deny", "Action": ["tag:*", "logs:*", "ecr:*"], "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [allow("*", "*"), denied]}
    service["iam"].put_user_policy(UserName="simferry-user", PolicyName="simferry", PolicyDocument=json.dumps(document))
    found = infra.list_all()
    assert [one.name for one in found.stacks] == ["simferry"] and found.buckets[0].name == bucket
    assert [one.partition(" is denied")[0] for one in found.unseen] == [
        "access to the resources of simferry", f"access to repository {found.unseen[1].split()[3]}", "access to the log groups",
    ]  # fmt: skip
    assert "not seen: access to the log groups is denied (DescribeLogGroups)" in str(found)


def test_without_credentials_there_is_one_error(emulator, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(CredentialsError):
        infra.list_all()


def test_the_default_bucket_that_simferry_makes_has_its_tag(emulate, monkeypatch):
    emulate()
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    from simferry.aws import session

    for function in (session.session, session.client):
        function.cache_clear()
    tags = boto3.client("s3").get_bucket_tagging(Bucket=default_bucket())["TagSet"]
    assert tags == [{"Key": "made-by", "Value": "simferry"}]


def test_dollars_and_bounds():
    found = Listing(
        "r", "1", buckets=[ListedBucket("b", "", "", 1, 100.0, complete=False)], repositories=[ListedRepository("i", "", 2, 10.0)],
        logs=[ListedLog("l", "", 10.0, 30)],
    )  # fmt: skip
    assert found.dollars_a_month == pytest.approx(2.3 + 1.0 + 0.3)
    text = str(found)
    assert "bucket b  at least 100.000 GB in 1 object" in text and "repository i  at most 10.000 GB in 2 images" in text
    assert "logs l  10.000 GB, kept 30 days" in text and "storage: at least $3.60 a month" in text
    for_ever = str(Listing("r", "1", logs=[ListedLog("l", "", 1.0, None)]))
    assert "--log-group-name l --retention-in-days 90  deletes logs that are older" in for_ever
    assert "nothing of simferry was found" in str(Listing("r", "1"))
