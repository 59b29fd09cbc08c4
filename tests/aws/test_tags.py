"""Resources by their tags."""

import boto3
import pytest
from simferry.aws.tags import Tagged, made_by_simferry


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        ("arn:aws:s3:::lab", "s3", "lab"),
        ("arn:aws:ecr:r:1:repository/a/b", "ecr:repository", "a/b"),
        ("arn:aws:logs:r:1:log-group:/lab/a:*", "logs:log-group", "/lab/a"),
        ("arn:aws:cloudformation:r:1:stack/lab/0-1", "cloudformation:stack", "lab/0-1"),
        ("arn:aws:batch:r:1:job-definition/lab:3", "batch:job-definition", "lab:3"),
        ("arn:aws:ec2:r:1:vpc/vpc-0", "ec2:vpc", "vpc-0"),
    ],
)
def test_kinds_and_names(arn, kind, name):
    assert (Tagged(arn, {}).kind, Tagged(arn, {}).name) == (kind, name)


def test_the_stack_is_that_of_simferry_or_of_cloudformation():
    theirs = {"aws:cloudformation:stack-name": "console"}
    assert [Tagged("arn:aws:s3:::lab", tags).stack for tags in ({}, theirs, {**theirs, "simferry:stack": "lab"})] == [
        "", "console", "lab",
    ]  # fmt: skip


def test_more_than_a_page_is_found(emulator):
    ecr = boto3.client("ecr")
    for n in range(101):
        ecr.create_repository(repositoryName=f"image-{n:03}", tags=[{"Key": "made-by", "Value": "simferry"}])
    assert len(made_by_simferry()) == 101
    assert emulator.requests["tagging", "GetResources"] == 2
    assert made_by_simferry(stack="lab") == []
