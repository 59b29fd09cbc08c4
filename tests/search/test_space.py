"""The space of a search: its values, its points and what it refuses."""

import json

import numpy as np
import pytest
import simferry as sf
from simferry.errors import DesignError
from simferry.search.space import Space, parse_range

SPACE = sf.space(
    lam=(1e-3, 10, "log"),
    share=(0.1, 0.9999, "logit"),
    width=(-1000.0, 1000.5),
    k=(1, 20, int),
    many=(1, 1000, "integer", "log"),
    kernel=["a", "b", "c"],
    size=[50, 10, 20],
    beta=[[1, 2], [3]],
    fit={"mean": np.mean, "median": np.median},
    n=100,
)


@pytest.fixture(scope="module")
def units():
    return SPACE.random(np.random.default_rng(1), 500)


def test_points_have_the_types_of_a_design(units):
    point = SPACE.point(units[0])
    assert {name: type(value) for name, value in point.items()} == dict(
        lam=float, share=float, width=float, k=int, many=int, kernel=str, size=int, beta=list, fit=str, n=int
    )
    design = sf.grid({name: [value] for name, value in point.items()}, types=SPACE.types)
    assert design.types == SPACE.types
    assert {**design.condition(0), **{n: float(point[n]) for n in ("lam", "share", "width")}} == point
    assert SPACE.types["k"] == "integer" and SPACE.objects["fit"]["mean"] is np.mean


def test_a_point_that_is_stored_has_the_same_place(units):
    points = [SPACE.point(unit) for unit in units]
    again = np.array([SPACE.unit(json.loads(json.dumps(point))) for point in points])
    assert np.abs(again - units).max() < 1e-7
    assert [SPACE.point(unit) for unit in again] == points
    assert (np.array([SPACE.unit(point) for point in points]) == again).all()


def test_values_are_spread_on_their_scale(units):
    points = [SPACE.point(unit) for unit in units]
    assert np.median([p["lam"] for p in points]) == pytest.approx(
        0.1, rel=0.4
    )  # the middle of 0.001 and 10 in logarithms
    assert {p["k"] for p in points} == set(range(1, 21)) and {p["size"] for p in points} == {10, 20, 50}
    counts = np.bincount([p["k"] for p in points])[1:]
    assert counts.max() < 3 * counts.min()  # the ends as often as the others
    assert SPACE.point(np.zeros(9))["k"] == 1 and SPACE.point(np.ones(9))["many"] == 1000


def test_a_model_sees_one_column_or_one_for_each_value_without_order(units):
    features = SPACE.features(units)
    assert SPACE.groups.tolist() == [0, 1, 2, 3, 4, 5, 5, 5, 6, 7, 7, 8, 8]
    a, b = (features[[SPACE.point(u)["kernel"] == name for u in units]][0, 5:8] for name in "ab")
    assert np.linalg.norm(a - b) == pytest.approx(1)
    assert features.min() >= 0 and features.max() <= 1


def test_a_record_makes_the_same_space(units):
    again = Space.from_record(json.loads(json.dumps(SPACE.record())))
    assert [again.point(unit) for unit in units[:20]] == [SPACE.point(unit) for unit in units[:20]]
    assert again.types == SPACE.types


def test_size():
    assert sf.space(a=(1, 3, int), b=["x", "y"]).size == 6 and SPACE.size == np.inf


def test_where_says_no():
    space = sf.space(low=(0.0, 1.0), high=(0.0, 1.0), where=lambda p: p["low"] < p["high"])
    points = [space.point(unit) for unit in space.random(np.random.default_rng(1), 50)]
    assert len(points) == 50 and all(p["low"] < p["high"] for p in points)


@pytest.mark.parametrize(
    "where, says",
    [
        (lambda p: False, "where allows none of"),
        (lambda p: p["b"], "where failed at {'a': "),
        (lambda p: None, "where gives None at"),
        ("a < 1", "where='a < 1' is not a function"),
    ],
)
def test_functions_that_can_not_be_used(where, says):
    with pytest.raises(DesignError, match=says):
        sf.space(a=(0, 1), where=where).random(np.random.default_rng(1), 10)


@pytest.mark.parametrize(
    "parameters, says",
    [
        ({}, "needs at least one parameter that varies"),
        ({"n": 3, "m": ["x"]}, "it only has fixed ones (n, m)"),
        ({"a": (10, 1)}, "parameter a: the range (10, 1) does not go up"),
        ({"a": (1, 1)}, "is empty: both ends are equal\nFor one value write a=1."),
        ({"a": (0, 1, "log")}, "the range (0, 1, log) reaches 0"),
        ({"a": (0, 1, "logit")}, "inside of 0 and 1"),
        ({"a": (1, 2, "lgo")}, "'lgo' is no kind of range\nDid you mean log?"),
        ({"a": (1.5, 3, int)}, "ends that are no whole numbers"),
        ({"a": (1, 3, int, "logit")}, "is integer and logit at once"),
        ({"a": (0, float("inf"))}, "has an end that is no finite number"),
        ({"a": ("x", "y")}, "no range of numbers"),
        ({"a": (1,)}, "no range of numbers"),
        ({"a": []}, "parameter a has no values"),
        ({"a": [1, 1.0]}, "parameter a has the value 1 twice"),
        ({"replication": (0, 1)}, "can't be named 'replication'"),
    ],
)
def test_spaces_that_are_none(parameters, says):
    with pytest.raises(DesignError) as error:
        sf.space(parameters)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "point, says",
    [
        ({"k": 21, "kernel": "a"}, "k=21 is not a whole number from 1 to 20"),
        ({"k": 2.5, "kernel": "a"}, "k=2.5 is not a whole number"),
        ({"k": True, "kernel": "a"}, "k=True is not"),
        ({"k": 2, "kernel": "z"}, "kernel='z' is not 'a' or 'b'"),
        ({"k": 2}, "has no kernel"),
        ({"k": 2, "kernel": "a", "n": 5}, "n=5, but it is fixed at 3"),
        ({"k": 2, "kernal": "a"}, "no parameter 'kernal'\nDid you mean kernel?"),
    ],
)
def test_points_that_are_none(point, says):
    with pytest.raises(DesignError) as error:
        sf.space(k=(1, 20, int), kernel=["a", "b"], n=3).unit(point)
    assert says in str(error.value)


@pytest.mark.parametrize(
    "text, source",
    [
        ("0.001..10 log", (0.001, 10, "log")),
        ("1..20 integer", (1, 20, "integer")),
        (" 1 .. 1e3, integer log ", (1, 1000.0, "integer", "log")),
        ("-1..1", (-1, 1)),
        ("a,b", None),
        ("../data", None),
        ("3", None),
    ],
)
def test_ranges_that_are_typed(text, source):
    assert parse_range("k", text) == source


def test_a_typed_range_with_an_end_that_is_no_number():
    with pytest.raises(DesignError, match=r"'x' in .* is not a number"):
        parse_range("k", "1..x")
