"""Convergence of means."""

import numpy as np
import pytest
from simferry.report.convergence import convergence, course


def test_a_course_has_the_mean_and_its_standard_error_at_each_number():
    values = np.random.default_rng(1).normal(5, 2, 200)
    one = course("a", values)
    assert one.many[0] == 10 and one.many[-1] == 200
    assert one.mean[-1] == pytest.approx(values.mean()) and one.mcse[-1] == pytest.approx(values.std(ddof=1) / 200**0.5)
    assert one.mcse[0] == pytest.approx(values[:10].std(ddof=1) / 10**0.5)
    assert "a ± 1.96 MCSE" in convergence("mean", [one], 5.0) and not len(course("b", np.empty(0)).many)
