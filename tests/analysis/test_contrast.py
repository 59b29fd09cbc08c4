"""Differences between methods: paired by replication, where both have one."""

import numpy as np
import pytest
from brute_force import differences as expected_differences
from brute_force import drawn, features, jackknife
from simferry.analysis.contrast import differences, pairs_of, relative_precision
from simferry.analysis.measure import Rows
from simferry.analysis.statistics import available


def block(first, second, missing=()):
    """Two methods in turn, of which the second one has no row in some replications."""
    n = len(first[0])
    both = [features(*part)[0] for part in (first, second)]
    rows = {name: np.stack([both[0][name], both[1][name]], axis=1).ravel() for name in both[0]}
    unit, cell = np.repeat(np.arange(n), 2), np.tile([0, 1], n)
    keep = ~((cell == 1) & np.isin(unit, missing))
    return unit[keep], [Rows(cell[keep], {name: values[keep] for name, values in rows.items()})]


def test_differences_are_those_of_textbook_loops():
    first, second = drawn(seed=1), drawn(seed=2)
    known = available(features(*first)[0])
    found = differences(lambda: pairs_of([block(first, second)], [0, 0], features(*first)[0]), 2, known)
    for name, (difference, mcse) in expected_differences(*first[:2], *second).items():
        assert found[name].estimate[1] == pytest.approx(difference, rel=1e-10, abs=1e-12), name
        assert found[name].mcse[1] == pytest.approx(mcse, rel=1e-8), name
        assert found[name].n.tolist() == [0, 60]


def test_only_replications_that_both_have_count():
    first, second = drawn(seed=1), drawn(seed=2)
    known = available(features(*first)[0])
    found = differences(lambda: pairs_of([block(first, second, [0, 9])], [0, 0], features(*first)[0]), 2, known)
    keep = ~np.isin(np.arange(60), [0, 9])
    parts = [[values[keep] for values in part[:2]] for part in (first, second)]
    for name, (difference, mcse) in expected_differences(*parts[0], *parts[1], first[2]).items():
        assert found[name].estimate[1] == pytest.approx(difference, rel=1e-10, abs=1e-12)
        assert (found[name].n[1], found[name].mcse[1]) == (58, pytest.approx(mcse, rel=1e-8))


def test_relative_precision_has_all_estimates_of_each_and_the_jackknife_of_all_replications():
    first, second = drawn(seed=1), drawn(seed=2)
    missing = [3, 4, 5]
    found = relative_precision(lambda: pairs_of([block(first, second, missing)], [0, 0], ["estimate"]), 2)

    def precision(without=None):
        keep = np.arange(60) != without
        other = keep & ~np.isin(np.arange(60), missing)
        return 100 * (first[0][keep].var(ddof=1) / second[0][other].var(ddof=1) - 1)

    assert found.estimate[1] == pytest.approx(precision(), rel=1e-12) and found.n[1] == 57
    assert found.mcse[1] == pytest.approx(jackknife(precision, 60), rel=1e-8)


def test_relative_precision_by_the_published_formula():
    first, second = drawn(seed=1), drawn(seed=2)
    found = relative_precision(lambda: pairs_of([block(first, second)], [0, 0], ["estimate"]), 2, formula=True)
    ratio, rho = first[0].var(ddof=1) / second[0].var(ddof=1), np.corrcoef(first[0], second[0])[0, 1]
    assert found.mcse[1] == pytest.approx(200 * ratio * np.sqrt((1 - rho**2) / 59), rel=1e-10)
