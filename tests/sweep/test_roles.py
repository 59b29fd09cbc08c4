"""What columns are, as users say it."""

import pytest
from simferry.errors import UsageError
from simferry.sweep.roles import Roles, roles


def test_names_numbers_and_lists():
    given = {
        "estimate": "b",
        "truth": "0.5",
        "se": ["s"],
        "interval": "lo, up",
        "df": 88,
        "by": "method,dgm",
        "alpha": "0.05,0.01",
    }
    found = roles({**given, "reference": "CC", "p_value": None})
    assert found == Roles(("b",), (0.5,), ("s",), ("lo",), ("up",), (), (88.0,), ("method", "dgm"), "CC", (0.05, 0.01))
    assert found.columns() == ["b", "s", "lo", "up", "method", "dgm"]


def test_several_estimates_have_a_column_each():
    found = roles({"estimate": "b1,b2", "truth": "theta", "se": "s1,s2", "interval": "l1,u1,l2,u2"})
    assert found.of(1) == Roles(("b2",), ("theta",), ("s2",), ("l2",), ("u2",))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "no estimate is named"),
        ({"p_value": "p", "truth": 0}, "no estimate is named"),
        ({"estimate": "b", "interval": "lo"}, "two of them"),
        ({"estimate": "b", "alpha": 1}, "between 0 and 1"),
        ({"estimate": "b", "alpha": "x"}, "between 0 and 1"),
        ({"estimate": "b", "truth": float("inf")}, "finite number"),
        ({"estimate": "b1,b2", "se": "s1"}, "names 2 columns, and se 1"),
        ({"estimate": [1]}, "names of columns"),
    ],
)
def test_bad_roles_are_one_error(given, words):
    with pytest.raises(UsageError, match=words):
        roles(given)


def test_p_values_alone_need_no_estimate():
    assert roles({"p_value": "p1,p2", "by": "test"}).are_tests()
    assert not roles({"p_value": "p", "estimate": "b"}).are_tests()
