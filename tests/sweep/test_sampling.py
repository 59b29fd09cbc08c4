"""Designs that are drawn."""

import math

import pytest
import simferry as sf
from hand_made import rows


def test_random_designs_draw_ranges_and_choices():
    design = sf.random(200, n=(10, 12), x=(0.5, 1.0), method=["a", "b"], seed=3)
    n, x, method = (design.table[name].to_pylist() for name in design.names)
    assert set(n) == {10, 11, 12} and set(method) == {"a", "b"}
    assert all(0.5 <= v <= 1 for v in x) and len(set(x)) == 200
    assert rows(design) == rows(sf.random(200, n=(10, 12), x=(0.5, 1.0), method=["a", "b"], seed=3))
    assert rows(design) != rows(sf.random(200, n=(10, 12), x=(0.5, 1.0), method=["a", "b"], seed=4))


@pytest.mark.parametrize("make", [sf.latin_hypercube, sf.sobol])
def test_space_filling_designs_cover_each_range_evenly(make):
    design = make(16, x=(0.0, 16.0), n=(1, 16), seed=1)
    assert sorted(math.floor(v) for v in design.table["x"].to_pylist()) == list(range(16))
    assert sorted(design.table["n"].to_pylist()) == list(range(1, 17))
