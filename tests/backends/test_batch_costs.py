"""The dearest price of a job on AWS Batch."""

import pytest
from simferry.aws import prices
from simferry.backends.batch_costs import dollars_an_hour
from simferry.sweep.options import BatchOptions


@pytest.fixture(autouse=True)
def region(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def test_the_dearest_of_the_types_counts():
    a_vcpu = prices.price("ml.r6i.xlarge", "us-east-1").dollars_per_hour / 4 / 1.2
    assert a_vcpu == pytest.approx(0.252 / 4, rel=0.01)  # EC2's price on demand
    assert dollars_an_hour(BatchOptions()) == pytest.approx(2 * a_vcpu)
    assert dollars_an_hour(BatchOptions(vcpus=8, on="demand")) == pytest.approx(8 * a_vcpu)
    assert dollars_an_hour(BatchOptions(vcpus=1, memory="32G")) == pytest.approx(4 * a_vcpu)
    assert dollars_an_hour(BatchOptions(carrier_image="python")) == pytest.approx(3 * a_vcpu)


def test_fargate_has_prices_of_its_own():
    assert dollars_an_hour(BatchOptions(on="fargate", vcpus=4, memory="8G")) == pytest.approx(
        4 * 0.04048 + 8 * 0.004445
    )
