"""The question of a root finder: scales, and what it refuses."""

import math

import pytest
from simferry.errors import UsageError
from simferry.search.sought import Sought

GOOD = {"parameter": "n", "low": 10, "high": 500, "measure": "power", "target": 0.8, "kind": "rate", "whole": True}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"target": 1.2}, r"target power=1.2 is not between 0 and 1"),
        ({"target": math.nan}, r"target power=nan is not a finite number"),
        ({"target": -1, "kind": "positive"}, r"target power=-1 is not above 0"),
        ({"low": 500, "high": 10}, r"between 500 and 10: the first end of n is not below the second"),
        ({"low": 10.5}, r"between 10.5 and 500: the ends of n are not whole numbers"),
        ({"high": math.inf}, r"the ends of n are finite numbers"),
        ({"low": 0, "scale": "log"}, r"on the scale log both ends of n are above 0"),
        ({"low": -5}, None),  # a rate below 0 is drawn against n itself
        ({"low": -5, "scale": "sqrt"}, r"on the scale sqrt both ends of n are at least 0"),
        ({"within": 0}, r"within=0 is not above 0"),
        ({"kind": "share"}, r"kind='share' is not auto, rate, positive or mean"),
        ({"most": 400, "confirm": 100}, r"most=400 is not enough: .* take 500 replications"),
        ({"batch": 0}, r"at least 1"),
        ({"level": 95}, r"level=95 is not between 0 and 1"),
    ],
)
def test_what_can_not_be(wrong, says):
    if says is None:
        assert Sought(**{**GOOD, **wrong}).x_scale == "linear"
        return
    with pytest.raises(UsageError, match=says):
        Sought(**{**GOOD, **wrong})


def test_scales():
    def scale(**other):
        return Sought(**{**GOOD, **other}).x_scale

    assert scale() == "sqrt"
    assert scale(whole=False) == scale(kind="mean") == "linear"
    assert scale(kind="positive") == "log"
    assert scale(scale="log") == "log"
    assert Sought(**GOOD).shown == "probit of power against √n"
    for name in ("sqrt", "log", "linear"):
        one = Sought(**{**GOOD, "scale": name})
        assert one.value(one.to(64)) == 64 and one.value(one.to(10) - 1) == 10


def test_continuous_values_have_seven_digits():
    one = Sought("x", 0.0, 1.0, "size", 2.0)
    assert one.value(1 / 3) == 0.3333333
    assert one.value(7.0) == 1.0


def test_replications_that_confirm_are_kept():
    assert Sought(**GOOD).confirming == 1500
    assert Sought(**{**GOOD, "whole": False}).confirming == 500
    assert Sought(**{**GOOD, "confirm": 250}).confirming == 900
    assert Sought(**{**GOOD, "confirm": 0}).confirming == 0
