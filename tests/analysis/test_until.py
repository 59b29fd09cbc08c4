"""When there are enough replications."""

import numpy as np
import pytest
from simferry.analysis.measure import Measured
from simferry.analysis.until import cautious, distance, next_look
from simferry.sweep.stopping import Until


def share(k, n):
    n = np.asarray(n)
    return Measured(np.asarray(k) / n, np.zeros(len(n)), n)


def test_a_share_of_which_all_replications_agree_is_not_known_exactly():
    assert cautious(share([50], [50]), True)[0] == pytest.approx(np.sqrt(52 / 54 * (2 / 54) / 54))
    assert cautious(share([50], [50]), False)[0] == 0


def test_the_rule_that_is_furthest_from_its_target_decides():
    bias = Measured(np.zeros(2), np.array([0.02, 0.001]), np.array([100, 100]))
    found = distance(
        {"bias": bias, "coverage": share([95, 95], [100, 100])},
        {"coverage"},
        Until({"bias": 0.01, "coverage": 0.02}),
    )
    expected = np.sqrt(97 / 104 * (7 / 104) / 104) / 0.02
    assert found.tolist() == [2.0, expected]


def test_looks_are_at_multiples_of_the_batch_between_least_and_most():
    until = Until({"bias": 0.01}, most=1000, least=70)
    done = np.array([0, 70, 70, 70, 70, 990, 1000])
    ratio = np.array([np.nan, 1.0, 1.1, 2.0, np.inf, 1.5, 3.0])
    assert next_look(done, ratio, until).tolist() == [70, 70, 100, 200, 100, 1000, 1000]
    assert next_look(np.array([0]), np.array([np.nan]), Until({}, most=30)).tolist() == [30]


def test_few_studies_stop_by_luck():
    """A share of 0.95 to 0.01 takes 475 replications."""
    studies, until = 2000, Until({"coverage": 0.01}, most=6000)
    covered = np.cumsum(np.random.default_rng(20261128).random((studies, 6000)) < 0.95, axis=1)
    done, ratio = np.zeros(studies, dtype=int), np.full(studies, np.nan)
    while (further := next_look(done, ratio, until)).tolist() != done.tolist():
        done = further
        ratio = distance({"coverage": share(covered[np.arange(studies), done - 1], done)}, {"coverage"}, until)
    assert (done <= 237).mean() < 0.01 and done.mean() <= 560
    assert (
        abs((covered[np.arange(studies), done - 1] / done).mean() - 0.95) < 0.003
    )  # of which 0.0005 is the MCSE of this test
