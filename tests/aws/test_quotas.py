"""Quotas of vCPUs."""

import boto3
import pytest
from botocore.exceptions import ClientError
from simferry.aws import quotas


def test_they_are_asked_for_where_they_hold(emulate):
    emulator = emulate(quotas={"SPOT": 5, "FARGATE": 6})
    assert quotas.vcpus("SPOT", ["default_x86_64"]) == 5 and quotas.vcpus("FARGATE", []) == 6
    assert quotas.vcpus("EC2", ["m7i.xlarge", "c6a", "z1d"]) == 10_000
    emulator.requests.clear()
    for kind, machines in (
        ("SPOT", ["g5.xlarge"]),
        ("EC2", ["m6i", "inf2.xlarge"]),
        ("EC2", ["dl1"]),
        ("FARGATE_SPOT", []),
    ):
        assert quotas.vcpus(kind, machines) is None  # another quota holds
    assert not emulator.requests
    with pytest.raises(ClientError, match="NoSuchResourceException"):
        boto3.client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-0")


def test_who_may_not_ask_is_not_stopped(emulate):
    emulate(iam=True)  # docs/iam/user.json alone
    assert quotas.vcpus("SPOT", []) is None
