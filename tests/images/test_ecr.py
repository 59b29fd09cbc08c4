"""Logins and repositories of ECR."""

import json

import pytest
from aws_fixtures import ACCOUNT, REGION, forget_clients
from simferry.aws.session import AwsError, CredentialsError, NoAnswer
from simferry.images.ecr import KEPT_IMAGES, ecr_login, make_where_missing


@pytest.fixture
def aws(account, monkeypatch):
    """A client of an ECR of moto's."""
    client = account("ecr", REGION)
    monkeypatch.delenv("AWS_DEFAULT_REGION")  # the region is that of the registry's address
    monkeypatch.delenv("AWS_REGION", raising=False)
    forget_clients()
    return client


def test_a_repository_is_made(aws):
    lines = []
    make_where_missing(ACCOUNT, REGION, "lab/simferry-r", lines.append)
    login = ecr_login(ACCOUNT, REGION)
    assert login["username"] == "AWS" and login["password"]
    assert lines == ["making repository lab/simferry-r"]
    (made,) = aws.describe_repositories(repositoryNames=["lab/simferry-r"])["repositories"]
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    (rule,) = json.loads(aws.get_lifecycle_policy(repositoryName="lab/simferry-r")["lifecyclePolicyText"])["rules"]
    assert rule["action"] == {"type": "expire"}
    assert rule["selection"] == {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES}


def test_a_repository_that_is_there_is_left_as_it_is(aws):
    aws.create_repository(repositoryName="simferry-r", imageTagMutability="MUTABLE")
    lines = []
    make_where_missing(ACCOUNT, REGION, "simferry-r", lines.append)
    assert ecr_login(ACCOUNT, REGION)["username"] == "AWS"
    (there,) = aws.describe_repositories()["repositories"]
    assert lines == [] and there["imageTagMutability"] == "MUTABLE"
    with pytest.raises(aws.exceptions.LifecyclePolicyNotFoundException):
        aws.get_lifecycle_policy(repositoryName="simferry-r")


def test_what_ecr_refuses_is_said_in_its_words(aws):
    with pytest.raises(AwsError) as caught:
        make_where_missing(ACCOUNT, REGION, "not a name", lambda _: None)
    assert caught.value.message.startswith(f"ECR of account {ACCOUNT} in {REGION}: AWS refuses CreateRepository: ")
    assert caught.value.message.endswith("(InvalidParameterException)")
    assert aws.describe_repositories()["repositories"] == []


def test_no_credentials(aws, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        monkeypatch.delenv(name, raising=False)
    forget_clients()
    with pytest.raises(CredentialsError) as caught:
        make_where_missing(ACCOUNT, REGION, "simferry-r", lambda _: None)
    assert caught.value.message == f"there are no AWS credentials for ECR of account {ACCOUNT} in {REGION}"
    assert "aws sso login" in caught.value.hint and caught.value.exit_code == 1


def test_aws_can_not_be_reached(aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget_clients()
    with pytest.raises(NoAnswer, match=r"AWS can't be asked: http://127\.0\.0\.1:9 does not answer"):
        make_where_missing(ACCOUNT, REGION, "simferry-r", lambda _: None)
