"""Quantiles of estimates."""

import numpy as np
from simferry.analysis.measure import Rows
from simferry.analysis.quantiles import quantiles


def test_quantiles_and_the_order_statistics_around_them():
    rng = np.random.default_rng(1)
    b = rng.normal(size=1000)
    cell = np.repeat([0, 1], 500)
    b[3] = np.nan
    cut = [Rows(cell[a:e], {"estimate": b[a:e]}) for a, e in ((0, 300), (300, 1000))]
    median, tail = quantiles(lambda: cut, 3, [0.5, 0.9])
    of = [np.sort(b[:500][~np.isnan(b[:500])]), np.sort(b[500:])]
    assert median.estimate[:2].tolist() == [np.quantile(of[0], 0.5), np.quantile(of[1], 0.5)]
    assert tail.estimate[1] == np.quantile(of[1], 0.9) and median.n.tolist() == [499, 500, 0]
    nothing = [Rows(cell[:3], {"estimate": np.full(3, np.nan)})]
    assert quantiles(lambda: nothing, 1, [0.5])[0].n.tolist() == [0]
    # of 500 values, 239 to 261 lie below the median with a chance of 16 % to 84 %
    assert median.mcse[1] == (of[1][261] - of[1][239]) / 2 and np.isnan(median.mcse[2])


def test_too_few_estimates_give_no_standard_error():
    rows = [Rows(np.zeros(4, dtype=int), {"estimate": np.arange(4.0)})]
    median, tail = quantiles(lambda: rows, 1, [0.5, 0.9])
    assert tail.estimate[0] == np.quantile(np.arange(4.0), 0.9) and np.isnan(tail.mcse[0]) and median.mcse[0] == 1.0
