"""Columns of lists in Arrow."""

import math

import pyarrow as pa
import pytest
from simferry.sweep.lists import as_texts, encoded, from_text, is_list, listed, unlisted

CELLS = [[1.5, None], None, [], [math.nan, -0.0], [1.5, None]]


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.float64())])
def test_lists_are_taken_apart_and_made_again(kind):
    array = pa.array([[9.0], *CELLS], kind)[1:]
    lengths, elements = unlisted(array)
    assert is_list(kind) and lengths.tolist() == [2, -1, 0, 2, 2] and len(elements) == 6
    assert listed(lengths, elements).to_pylist()[:3] == CELLS[:3]


def test_values_are_told_apart_by_their_bits():
    codes, values = encoded(pa.array([*CELLS, [math.nan, 0.0]]))
    assert codes.tolist() == [0, 1, 2, 3, 0, 4] and len(values) == 5


def test_texts_hold_every_bit():
    texts = as_texts(pa.table({"x": pa.array(CELLS), "n": [1] * 5}))
    assert texts["x"].to_pylist() == ["[1.5, null]", None, "[]", "[NaN, -0.0]", "[1.5, null]"]
    assert from_text("[1.5, null]") == [1.5, None] and from_text("a") == "a" and from_text("1") == "1"
