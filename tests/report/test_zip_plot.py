"""Zip plots."""

import numpy as np
import pytest
from simferry.report.zip_plot import Intervals, exact_interval, ranked, zip_plot


def test_ranks_are_percentiles_of_the_error_in_standard_errors():
    assert ranked(np.array([-3.0, 1, 2, 0]), np.array([1.0, 1, 1, 1])).tolist() == [100, 50, 75, 25]


def test_the_interval_of_coverage_is_the_exact_one():
    assert exact_interval(8, 10) == pytest.approx((0.4439045, 0.9747893), abs=1e-7)  # R: binom.test(8, 10)
    assert exact_interval(0, 10)[0] == 0 and exact_interval(10, 10)[1] == 1


def test_intervals_that_do_not_cover_are_apart():
    one = Intervals(
        "<b>", np.array([-1.0, 0.5]), np.array([1.0, 2]), np.array([50.0, 100]), np.array([True, False]), 20, 19
    )
    svg = zip_plot([one])
    assert (
        "&lt;b&gt;" in svg
        and "<b>" not in svg
        and "19 of 20 intervals cover" in svg
        and "0.5 to 2, percentile 100.0" in svg
    )
    assert svg.count('class="misses"') == 1 and "coverage 0.9500" in svg
    assert "1 of 20 intervals do not cover" in zip_plot([one], titles=False)
