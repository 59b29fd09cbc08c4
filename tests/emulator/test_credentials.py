"""The address that gives a container of Batch the credentials of its role."""

import datetime

import pytest
from simferry.emulator.calls import Refusal
from simferry.emulator.credentials import TaskCredentials

GIVEN = {
    "AccessKeyId": "ASIA1", "SecretAccessKey": "s", "SessionToken": "t",
    "Expiration": datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
}  # fmt: skip


def test_each_container_has_an_address_until_it_ends():
    made = TaskCredentials("http://127.0.0.1:1", lambda role: GIVEN if role == "arn:role" else {})
    one, other = (made.environment("arn:role", "eu-west-1", lambda n=n: {"TaskARN": n}) for n in (1, 2))
    addresses = [each["AWS_CONTAINER_CREDENTIALS_FULL_URI"] for each in (one, other)]
    assert addresses[0] != addresses[1] and one["AWS_REGION"] == "eu-west-1"
    paths = [address.removeprefix("http://127.0.0.1:1") for address in addresses]
    assert made.answer(paths[0]) == {
        "RoleArn": "arn:role", "AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2030-01-02T03:04:05Z",
    }  # fmt: skip
    tasks = [
        each["ECS_CONTAINER_METADATA_URI_V4"].removeprefix("http://127.0.0.1:1") + "/task" for each in (one, other)
    ]
    assert [made.answer(path) for path in tasks] == [{"TaskARN": 1}, {"TaskARN": 2}]
    made.forget(one)
    with pytest.raises(Refusal):
        made.answer(tasks[0])
    with pytest.raises(Refusal) as caught:
        made.answer(paths[0])
    assert (caught.value.status, made.answer(paths[1])["Token"]) == (403, "t")


def test_without_a_role_there_are_none():
    made = TaskCredentials("http://127.0.0.1:1", lambda _: GIVEN)
    given = made.environment("", "us-east-1", dict)
    assert given.pop("ECS_CONTAINER_METADATA_URI_V4").startswith("http://127.0.0.1:1/v4/")
    assert given == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"
    }  # fmt: skip
    made.forget(given)
    with pytest.raises(Refusal):
        made.answer("/v2/credentials/")
