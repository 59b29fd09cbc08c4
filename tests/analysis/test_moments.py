"""Sums by cell: the same bits in whatever pieces the rows come."""

import numpy as np
from simferry.analysis.moments import Moments


def of(cells, *pieces):
    out = Moments(cells)
    for cell, values in pieces:
        out.add(np.asarray(cell), np.asarray(values, dtype=float))
    return out


def test_mean_and_variance_are_those_of_the_values_that_are_there():
    found = of(3, ([0, 1, 0, 1, 0], [1e9, 2.0, 1e9 + 1, np.nan, 1e9 + 5]))
    assert found.n.tolist() == [3, 1, 0]
    assert found.mean[:2].tolist() == [1e9 + 2, 2.0] and np.isnan(found.mean[2])
    assert found.variance[0] == np.var([0, 1, 5], ddof=1) and np.isnan(found.variance[1:]).all()


def test_pieces_do_not_change_a_bit():
    rng = np.random.default_rng(1)
    cell, values = rng.integers(0, 4, 1000), rng.normal(5, 1, 1000)
    whole = of(4, (cell, values))
    cut = of(4, *((cell[a:b], values[a:b]) for a, b in ((0, 1), (1, 400), (400, 400), (400, 1000))))
    assert whole.mean.tobytes() == cut.mean.tobytes() and whole.variance.tobytes() == cut.variance.tobytes()


def test_a_constant_has_no_variance():
    assert of(1, ([0, 0, 0], [0.1, 0.1, 0.1])).variance.tolist() == [0.0]
