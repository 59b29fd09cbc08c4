"""Vectors of R: what is missing in them, and what they are in Python."""

import numpy as np
import pytest
from simferry.r.serialization.vectors import Other, Vector, texts
from simferry.worker.blocks import NA_DOUBLE, NA_INTEGER

NAMED = {"names": texts(["a", None])}


@pytest.mark.parametrize(
    ("vector", "plain", "missing"),
    [
        (Vector("double", np.array([1.5])), 1.5, [False]),
        (Vector("double", np.array([1.0, NA_DOUBLE])), [1.0, None], [False, True]),
        (Vector("integer", np.array([NA_INTEGER, 2], "<i4")), [None, 2], [True, False]),
        (Vector("logical", np.array([1, NA_INTEGER], "<i4"), NAMED), {"a": True, "": None}, [False, True]),
        (texts(["x", None]), ["x", None], [False, True]),
        (Vector("list", [texts(["x"]), None], NAMED), {"a": "x", "": None}, [False, False]),
        (Vector("list", [texts(["x"])]), ["x"], [False]),
    ],
)
def test_values_and_what_is_missing(vector, plain, missing):
    assert vector.plain() == plain and vector.missing().tolist() == missing


def test_nan_is_not_missing():
    assert Vector("double", np.array([np.nan])).missing().tolist() == [False]


def test_names_and_classes():
    vector = Vector("list", [None, None], {**NAMED, "class": texts(["lm"])})
    assert vector.names == ["a", ""] and vector.classes == ["lm"] and vector.items() == [("a", None), ("", None)]
    assert repr(Other("call")) == "<R call>"
