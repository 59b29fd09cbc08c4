"""A Gaussian process whose points have known noise: what is known of an objective where it was not computed.

The kernel is a constant and a Matern 5/2 with a length for each parameter (Rasmussen and Williams 2006, chapters 4 and 5, and algorithm
2.1); lengths and variance have log-normal priors and maximise the posterior density. Functions are drawn from the posterior by Matheron's
rule on random Fourier features (Wilson et al. 2020, arXiv:2002.09309). Variables are named as there.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CONSTANT = 1.0  # the prior variance of the constant; the objective is standardised
FREQUENCIES = 512  # of a drawn function, each with a sine and a cosine
_JITTER = 1e-8  # of the variance of the kernel, so that points that are nearly equal can be factored
_LENGTH, _LENGTH_SD = math.log(0.5), 1.0  # of the logarithms: medians and standard deviations of the priors
_VARIANCE, _VARIANCE_SD = math.log(2.0), 1.0
_NUGGET, _NUGGET_SD = math.log(1e-2), 2.0
_SQRT5 = math.sqrt(5)


@dataclass(frozen=True)
class Hyperparameters:
    """lengths: of each parameter, where the unit cube's sides are 1. variance: of the kernel, of the standardised objective. nugget:
    the noise variance of points whose noise is unknown. centre, spread: the objective is standardised by these."""

    lengths: np.ndarray
    variance: float
    nugget: float
    centre: float
    spread: float


@dataclass(frozen=True)
class Data:
    """x: features, shape (points, columns). y: objective. noise: its variance at each point, NaN where it is unknown. groups: for each
    column the number of its parameter, whose length it has."""

    x: np.ndarray
    y: np.ndarray
    noise: np.ndarray
    groups: np.ndarray


def matern(r: np.ndarray) -> np.ndarray:
    """The correlation at a scaled distance."""
    return np.asarray((1 + _SQRT5 * r + 5 / 3 * r**2) * np.exp(-_SQRT5 * r))


def scaled_distances(a: np.ndarray, b: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Distances of two sets of points, with a length for each column."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a / lengths, b / lengths))


def log_density(theta: np.ndarray, squares: np.ndarray, y: np.ndarray, noise: np.ndarray) -> tuple[float, np.ndarray]:
    """The log posterior density of the hyperparameters, without its constant, and its gradient.

    theta: logarithms of lengths, variance and nugget. squares: squared distances by parameter, shape (parameters, points, points).
    y, noise: standardised; noise is NaN where it is unknown.
    """
    from scipy.linalg import cho_factor, cho_solve

    lengths, variance, nugget = np.exp(theta[:-2]), math.exp(theta[-2]), math.exp(theta[-1])
    r = np.sqrt(np.tensordot(lengths**-2.0, squares, 1))
    decay = np.exp(-_SQRT5 * r)
    kernel = variance * (1 + _SQRT5 * r + 5 / 3 * r**2) * decay
    unknown = np.isnan(noise)
    own = variance * _JITTER + np.where(unknown, nugget, noise)
    factor = cho_factor(kernel + CONSTANT + np.diag(own), lower=True)
    alpha = cho_solve(factor, y)
    density = -0.5 * float(y @ alpha) - float(np.log(np.diag(factor[0])).sum())
    inner = np.outer(alpha, alpha) - cho_solve(factor, np.eye(len(y)))
    slope = inner * (variance * 5 / 3 * (1 + _SQRT5 * r) * decay)
    gradient = np.empty_like(theta)
    gradient[:-2] = 0.5 * np.tensordot(squares, slope, 2) * lengths**-2.0
    gradient[-2] = 0.5 * (float((inner * kernel).sum()) + variance * _JITTER * float(np.trace(inner)))
    gradient[-1] = 0.5 * nugget * float(np.diag(inner)[unknown].sum())
    centres, widths = _priors(len(theta))
    off = (theta - centres) / widths
    return density - 0.5 * float(off @ off), gradient - off / widths


def _priors(count: int) -> tuple[np.ndarray, np.ndarray]:
    centres = np.array([_LENGTH] * (count - 2) + [_VARIANCE, _NUGGET])
    return centres, np.array([_LENGTH_SD] * (count - 2) + [_VARIANCE_SD, _NUGGET_SD])


def fitted(data: Data) -> Hyperparameters:
    """The most likely hyperparameters, by L-BFGS-B from two starts that do not depend on anything before."""
    from scipy.optimize import minimize

    known = np.nan_to_num(data.noise)
    weights = 1 / (np.var(data.y) + known) if np.var(data.y) > 0 else np.ones(len(data.y))
    centre = float(np.average(data.y, weights=weights))
    spread = math.sqrt(float(np.average((data.y - centre) ** 2, weights=weights))) or 1.0
    parameters = int(data.groups[-1]) + 1
    squares = np.zeros((parameters, len(data.y), len(data.y)))
    for column, group in zip(data.x.T, data.groups, strict=True):
        squares[group] += np.subtract.outer(column, column) ** 2
    y, noise = (data.y - centre) / spread, data.noise / spread**2
    centres, _ = _priors(parameters + 2)

    def cost(theta: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            density, gradient = log_density(theta, squares, y, noise)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros_like(theta)
        return -density, -gradient

    bounds = [(-5.0, 4.0)] * parameters + [(-6.0, 6.0), (-14.0, 4.0)]
    best = None
    for shift in (0.0, -1.2):
        start = centres + np.array([shift] * parameters + [0.0, 0.0])
        found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
        if best is None or found.fun < best.fun - 1e-9:
            best = found
    assert best is not None
    return Hyperparameters(np.exp(best.x[:-2]), math.exp(best.x[-2]), math.exp(best.x[-1]), centre, spread)


class GaussianProcess:
    """The posterior given points. Its numbers are in the objective's own unit.

    hyperparameters: as `fitted` finds them, from these or earlier points. noise: its variance at each point, where it is unknown too.
    """

    def __init__(self, hyperparameters: Hyperparameters, data: Data) -> None:
        from scipy.linalg import cho_factor, cho_solve

        self.hyperparameters, self.data = hyperparameters, data
        h = hyperparameters
        self._lengths = h.lengths[data.groups]
        self._y = (data.y - h.centre) / h.spread
        self._noise = np.where(np.isnan(data.noise), h.nugget, data.noise / h.spread**2)
        self.noise = self._noise * h.spread**2
        prior = self._kernel(data.x, data.x)
        for jitter in (_JITTER, 1e-6, 1e-4):
            try:
                self._own = self._noise + h.variance * jitter
                self._factor = cho_factor(prior + np.diag(self._own), lower=True)
                break
            except np.linalg.LinAlgError:
                if jitter == 1e-4:
                    raise
        self._alpha = cho_solve(self._factor, self._y)

    def _kernel(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return CONSTANT + self.hyperparameters.variance * matern(scaled_distances(a, b, self._lengths))

    def mean(self, x: np.ndarray) -> np.ndarray:
        """The posterior mean at some features."""
        h = self.hyperparameters
        return np.asarray(h.centre + h.spread * (self._kernel(x, self.data.x) @ self._alpha))

    def mean_and_sd(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation at some features, of the objective without noise."""
        from scipy.linalg import solve_triangular

        h = self.hyperparameters
        across = self._kernel(x, self.data.x)
        halves = solve_triangular(self._factor[0], across.T, lower=True)
        variance = CONSTANT + h.variance - np.einsum("ij,ij->j", halves, halves)
        mean = h.centre + h.spread * (across @ self._alpha)
        return mean, h.spread * np.sqrt(np.maximum(variance, 1e-12 * h.variance))

    def difference_sd(self, x: np.ndarray, others: np.ndarray) -> np.ndarray:
        """The prior standard deviation of the objective's difference between one point and others."""
        h = self.hyperparameters
        near = matern(scaled_distances(x[None, :], others, self._lengths))[0]
        return np.asarray(h.spread * np.sqrt(np.maximum(2 * h.variance * (1 - near), 0)))

    def believing(self, x: np.ndarray, noise: float) -> "GaussianProcess":
        """The posterior if some pending points gave their means, with this noise variance."""
        data, means = self.data, self.mean(x)
        more = Data(
            np.vstack([data.x, x]),
            np.concatenate([data.y, means]),
            np.concatenate([data.noise, np.full(len(x), noise)]),
            data.groups,
        )
        return GaussianProcess(self.hyperparameters, more)

    def draw(self, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
        """A function drawn from the posterior: features to values."""
        from scipy.linalg import cho_solve

        h, x = self.hyperparameters, self.data.x
        # a Matern 5/2 has a multivariate t with 5 degrees of freedom as its spectral density
        normals = rng.standard_normal((x.shape[1], FREQUENCIES))
        frequencies = normals * np.sqrt(5 / rng.chisquare(5, FREQUENCIES)) / self._lengths[:, None]
        weights = rng.standard_normal(2 * FREQUENCIES) * math.sqrt(h.variance / FREQUENCIES)
        constant = math.sqrt(CONSTANT) * rng.standard_normal()

        def prior(at: np.ndarray) -> np.ndarray:
            phases = at @ frequencies
            waves = np.cos(phases) @ weights[:FREQUENCIES] + np.sin(phases) @ weights[FREQUENCIES:]
            return np.asarray(constant + waves)

        noise = np.sqrt(self._own) * rng.standard_normal(len(x))
        update = cho_solve(self._factor, self._y - prior(x) - noise)

        def drawn(at: np.ndarray) -> np.ndarray:
            return np.asarray(h.centre + h.spread * (prior(at) + self._kernel(at, x) @ update))

        return drawn
