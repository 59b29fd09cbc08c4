"""How often do intervals for a mean cover it? Student's t interval and the bootstrap percentile interval."""

import math

import numpy as np
from scipy.special import stdtrit

TRUE_MEAN = {"normal": 0.0, "exponential": 1.0}


def simulate(n, rng, distribution="normal", level=0.95, bootstrap=199):
    """Draw one sample, make both intervals, and see whether they hold the true mean.

    n: sample size, at least 2. rng: numpy.random.Generator. distribution: "normal" (mean 0, sd 1) or "exponential"
    (mean 1). level: nominal coverage. bootstrap: number of resamples, at least 1.

    Returns a dict: covered_t and covered_bootstrap, 1.0 where the interval holds the true mean, else 0.0; width_t and
    width_bootstrap, upper end minus lower end.
    """
    if not (n >= 2 and n == int(n)):
        raise ValueError(f"n must be a whole number, at least 2, not {n}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")
    if not (bootstrap >= 1 and bootstrap == int(bootstrap)):
        raise ValueError(f"bootstrap must be a whole number, at least 1, not {bootstrap}")
    if distribution not in TRUE_MEAN:
        raise ValueError(f"distribution must be normal or exponential, not {distribution}")
    n, bootstrap = int(n), int(bootstrap)
    sample = rng.standard_normal(n) if distribution == "normal" else rng.standard_exponential(n)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])

    t_interval = sample.mean() + stdtrit(n - 1, tails) * sample.std(ddof=1) / math.sqrt(n)

    resampled_means = sample[rng.integers(n, size=(bootstrap, n))].mean(axis=1)
    # weibull puts the p quantile at p * (bootstrap + 1): of 199 resampled means, the 5th and the 195th for level 0.95
    bootstrap_interval = np.quantile(resampled_means, tails, method="weibull")

    def covers(interval):
        return float(interval[0] <= TRUE_MEAN[distribution] <= interval[1])

    return {
        "covered_t": covers(t_interval),
        "covered_bootstrap": covers(bootstrap_interval),
        "width_t": float(t_interval[1] - t_interval[0]),
        "width_bootstrap": float(bootstrap_interval[1] - bootstrap_interval[0]),
    }
