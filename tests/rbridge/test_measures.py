"""Measures of R's data frames."""

import math

import pytest
from bridge_requests import call
from simferry._rbridge.measures import _OfR
from simferry.analysis.own_measures import NoNumber
from simferry.errors import RError
from simferry.r.serialization import Vector, encode


def test_a_data_frame_of_r_is_a_table():
    table = Vector(
        "list",
        [Vector("double", [1.0, 2.0, 3.0]), Vector("string", ["a", "a", "a"])],
        {"names": Vector("string", ["b", "m"])},
    )
    answer = call("measures", _environment={}, table=table, estimate=Vector("string", ["b"]), truth=Vector("double", [1.0]),
                  measures=Vector("string", ["bias"]))  # fmt: skip
    assert answer["ok"].plain(), answer["error"].plain()
    value = answer["value"].plain()
    assert value["estimate"] == 1.0 and value["replications"] == 3


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"value": 2.5}, 2.5),
        ({"error": "no"}, RError),
        ({"shown": "NULL"}, NoNumber),
        ({"interrupted": True}, KeyboardInterrupt),
    ],
)
def test_what_a_function_of_r_gave(answer, found):
    functions = _OfR(["f"], lambda _: encode(answer))
    if isinstance(found, float):
        assert functions.value("f", None) == found
    else:
        with pytest.raises(found):
            functions.value("f", None)


def test_a_missing_value_of_r_is_one():
    functions = _OfR(["f"], lambda _: encode({"value": Vector("logical", [-(2**31)])}))
    assert math.isnan(functions.value("f", None))


def test_an_interrupt_in_r_is_one_here():
    def interrupted(_):
        raise RuntimeError("(Unknown exception occurred)")

    with pytest.raises(KeyboardInterrupt):
        _OfR(["f"], interrupted).value("f", None)
