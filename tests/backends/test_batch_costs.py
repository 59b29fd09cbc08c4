"""The dearest price of a job on AWS Batch."""

import pytest
from simferry.aws import prices
from simferry.backends.batch_costs import dollars_an_hour
from simferry.errors import UsageError
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
    assert dollars_an_hour(BatchOptions(memory="32G", carrier_image="python")) == pytest.approx(4.0625 * a_vcpu)


def test_the_machines_of_a_queue_count():
    """Also those that its owner has chosen; memory as far as they have it for each vCPU."""
    price = {name: prices.price(f"ml.{name}.xlarge", "us-east-1").dollars_per_hour / 4 / 1.2 for name in ("c7i", "r7i")}
    assert dollars_an_hour(BatchOptions(machines=("c7i", "r7i.4xlarge"))) == pytest.approx(2 * price["r7i"], rel=0.01)
    assert dollars_an_hour(BatchOptions(memory="16G", machines=("c7i",))) == pytest.approx(8 * price["c7i"])
    assert dollars_an_hour(BatchOptions(machines=("optimal",))) == dollars_an_hour(BatchOptions())
    with pytest.raises(UsageError, match=r"the cost of jobs on c7i, x2idn, .* is not known: there is no instance type"):
        dollars_an_hour(BatchOptions(machines=("c7i", "x2idn")))


def test_fargate_has_prices_of_its_own():
    assert dollars_an_hour(BatchOptions(on="fargate", vcpus=4, memory="8G")) == pytest.approx(
        4 * 0.04048 + 8 * 0.004445
    )
