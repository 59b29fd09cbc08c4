"""Values of parameters as they are typed."""

import re

import pytest
from simferry.cli.parameters import parse_parameters, parse_space
from simferry.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "values", "type_"),
    [
        ("n=10,20", [10, 20], None),
        ("n= 10 , 20 ", [10, 20], None),
        ("n=10L,20", [10, 20], "integer"),
        ("n=-5,1e5,.5,+2", [-5, 1e5, 0.5, 2], None),
        ("n=Inf,-Inf", [float("inf"), float("-inf")], None),
        ("n=TRUE,false", [True, False], None),
        ("n=NA,3", [None, 3], None),
        ("n=a,b c", ["a", "b c"], None),
        ('n="a,b",c', ["a,b", "c"], None),
        ("n='a,\"b'", ['a,"b'], None),
        (r'n="say \"a\"","C:\temp"', ['say "a"', r"C:\temp"], None),
        ('n="10","TRUE",""', ["10", "TRUE", ""], None),
        ("n=O'Brien", ["O'Brien"], None),
        ("n=a=b", ["a=b"], None),
        (" n =1", [1], None),
        ("n=[1, 2.5],[3],NA", [[1, 2.5], [3], None], None),
        ("n=[1L,2],[]", [[1, 2], []], "integer list"),
        ("n=[a,\"b,]\"],['c']", [["a", "b,]"], ["c"]], None),
        ("n=[TRUE,NA],[]", [[True, None], []], None),
        ("n=[a-z],a[1]", ["[a-z]", "a[1]"], None),
    ],
)
def test_values_of_parameters(typed, values, type_):
    columns, types = parse_parameters((typed,))
    assert columns == {"n": values}
    assert [type(v) for v in columns["n"]] == [type(v) for v in values]
    assert types == ({"n": type_} if type_ else {})


@pytest.mark.parametrize(
    "typed", ["n", "=1", "n=", "n=1,", "n=,1", 'n="a', 'n="a"b', "n='a", "n=1,a", "n=TRUE,1", "n=[1],2"]
)
def test_values_that_are_none(typed):
    with pytest.raises(UsageError, match=re.escape(typed)):
        parse_parameters((typed,))


@pytest.mark.parametrize("typed", ["n=[1,2", "n=[[1,2],[3]]", "n=[0,1)", "n=[1,a]", "n=[1,]"])
def test_lists_that_are_none_are_not_cut_at_their_commas(typed):
    with pytest.raises(UsageError, match=r"\["):
        parse_parameters((typed,))


def test_a_space():
    typed = ("lambda=0.001..10 log", "kernel=a,b", "k=1..20 integer", "n=5L")
    sources, types = parse_space(typed)
    assert sources == {"lambda": (0.001, 10, "log"), "kernel": ["a", "b"], "k": (1, 20, "integer"), "n": [5]}
    assert list(sources) == ["lambda", "kernel", "k", "n"] and types == {"n": "integer"}
    with pytest.raises(UsageError, match="parameter k is given twice"):
        parse_space(("k=1..20", "k=1,2"))
