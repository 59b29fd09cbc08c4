"""Three models of the same survival data: exponential, Weibull and Cox. How well does each estimate the log hazard ratio?"""

import numpy as np


def simulate(n, gamma, rng, theta=-0.5, lambda_=0.1, followup=5.0):
    """Draw one trial, and fit the three models.

    n: patients, at least 4. gamma: shape of the Weibull distribution of times (1: exponential), above 0. rng:
    numpy.random.Generator. theta: log hazard ratio of treatment. lambda_: rate, above 0. followup: years after which all who
    are alive are censored.

    Returns columns: method, estimate of theta, and its standard error se.
    """
    if not (n >= 4 and n == int(n)):
        raise ValueError(f"n must be a whole number, at least 4, not {n}")
    if not min(gamma, lambda_, followup) > 0:
        raise ValueError("gamma, lambda_ and followup must be above 0")
    treated = rng.integers(2, size=int(n))
    time = (rng.standard_exponential(int(n)) / (lambda_ * np.exp(theta * treated))) ** (1 / gamma)
    time, dead = np.minimum(time, followup), time < followup
    fits = fits_of(time, dead, treated)
    return {
        "method": list(fits),
        "estimate": [float(estimate) for estimate, _ in fits.values()],
        "se": [float(se) for _, se in fits.values()],
    }


def fits_of(time, dead, treated):
    """Estimate and standard error by model."""
    return {model.__name__: model(time, dead, treated) for model in (exponential, weibull, cox)}


def exponential(time, dead, treated):
    """The log hazard ratio under constant hazards, deaths / time, and its standard error."""
    deaths = np.array([dead[treated == arm].sum() for arm in (0, 1)])
    rates = deaths / [time[treated == arm].sum() for arm in (0, 1)]
    return np.log(rates[1] / rates[0]), np.sqrt((1 / deaths).sum())


def weibull(time, dead, treated):
    """The log hazard ratio under hazards a t^(g - 1) exp(b treated): Newton's steps from an exponential fit in log a, b and log g."""
    b, _ = exponential(time, dead, treated)
    x = np.column_stack([np.ones_like(time), treated, np.zeros_like(time)])
    at, log_time = np.array([np.log(dead[treated == 0].sum() / time[treated == 0].sum()), b, 0.0]), np.log(time)
    for _ in range(50):
        g = np.exp(at[2])
        x[:, 2] = g * log_time  # the derivative of the linear predictor, log of the cumulated hazard
        hazard = np.exp(at[0] + at[1] * treated + g * log_time)
        score = x.T @ (dead - hazard) + [0, 0, dead.sum()]
        information = (x.T * hazard) @ x
        information[2, 2] -= ((dead - hazard) * x[:, 2]).sum()
        step = np.linalg.solve(information, score)
        at = at + step
        if np.abs(step).max() < 1e-9:
            break
    else:
        raise ArithmeticError("the Weibull model did not converge in 50 steps")
    return at[1], np.sqrt(np.linalg.inv(information)[1, 1])


def cox(time, dead, treated):
    """The log hazard ratio that maximises the partial likelihood, and its standard error. Times of deaths are all different."""
    order = np.argsort(-time)
    treated_at_risk = np.cumsum(treated[order])[dead[order]]
    others_at_risk = np.cumsum(1 - treated[order])[dead[order]]
    deaths, b = treated[dead].sum(), 0.0
    for _ in range(50):
        share = treated_at_risk * np.exp(b) / (treated_at_risk * np.exp(b) + others_at_risk)
        information = (share * (1 - share)).sum()
        step = (deaths - share.sum()) / information
        b += step
        if abs(step) < 1e-9:
            break
    else:
        raise ArithmeticError("the Cox model did not converge in 50 steps")
    return b, 1 / np.sqrt(information)
