"""What a measure is a function of."""

import numpy as np
from simferry.analysis.statistics import available, without_each


def test_measures_are_those_whose_features_are_there():
    assert list(available({"rejected", "rejected_2", "estimate"}, levels=2)) == [
        "empirical_se",
        "rejection",
        "mean",
        "rejection_2",
    ]


def test_mean_and_variance_without_each_value():
    values = np.array([1.0, 4, 9, 16])
    n, mean, variance = np.full(4, 4), np.full(4, values.mean()), np.full(4, values.var(ddof=1))
    left = [np.delete(values, i) for i in range(4)]
    found = without_each(n, mean, variance, values)
    np.testing.assert_allclose(found, [[x.mean() for x in left], [x.var(ddof=1) for x in left]], rtol=1e-14)
