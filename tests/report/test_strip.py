"""Raw estimates."""

import numpy as np
from simferry.report.strip import Estimates, strip


def test_each_method_has_its_points_its_mean_and_the_truth():
    svg = strip([Estimates("a", np.array([1.0, 2, 3]), 2.0, 30)], 1.5)
    assert svg.count("h0") == 3 and "a: 3 of 30 estimates, mean 2" in svg and "truth: 1.5" in svg
