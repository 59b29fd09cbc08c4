"""What Cost Explorer says of a stack."""

import datetime

import pytest
from simferry import infra
from simferry.aws.session import AccessDenied
from simferry.infra import costs


class Answers:
    """Cost Explorer with this bill, as (service, dollars) by month."""

    def __init__(self, *months):
        self.months, self.asked = months, []

    def get_cost_and_usage(self, **asked):
        self.asked.append(asked)
        groups = [
            [{"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": amount, "Unit": "USD"}}} for name, amount in one]
            for one in self.months
        ]
        return {"ResultsByTime": [{"Groups": one} for one in groups]}


def test_the_bill_of_this_month_by_service(monkeypatch):
    bill = Answers([("Amazon S3", "0.1"), ("Amazon SageMaker", "12.345")], [("Amazon S3", "0.2")])
    monkeypatch.setattr(costs, "client", lambda service: bill)
    found = costs.costs("lab")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert found.since == today.replace(day=1)
    assert [*found.dollars] == ["Amazon SageMaker", "Amazon S3"] and found.total == pytest.approx(12.645)
    assert str(found).splitlines()[1:] == ["  $12.35  Amazon SageMaker", "  $0.30  Amazon S3"]
    (asked,) = bill.asked
    assert asked["Filter"] == {"Tags": {"Key": "simferry:stack", "Values": ["lab"]}}
    assert asked["TimePeriod"] == {
        "Start": today.replace(day=1).isoformat(),
        "End": (today + datetime.timedelta(days=1)).isoformat(),
    }


def test_show_says_first_that_the_question_costs(emulate):
    emulator, told = emulate(), []
    infra.deploy(yes=True, tell=lambda line: None)
    emulator.requests.clear()
    assert infra.show(tell=told.append).costs is None and told == [] and not emulator.requests["ce", "GetCostAndUsage"]

    def tell(line):
        told.append((line, emulator.requests["ce", "GetCostAndUsage"]))

    found = infra.show(costs=True, tell=tell)
    assert told == [("Cost Explorer charges $0.01 for each question", 0)]
    assert emulator.requests["ce", "GetCostAndUsage"] == 1
    assert "has nothing with the tag simferry:stack" in str(found) and "Cost allocation tags" in str(found)


def test_no_access_is_one_error(limited):
    limited({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    with pytest.raises(AccessDenied, match="access to Cost Explorer is denied"):
        costs.costs("lab")
