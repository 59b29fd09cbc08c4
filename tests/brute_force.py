"""Measures and their jackknife, written as in textbooks: one loop, each replication left out in turn."""

import math

import numpy as np

Z = 1.959963984540054


def drawn(n=60, seed=1, t=0.4):
    rng = np.random.default_rng(seed)
    b, s = rng.exponential(size=n), 0.8 + 0.4 * rng.random(n)
    return b, s, t


def features(b, s, t):
    ends = b - Z * s, b + Z * s
    return {
        "estimate": b, "error": b - t, "relative": (b - t) / t, "squared": (b - t) ** 2, "variance": s**2,
        "width": ends[1] - ends[0], "covered": ((ends[0] <= t) & (t <= ends[1])).astype(float),
        "rejected": (abs(b) >= Z * s).astype(float),
    }, ends  # fmt: skip


def values(b, s, t):
    """The measures of one method."""
    e, n = b - t, len(b)
    return {
        "bias": e.mean(), "relative_bias": (e / t).mean(), "empirical_se": b.std(ddof=1), "mse": (e**2).sum() / n,
        "rmse": math.sqrt((e**2).sum() / n), "coverage": ((b - Z * s <= t) & (t <= b + Z * s)).mean(),
        "rejection": (abs(b) >= Z * s).mean(), "width": (2 * Z * s).mean(), "model_se": math.sqrt((s**2).mean()),
        "relative_error": 100 * (math.sqrt((s**2).mean()) / b.std(ddof=1) - 1), "mean": b.mean(),
    }  # fmt: skip


def jackknife(statistic, n):
    """statistic(i): without replication i."""
    each = np.array([statistic(i) for i in range(n)])
    return math.sqrt((n - 1) / n * ((each - each.mean()) ** 2).sum())


def differences(b, s, other_b, other_s, t):
    """The second method's measures minus the first one's, with jackknife standard errors: name -> (difference, mcse)."""
    first, second = values(b, s, t), values(other_b, other_s, t)
    out = {}
    for name in first:

        def without(i, name=name):
            keep = np.arange(len(b)) != i
            return values(other_b[keep], other_s[keep], t)[name] - values(b[keep], s[keep], t)[name]

        out[name] = second[name] - first[name], jackknife(without, len(b))
    return out
