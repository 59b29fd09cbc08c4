"""Errors of boto3, in words that say what to do."""

import pytest
from botocore.exceptions import EndpointConnectionError
from simferry.aws import session
from simferry.errors import NoAnswer


@pytest.mark.parametrize(
    ("region", "hint"),
    [
        ("us-est-1", "Is there a region us-est-1? Did you mean us-"),
        ("us-west-2", "Is this machine online?"),
    ],
)
def test_no_machine_answers_for_a_region_that_is_mistyped(account, monkeypatch, region, hint):
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    session.session.cache_clear()
    with pytest.raises(NoAnswer) as caught, session.asking("STS"):
        raise EndpointConnectionError(endpoint_url=f"https://sts.{region}.amazonaws.com/")
    assert caught.value.hint.startswith(hint)
