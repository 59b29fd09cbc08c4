"""Performance measures as functions of means and variances over replications, which a jackknife can leave one out of.

Formulas: Morris, White & Crowther 2019 (10.1002/sim.8086), Table 6. A replication has the features estimate b, error b - t (truth t),
relative (b - t) / t, squared (b - t)^2, variance s^2 (standard error s), width u - l, and 0 or 1: covered (l <= t <= u), mean_covered
(l <= mean of b <= u), rejected.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

ALSO_CALLED = {"power": "rejection", "type1": "rejection"}
Values = Mapping[str, np.ndarray]  # by name of a feature: a value for each cell, or for each row


@dataclass(frozen=True)
class Statistic:
    """A measure. features: what it is a function of. of(mean, variance): its value, from theirs. mcse(n, mean, variance): its Monte
    Carlo standard error by the published formula. jackknife: the jackknife is right where this formula is not. plain: it is the mean of
    its one feature.
    """

    features: tuple[str, ...]
    of: Callable[[Values, Values], np.ndarray]
    mcse: Callable[[np.ndarray, Values, Values], np.ndarray]
    jackknife: bool = False
    plain: bool = False


def _mean_of(name: str) -> Statistic:
    return Statistic((name,), lambda mean, variance: mean[name], lambda n, mean, variance: np.sqrt(variance[name] / n))


def share_of(name: str) -> Statistic:
    """The share of replications in which a feature is 1."""
    return Statistic(
        (name,),
        lambda mean, variance: mean[name],
        lambda n, mean, variance: np.sqrt(mean[name] * (1 - mean[name]) / n),
        plain=True,
    )


def _relative_error(mean: Values, variance: Values) -> np.ndarray:
    return np.asarray(100 * (np.sqrt(mean["variance"] / variance["estimate"]) - 1))


def _relative_error_mcse(n: np.ndarray, mean: Values, variance: Values) -> np.ndarray:
    of_model = variance["variance"] / (4 * n * mean["variance"] ** 2)
    ratio = np.sqrt(mean["variance"] / variance["estimate"])
    return np.asarray(100 * ratio * np.sqrt(of_model + 1 / (2 * (n - 1.0))))


STATISTICS: dict[str, Statistic] = {
    "bias": _mean_of("error"),
    "relative_bias": _mean_of("relative"),
    "empirical_se": Statistic(
        ("estimate",),
        lambda mean, variance: np.sqrt(variance["estimate"]),
        lambda n, mean, variance: np.sqrt(variance["estimate"] / (2 * (n - 1.0))),
        jackknife=True,
    ),
    "mse": _mean_of("squared"),
    "rmse": Statistic(
        ("squared",),
        lambda mean, variance: np.sqrt(mean["squared"]),
        lambda n, mean, variance: np.sqrt(variance["squared"] / n / mean["squared"]) / 2,
        jackknife=True,
    ),
    "coverage": share_of("covered"),
    "bias_eliminated_coverage": share_of("mean_covered"),
    "rejection": share_of("rejected"),
    "width": _mean_of("width"),
    "model_se": Statistic(
        ("variance",),
        lambda mean, variance: np.sqrt(mean["variance"]),
        lambda n, mean, variance: np.sqrt(variance["variance"] / (4 * n * mean["variance"])),
    ),
    "relative_error": Statistic(("estimate", "variance"), _relative_error, _relative_error_mcse, jackknife=True),
    "mean": _mean_of("estimate"),
}


def available(features: Iterable[str], levels: int = 1) -> dict[str, Statistic]:
    """The measures that some features allow, by name. levels: of tests; those after the first have numbers: rejection_2."""
    more = {f"rejection_{number}": share_of(f"rejected_{number}") for number in range(2, levels + 1)}
    known = set(features)
    return {name: one for name, one in {**STATISTICS, **more}.items() if known.issuperset(one.features)}


def without_each(
    n: np.ndarray, mean: np.ndarray, variance: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of a cell without each of its values. All arrays have an element for each value."""
    away = values - mean
    rest = (n - 1.0) * variance - away * away * n / (n - 1.0)
    return mean - away / (n - 1.0), np.where(n > 2, np.maximum(rest, 0.0) / (n - 2.0), np.nan)
