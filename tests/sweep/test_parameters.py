"""The canonical condition: its text, which streams depend on."""

import enum
import json
import math

import numpy as np
import pytest
from simferry.sweep import parameters
from simferry.sweep.design import grid, table


def test_the_canonical_condition_is_json_with_names_sorted():
    (text,) = grid(n=20, effect=0.5, method="t", exact=True).canonical()
    assert text == '{"effect":0.5,"exact":true,"method":"t","n":20}'
    assert json.loads(text) == {"n": 20, "effect": 0.5, "method": "t", "exact": True}


@pytest.mark.parametrize(
    "one, other",
    [(20, 20.0), (0.1 + 0.2, 0.3), (0.0, -0.0), (np.int32(20), 20.0), (np.float64(0.5), 0.5), (1e3, 1000)],
)
def test_equal_numbers_are_the_same_condition(one, other):
    assert list(grid(n=[one]).canonical()) == list(grid(n=[other]).canonical())


def test_members_of_enumerations_are_their_numbers():
    level = enum.IntEnum("level", ["LOW", "HIGH"])
    design = grid(n=[level.LOW, level.HIGH])
    assert list(design.canonical()) == list(grid(n=[1, 2]).canonical()) and design.types == {"n": "number"}


def test_a_declared_integer_is_the_same_number():
    assert list(grid(n=20, types={"n": "integer"}).canonical()) == list(grid(n=20).canonical())


@pytest.mark.parametrize(
    "value, text",
    [
        (None, '{"number": "NA"}'),
        (math.nan, '{"number": "NaN"}'),
        (math.inf, '{"number": "Inf"}'),
        (-math.inf, '{"number": "-Inf"}'),
        (1 / 3, "0.333333333333333"),
        (1e300, "1e+300"),
        (2**53 - 1, "9.00719925474099e+15"),
        ("NA", '"NA"'),
        ([1, 2.5, None], '[1,2.5,{"number": "NA"}]'),
        (["a", "1"], '["a","1"]'),
        ([], "[]"),
        ([3.0], "3"),
        ('say "hej", Åsa\n', r'"say \"hej\", Åsa\n"'),
    ],
)
def test_how_values_are_written(value, text):
    assert parameters.canonical_value(value) == text


def test_equal_lists_are_the_same_condition_however_they_are_given():
    given = [[1, 2], [1.0, 2.0], (1, 2), np.array([1, 2]), np.array([1.0, 2.0])]
    made = [grid(b=[one]) for one in given] + [grid(b=[[1, 2]], types={"b": "integer list"})]
    assert {text for design in made for text in design.canonical()} == {'{"b":[1,2]}'}


def test_a_list_of_one_has_the_numbers_of_its_element_and_no_list_is_not_na():
    assert next(grid(b=[[3], [1, 2]]).canonical()) == next(grid(b=[3]).canonical())
    assert list(grid(b=[None, [None]]).canonical()) == ['{"b":null}', '{"b":{"number": "NA"}}']


def test_names_are_escaped_too():
    assert list(table({'a"b': [1]}).canonical()) == [r'{"a\"b":1}']
