"""Differences between methods."""

import numpy as np
from simferry.report.differences import Pairs, differences


def test_a_panel_says_how_two_methods_differ():
    svg = differences([Pairs("b", "a", np.array([2.0, 3]), np.array([1.0, 1]), 1.5, 0.5, 40)])
    assert svg.count("h0") == 2 and "2 of 40 pairs, mean difference 1.5, sd 0.5" in svg and "b \u2212 a" in svg
