"""Estimates far from the others."""

import numpy as np
from simferry.analysis.features import Excluded, Raw
from simferry.analysis.outliers import Outliers, hinges, limits


def test_hinges_are_those_of_fivenum():
    # R: fivenum(c(1, 2, 4, 7, 11, 16)); fivenum(1:5)
    assert hinges(np.array([16.0, 1, 2, 4, 7, 11])) == (2, 5.5, 11)
    assert hinges(np.arange(1.0, 6)) == (2, 3, 4)


def limited(b, how, s=None):
    b = np.array(b, dtype=float)
    cell, excluded = np.zeros(len(b), dtype=int), Excluded()
    raw = Raw(b, se=s)
    raw.limited(cell, limits(lambda: [(cell, b, s)], 1, how), how, excluded, complete=True)
    return raw, excluded.counts


def test_big_ones_become_missing_and_are_counted():
    s = np.array([1.0, 1.1, 0.9, 1, 500, 1])
    raw, counts = limited([1, 2, 3, 4, 5, 1000], Outliers(drop=True), s)
    assert np.isnan(raw.estimate).tolist() == np.isnan(raw.se).tolist() == [False] * 4 + [True] * 2
    assert list(counts.values()) == [1, 1]


def test_winsorising_moves_to_the_limit():
    raw, counts = limited([1, 2, 3, 4, 100], Outliers(winsor=1.5))
    assert raw.estimate.tolist() == [1, 2, 3, 4, 7] and list(counts.values()) == [1]
