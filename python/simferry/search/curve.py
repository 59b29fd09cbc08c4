"""A curve through the points of a search, on a scale on which it is nearly straight, and where it reaches a target.

A rate is modelled by its probit, a positive measure (a width, a standard error) by its logarithm, any other as it is. x is the square root,
the logarithm or the value itself of the parameter. The curve is a straight line if the points lie on one. If they do not, it bends
(a quadratic term); if that is not enough, points far from the root are left out, the furthest first, until it is.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

WINDOWS = (
    2.0,
    0.7,
    0.5,
    0.35,
    0.25,
    0.18,
    0.12,
    0.08,
    0.05,
)  # how far from the root, in halves of the interval, points may be
LEAST = 5  # points, however far
BENT = 0.2  # a probability of this much variation about a line, or less, makes it bend: to miss a bend costs more than a term
BAD = 0.01  # and of this much is told
VAGUE = 100.0  # standard deviation of the coefficients of a probit before there are data: where all rates are 0 or 1


@dataclass(frozen=True)
class Points:
    """What is known: x on the curve's scale, mean and MCSE of the measure, replications, and the kind of measure."""

    x: np.ndarray
    mean: np.ndarray
    mcse: np.ndarray
    n: np.ndarray
    kind: str  # rate, positive or mean


@dataclass(frozen=True)
class Curve:
    """Coefficients of 1, d and d² with their covariance, where d = (x - centre) / span.

    lack: probability that points vary as much about a straight line, if it is one (NaN: not known yet). sign: 1 if the curve
    rises, -1 if it falls. shape: line or bent, and whether by points near the root alone.
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    centre: float
    span: float
    target: float  # on the curve's scale, as the coefficients
    sign: int
    lack: float = math.nan
    shape: str = "line"

    def root(self) -> float:
        """Where the curve reaches the target in its direction; NaN if nowhere."""
        return float(_roots(self.coefficients[None], self.target, self.sign)[0]) * self.span + self.centre

    def slope(self, x: float) -> float:
        d = (x - self.centre) / self.span
        return float(self.coefficients[1] + 2 * self.coefficients[2] * d) / self.span

    def at(self, x: float) -> tuple[float, float]:
        """Value and standard error, on the curve's scale."""
        d = (x - self.centre) / self.span
        row = np.array([1.0, d, d * d])
        return float(row @ self.coefficients), math.sqrt(max(0.0, float(row @ self.covariance @ row)))

    def root_se(self) -> float:
        """Standard error of the root, by the delta method: that of the level there, divided by the slope."""
        root = self.root()
        slope = self.slope(root)
        return self.at(root)[1] / abs(slope) if slope else math.inf

    def interval(self, quantile: float) -> tuple[float, float]:
        """The root less and plus a quantile times its standard error."""
        away = quantile * self.root_se()
        return self.root() - away, self.root() + away

    def draw(self, rng: np.random.Generator, low: float, high: float) -> float:
        """The root of a curve drawn from what is known, given that it is between low and high; NaN if no draw has one there."""
        if not np.isfinite(self.covariance).all():
            return math.nan
        values, vectors = np.linalg.eigh(self.covariance)
        noise = rng.standard_normal((64, 3)) * np.sqrt(np.maximum(values, 0))
        found = _roots(self.coefficients + noise @ vectors.T, self.target, self.sign) * self.span + self.centre
        inside = found[(found >= low) & (found <= high)]
        return float(inside[0]) if len(inside) else math.nan


def _roots(coefficients: np.ndarray, target: float, sign: int) -> np.ndarray:
    """The root of each row of coefficients at which the curve has this direction. A quadratic has at most one such root."""
    a, b, c = coefficients.T
    a = a - target
    with np.errstate(invalid="ignore", divide="ignore"):
        root = 2 * a / (-b - sign * np.sqrt(b * b - 4 * a * c))
    straight = np.abs(c) <= 1e-12 * np.abs(b)
    root = np.where(straight, np.where(sign * b > 0, -a / np.where(b == 0, 1, b), np.nan), root)
    return np.asarray(np.where(np.isfinite(root), root, np.nan))


def fit(points: Points, target: float, low: float, high: float, sign: int) -> Curve:
    """The curve through the points. low, high: ends of the interval, on the scale of x. target: of the measure, in its own unit."""
    centre, span = (low + high) / 2, (high - low) / 2
    d = (points.x - centre) / span
    data = _Rate(points, target) if points.kind == "rate" else _Smooth(points, target)
    powers = d[:, None] ** np.arange(5)
    away = np.abs(d - (_crossing(points, target, sign) - centre) / span)
    found: Curve | None = None
    straight = math.nan
    for window in WINDOWS:
        keep = away <= max(window, np.sort(away)[min(LEAST, len(d)) - 1])
        for terms in (2, 3):
            if keep.sum() < terms:
                continue
            coefficients, covariance, weights, residuals = data.fit(powers[:, :terms], keep)
            lack, ratio = _lack(powers[keep, :terms], powers[keep, terms : terms + 2], weights, residuals, data.noise)
            straight = lack if found is None else straight
            whole = np.zeros((3, 3))
            whole[:terms, :terms] = covariance * max(1.0, ratio if lack < BENT else 1.0)
            shape = ("line" if terms == 2 else "bent") + ("" if keep.all() else ", near the root")
            padded = np.concatenate([coefficients, np.zeros(3 - terms)])
            curve = Curve(padded, whole, centre, span, data.target, sign, straight, shape)
            if low <= curve.root() <= high:
                found = curve
                if not lack < BENT:
                    return found
            elif found is None:
                found = curve
    assert found is not None
    return replace(found, lack=straight)


def _crossing(points: Points, target: float, sign: int) -> float:
    """Where the means, made monotone by pooling neighbours that are not (weighted by replications), cross the target."""
    order = np.argsort(points.x)
    pools: list[list[float]] = []  # mean, replications, last x
    for x, mean, n in zip(points.x[order], sign * points.mean[order], points.n[order], strict=True):
        pools.append([mean, n, x, x])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            mean, n, _, last = pools.pop()
            before = pools[-1]
            before[:2] = (before[0] * before[1] + mean * n) / (before[1] + n), before[1] + n
            before[3] = last
    below = [last for mean, _, _, last in pools if mean < sign * target]
    above = [first for mean, _, first, _ in pools if mean >= sign * target]
    return float((max(below, default=points.x.min()) + min(above, default=points.x.max())) / 2)


def _lack(
    base: np.ndarray, more: np.ndarray, weights: np.ndarray, residuals: np.ndarray, noise: bool
) -> tuple[float, float]:
    """The probability of as large a gain by more terms, where they have none (a score test), and the gain of each.
    NaN where it can't be told. noise: the weights are reciprocals of variances; otherwise what remains says how large these are."""
    from scipy.special import chdtrc, fdtrc

    freedom = min(more.shape[1], len(residuals) - base.shape[1])
    if freedom < 1:
        return math.nan, 1.0
    root = np.sqrt(weights)[:, None]
    q, _ = np.linalg.qr(root * base)
    rest = root * more
    rest = rest - q @ (q.T @ rest)
    basis, sizes, _ = np.linalg.svd(rest, full_matrices=False)
    used = sizes > 1e-8 * np.linalg.norm(root * more)
    gain = float(((basis[:, used].T @ (root[:, 0] * residuals)) ** 2).sum())
    count = int(used.sum())
    if not count:
        return math.nan, 1.0
    if noise:
        return float(chdtrc(count, gain)), gain / count
    left, remains = len(residuals) - base.shape[1] - count, float((weights * residuals**2).sum()) - gain
    return (float(fdtrc(count, left, gain / count / (remains / left))) if left > 0 and remains > 0 else math.nan), 1.0


class _Rate:
    """Shares of replications: a probit regression of their counts, which 0 and 1 do no harm."""

    noise = True

    def __init__(self, points: Points, target: float) -> None:
        from scipy.special import ndtri

        self.target = float(ndtri(target))
        self.share = np.clip(points.mean, 0, 1)
        self.n = points.n * _efficiency(points)
        self.start = ndtri((self.share * self.n + 0.5) / (self.n + 1))

    def fit(self, columns: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        from scipy.special import log_ndtr, ndtr

        columns, share, n = columns[keep], self.share[keep], self.n[keep]
        eta, last = self.start[keep], math.inf
        prior = np.eye(columns.shape[1]) / VAGUE**2
        for _ in range(50):
            eta = np.clip(eta, -7, 7)
            rate, density = ndtr(eta), np.exp(-eta * eta / 2) / math.sqrt(2 * math.pi)
            weights = n * density**2 / np.exp(log_ndtr(eta) + log_ndtr(-eta))
            residuals = (share - rate) / density
            information = columns.T @ (columns * weights[:, None]) + prior
            coefficients = np.linalg.solve(information, columns.T @ (weights * (eta + residuals)))
            new = columns @ coefficients
            change = float(np.max(np.abs(new - eta)))
            eta = eta + np.clip(new - eta, -2, 2)
            if change < 1e-7 or (change < 1e-3 and change >= last):
                break
            last = change
        return coefficients, np.linalg.inv(information), weights, residuals


def _efficiency(points: Points) -> float:
    """How many plain yes or no a replication is worth. Replications that return shares themselves are worth more than one."""
    plain = points.mean * (1 - points.mean)
    known = (plain * points.n >= 5) & (points.mcse > 0)
    if not known.any():
        return 1.0
    found = float((plain[known] / points.mcse[known] ** 2).sum() / points.n[known].sum())
    return 1.0 if 0.8 < found < 1.25 else found


def are_shares(mean: np.ndarray, mcse: np.ndarray, n: np.ndarray) -> bool:
    """Whether means are shares of replications, by their MCSE: plain, or with two of each kind more (Agresti and Coull)."""
    if not ((mean >= 0) & (mean <= 1)).all():
        return False
    with_more = (mean * n + 2) / (n + 4)
    some, more = mean * (1 - mean) / n, with_more * (1 - with_more) / (n + 4)
    slack = 1 / np.maximum(n - 1, 1) + 0.01  # n or n - 1
    alike = (abs(mcse**2 - some) <= slack * some) | (abs(mcse**2 - more) <= slack * more)
    return bool(alike.all())


class _Smooth:
    """Means, or logarithms of positive ones: least squares, weighted by their MCSE."""

    def __init__(self, points: Points, target: float) -> None:
        log = points.kind == "positive"
        self.target = math.log(target) if log else target
        self.y = np.log(points.mean) if log else points.mean
        known = _variances(points, (points.mcse / points.mean if log else points.mcse) ** 2)
        self.noise = known is not None
        self.variance = np.ones(len(self.y)) if known is None else known

    def fit(self, columns: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        columns, weights = columns[keep], 1 / self.variance[keep]
        root = np.sqrt(weights)
        q, r = np.linalg.qr(columns * root[:, None])
        coefficients = np.linalg.solve(r, q.T @ (root * self.y[keep]))
        inverse, residuals = np.linalg.inv(r), self.y[keep] - columns @ coefficients
        left = len(residuals) - len(coefficients)
        scale = 1.0 if self.noise else float(residuals @ residuals) / left if left else math.inf
        return coefficients, inverse @ inverse.T * scale, weights, residuals


def _variances(points: Points, variance: np.ndarray) -> np.ndarray | None:
    """Variances of the points from a line through the logarithms of theirs: that of a point goes with its mean by chance, and
    would weight it. None if there are none: the measure has no noise, or it is not known."""
    known = np.isfinite(variance) & (variance > 0)
    if not known.any():
        return None
    each = np.log(variance[known] * points.n[known])
    x, weights = points.x[known], np.sqrt(points.n[known])
    if np.ptp(x) == 0:
        return np.asarray(np.exp(np.average(each, weights=weights**2)) / points.n)
    slope, level = np.polyfit(x, each, 1, w=weights)
    return np.asarray(np.exp(level + slope * points.x) / points.n)
