"""The network of a job, as the service is asked for it."""

import pytest
from simferry.sagemaker.network import NetworkConfig


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"EnableNetworkIsolation": False}),
        ({"enable_network_isolation": True}, {"EnableNetworkIsolation": True}),
        (
            {"encrypt_inter_container_traffic": False},
            {"EnableNetworkIsolation": False, "EnableInterContainerTrafficEncryption": False},
        ),
        (
            {"security_group_ids": "sg-1", "subnets": ["subnet-1", "subnet-2"]},  # R has no single values in lists
            {
                "EnableNetworkIsolation": False,
                "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
            },
        ),
        ({"subnets": ["subnet-1"]}, {"EnableNetworkIsolation": False, "VpcConfig": {"Subnets": ["subnet-1"]}}),
    ],
)
def test_a_network_as_the_service_is_asked_for_it(given, expected):
    assert NetworkConfig(**given)._to_request_dict() == expected
