"""What a stack has cost, by the bill: AWS Cost Explorer."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from ..aws import stacks
from ..aws.session import asking, client

DOLLARS_A_QUESTION = 0.01
WARNING = f"Cost Explorer charges ${DOLLARS_A_QUESTION:.2f} for each question"


@dataclass(frozen=True)
class Costs:
    """since: the first day of this month, in UTC. dollars: by service, the dearest first; empty if the bill has nothing with the
    stack's tag."""

    since: datetime.date
    dollars: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.dollars.values())

    def __str__(self) -> str:
        if not self.dollars:
            return (
                f"costs since {self.since}: the bill has nothing with the tag {stacks.TAG}. It has tags only after they were activated in "
                "Billing and Cost Management, Cost allocation tags; that takes up to 24 hours, and so does each day's bill."
            )
        each = [f"  ${dollars:,.2f}  {service}" for service, dollars in self.dollars.items()]
        return "\n".join([f"costs since {self.since}, up to 24 hours ago: ${self.total:,.2f}", *each])


def costs(name: str) -> Costs:
    """What the stacks of a name, and the jobs of runs with them, have cost this month, by service. It costs a cent.

    Raises AwsError, as where Cost Explorer is not enabled or access is denied.
    """
    today = datetime.datetime.now(datetime.timezone.utc).date()
    since, end = today.replace(day=1), today + datetime.timedelta(days=1)
    dollars: dict[str, float] = {}
    with asking("Cost Explorer"):
        answer = client("ce").get_cost_and_usage(
            TimePeriod={"Start": since.isoformat(), "End": end.isoformat()},
            Granularity="MONTHLY",
            Metrics=["UnblendedCost"],
            Filter={"Tags": {"Key": stacks.TAG, "Values": [name]}},
            GroupBy=[{"Type": "DIMENSION", "Key": "SERVICE"}],
        )  # one page: an account has fewer services than a page has groups
    for period in answer["ResultsByTime"]:  # on the last day of a month also the next one
        for group in period["Groups"]:
            service = group["Keys"][0]
            dollars[service] = dollars.get(service, 0.0) + float(group["Metrics"]["UnblendedCost"]["Amount"])
    return Costs(since, dict(sorted(dollars.items(), key=lambda one: -one[1])))
