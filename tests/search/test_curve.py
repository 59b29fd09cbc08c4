"""Curves through noisy points, and where they reach a target."""

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri
from simferry.search.curve import Points, are_shares, fit


def rates(x, share, n=100):
    share = np.asarray(share, dtype=float)
    return Points(
        np.asarray(x, dtype=float), share, np.sqrt(share * (1 - share) / n), np.full(len(share), float(n)), "rate"
    )


def drawn(curve, seed, points=25, n=400, low=0.0, high=4.0):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(low, high, points))
    return rates(x, rng.binomial(n, curve(x)) / n, n)


def test_the_line_of_a_probit_is_that_of_a_regression_of_counts():
    """R: glm(cbind(k, 100 - k) ~ x, binomial("probit")) of k = 5, 20, 60, 95 at x = 0, 1, 2, 3."""
    found = fit(rates([0, 1, 2, 3], [0.05, 0.2, 0.6, 0.95]), 0.8, 0, 3, 1)
    assert found.shape == "line" and found.lack > 0.2
    assert [found.at(0)[0], found.slope(1)] == pytest.approx([-1.8668954, 1.1041264], abs=1e-5)
    assert found.at(0)[1] == pytest.approx(0.1672995, rel=1e-3)
    assert found.root() == pytest.approx((ndtri(0.8) + 1.8668954) / 1.1041264, abs=1e-4)


@pytest.mark.parametrize("share", [[0, 1], [0, 0, 1, 1], [0.2, 1, 1, 1], [0, 0, 0, 0.9]])
def test_rates_of_0_and_1_do_no_harm(share):
    x = np.arange(len(share))
    found = fit(rates(x, share), 0.8, 0, x[-1], 1)
    assert 0 <= found.root() <= x[-1]
    draws = [found.draw(np.random.default_rng(i), 0, x[-1]) for i in range(20)]
    assert np.isfinite(draws).sum() > 10 and np.nanstd(draws) > 0


def test_replications_that_return_shares_are_worth_more():
    plain = rates([0, 1, 2, 3], [0.05, 0.2, 0.6, 0.95])
    fine = Points(plain.x, plain.mean, plain.mcse / 10, plain.n, "rate")
    many = rates([0, 1, 2, 3], [0.05, 0.2, 0.6, 0.95], 10_000)
    one, other = (fit(points, 0.8, 0, 3, 1) for points in (fine, many))
    assert one.root() == pytest.approx(other.root()) and one.root_se() == pytest.approx(other.root_se())


def test_a_line_is_called_bad_as_often_as_it_should_be():
    """Of 200 sets of points on a line, 1 % are told as none: 6 or more have a probability of 0.02."""
    lacks = np.array([fit(drawn(lambda x: ndtr(x - 1), seed), 0.8, 0, 4, 1).lack for seed in range(200)])
    assert (lacks < 0.01).sum() <= 6
    assert 0.35 < np.mean(lacks < 0.5) < 0.65  # 4 standard errors


def test_a_curve_that_is_no_line_is_found_and_told():
    def plateau(x):
        return 0.92 * ndtr(3 * (x - 1))

    true = 1 + ndtri(0.8 / 0.92) / 3
    found = [fit(drawn(plateau, seed), 0.8, 0, 4, 1) for seed in range(40)]
    assert max(one.lack for one in found) < 0.01
    off = np.array([one.root() for one in found]) - true
    se = np.array([one.root_se() for one in found])
    assert np.mean(abs(off) < 1.96 * se) > 0.8  # by a line through all, none
    assert all(one.shape != "line" for one in found)


def test_falling_curves():
    rising = fit(rates([0, 1, 2, 3], [0.05, 0.2, 0.6, 0.95]), 0.8, 0, 3, 1)
    falling = fit(rates([0, -1, -2, -3], [0.05, 0.2, 0.6, 0.95]), 0.8, -3, 0, -1)
    assert falling.root() == pytest.approx(-rising.root()) and falling.root_se() == pytest.approx(rising.root_se())


def test_intervals_of_means_cover():
    """200 studies, 12 points with noise that is not normal and whose MCSE goes with the mean: the coverage has an MCSE of 0.015."""
    rng, inside, off = np.random.default_rng(7), 0, []
    x = np.linspace(0, 2, 12)
    for _ in range(200):
        rows = rng.exponential(np.exp(1 - x), (50, 12))
        points = Points(x, rows.mean(0), rows.std(0, ddof=1) / math.sqrt(50), np.full(12, 50.0), "positive")
        found = fit(points, 1.0, 0, 2, -1)
        off.append(found.root() - 1)
        low, high = found.interval(1.96)
        inside += low <= 1 <= high
    assert 0.9 <= inside / 200 <= 0.99
    assert abs(np.mean(off)) < 3 * np.std(off) / math.sqrt(200) + 0.01


@pytest.mark.parametrize("mcse", [0.0, math.nan])
def test_without_noise_the_interval_comes_from_what_no_line_explains(mcse):
    x = np.array([0.0, 0.8, 1.0, 1.1, 1.3, 2.0])
    points = Points(x, np.exp(x), np.full(6, mcse), np.full(6, 1.0), "mean")
    found = fit(points, math.e, 0, 2, 1)
    assert found.root() == pytest.approx(1, abs=0.02) and 0 < found.root_se() < 0.1
    two = fit(Points(x[[0, -1]], np.exp(x[[0, -1]]), np.zeros(2), np.ones(2), "mean"), math.e, 0, 2, 1)
    assert two.root_se() == math.inf and math.isnan(two.draw(np.random.default_rng(1), 0, 2))


def test_shares_are_known_by_their_mcse():
    share, n = np.array([0.0, 0.02, 0.8, 1.0]), np.full(4, 50.0)
    plain = np.sqrt(share * (1 - share) / n)
    sample = np.sqrt(share * (1 - share) / (n - 1))
    more = (share * n + 2) / (n + 4)
    cautious = np.sqrt(more * (1 - more) / (n + 4))
    assert all(are_shares(share, mcse, n) for mcse in (plain, sample, cautious))
    assert not are_shares(share, plain * 0.9, n) and not are_shares(share * 2, plain, n)
    assert not are_shares(share, np.full(4, math.nan), n)
