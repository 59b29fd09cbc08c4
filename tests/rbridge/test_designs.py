"""Designs that R asks the bridge for."""

import numpy as np
import pytest
from bridge_requests import error_of, numbers, value_of
from simferry.r.serialization import Vector


def test_designs_keep_rs_types():
    integer = Vector("integer", np.array([1, 2], dtype="<i4"))
    factor = Vector(
        "integer",
        np.array([2, 1], dtype="<i4"),
        {"levels": Vector("string", ["b", "a"]), "class": Vector("string", ["factor"])},
    )
    out = dict(value_of("design", kind="zipped", parameters={"n": integer, "e": numbers(1, 2), "f": factor}).items())
    assert (out["n"].kind, out["e"].kind, out["f"].values) == ("integer", "double", ["a", "b"])
    made = value_of(
        "design", kind="random", parameters={"n": integer, "e": numbers(0, 1)}, options={"size": 5.0, "seed": 1.0}
    )
    assert [v.kind for v in made.values] == ["integer", "double"] and made.classes == ["simferry_design", "data.frame"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n": [1, "a"]}, "parameter n mixes integers and strings"),
        ({"n": None}, "parameter n is NULL"),
        ([1.0, 2.0], "a parameter has no name"),
        (
            {"n": Vector("double", numbers(1), {"class": Vector("string", ["difftime"])})},
            "parameter n is a difftime",
        ),
        ({"n": Vector("list", [numbers(1, 2), Vector("list", [])])}, "parameter n holds a list"),
        (
            {"n": Vector("list", [Vector("string", ["a"], {"names": Vector("string", ["b"])})])},
            "n holds a vector with names",
        ),
        ({"n": numbers(1, 1)}, "conditions 1 and 2 of the design are equal"),
    ],
)
def test_bad_designs(parameters, message):
    error = error_of("design", kind="grid", parameters=parameters)
    assert error["code"] == "design" and message in error["message"]
