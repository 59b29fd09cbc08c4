"""Errors of boto3, in words that say what to do."""

import sys
import time

import pytest
from botocore.exceptions import EndpointConnectionError
from simferry.aws import session
from simferry.errors import NoAnswer, UsageError


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


def test_an_emulator_that_has_ended_is_not_waited_for(emulate):
    """What it has had ended with it; boto3 would ask for minutes."""
    emulator = emulate()
    sts = session.client("sts")
    emulator.stop()
    began = time.monotonic()
    with pytest.raises(NoAnswer, match=r"AWS can't be asked: http://127\.0\.0\.1:\d+ does not answer") as caught:
        sts.get_caller_identity()
    assert caught.value.for_good and time.monotonic() - began < 30
    emulator.start()


def test_without_boto3(account, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(
        UsageError, match=r"the Python package boto3 is not installed\npip install 'simferry\[sagemaker\]'"
    ):
        session.session()
