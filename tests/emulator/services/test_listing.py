"""Lists of SageMaker's resources."""

import pytest
from simferry.emulator.calls import Refusal
from simferry.emulator.services.listing import page

ROWS = [
    {"EndpointName": name, "EndpointStatus": status, "CreationTime": float(at), "LastModifiedTime": float(at)}
    for at, (name, status) in enumerate([("b", "InService"), ("ab", "Failed"), ("c", "InService"), ("abc", "Deleting")])
]


def names(**request):
    found, token = page(request, [*ROWS], "EndpointName", "EndpointStatus")
    return [one["EndpointName"] for one in found], token.get("NextToken")


def test_filters_and_order():
    assert names() == (["abc", "c", "ab", "b"], None)
    assert names(SortBy="Name", SortOrder="Ascending") == (["ab", "abc", "b", "c"], None)
    assert names(SortBy="Status", SortOrder="Ascending")[0][0] == "abc"
    assert names(NameContains="b", StatusEquals="InService") == (["b"], None)
    assert names(CreationTimeAfter=1.0, LastModifiedTimeBefore=3.0) == (["c", "ab"], None)


def test_pages():
    first, token = names(MaxResults=3)
    assert (first, names(MaxResults=3, NextToken=token)) == (["abc", "c", "ab"], (["b"], None))
    with pytest.raises(Refusal, match="Invalid NextToken"):
        names(NextToken="no token")
