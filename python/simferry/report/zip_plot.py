"""The zip plot (Morris, White and Crowther 2019): all intervals, ranked by how far the estimate is from the truth in standard errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .svg import Scale, axes, figure, number, path, scale, segments, short, text

WIDTH, HEIGHT = 250, 320  # of a panel's axes


@dataclass(frozen=True)
class Intervals:
    """Intervals of one method, some of all. lower, upper: minus the truth. percentile: the rank of each, from 0 to 100, over all.
    covers: whether each covers the truth. many, covered: of all."""

    name: str
    lower: np.ndarray
    upper: np.ndarray
    percentile: np.ndarray
    covers: np.ndarray
    many: int
    covered: int


def ranked(error: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The percentile of each row by |error| / spread: the largest is 100."""
    order = np.argsort(np.abs(error) / spread, kind="stable")
    out = np.empty(len(order))
    out[order] = np.arange(1, len(order) + 1) / len(order) * 100
    return out


def exact_interval(successes: int, many: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of Clopper and Pearson for a proportion."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, many - successes + 1, tail))
    high = 1.0 if successes == many else float(betaincinv(successes + 1, many - successes, 1 - tail))
    return low, high


def zip_plot(methods: Sequence[Intervals], level: float = 0.95, titles: bool = True) -> str:
    """A panel for each method. level: nominal, of the intervals. titles: each interval that does not cover says its ends."""
    wide = WIDTH + 46
    x_of = scale([one for m in methods for one in (m.lower, m.upper)], 0, WIDTH)
    parts = []
    for i, one in enumerate(methods):
        x = Scale(x_of.low, x_of.high, 46 + i * wide, 46 + i * wide + WIDTH)
        y = Scale(0, 100, 40 + HEIGHT, 40)
        parts.append(
            axes(x, y, "interval minus truth", "percentile of |error| / SE" if i == 0 else "", short(one.name))
        )
        parts.append(
            _segments(one, one.covers, x, y, "covers", f"{one.name}: {one.covered:,} of {one.many:,} intervals cover")
        )
        missed = ~one.covers
        if titles:
            for k in np.flatnonzero(missed):
                title = f"{number(one.lower[k])} to {number(one.upper[k])}, percentile {one.percentile[k]:.1f}"
                parts.append(_segments(one, np.arange(len(missed)) == k, x, y, "misses", title))
        else:
            title = f"{one.name}: {one.many - one.covered:,} of {one.many:,} intervals do not cover"
            parts.append(_segments(one, missed, x, y, "misses", title))
        zero = int(x.at(0))
        parts.append(path(f"M{zero} {y.start:.0f}V{y.end:.0f}", "truth", "the truth"))
        if one.many:
            low, high = exact_interval(one.covered, one.many)
            for share, kind in ((low, "bound"), (high, "bound"), (level, "nominal")):
                at = int(y.at(share * 100))
                says = (
                    f"nominal {level:g}"
                    if kind == "nominal"
                    else f"exact 95 % interval of coverage: {low:.4f} to {high:.4f}"
                )
                parts.append(path(f"M{x.start:.0f} {at}H{x.end:.0f}", kind, says))
            parts.append(text(x.end, y.start + 48, f"coverage {one.covered / one.many:.4f}", "end"))
    return figure(46 + wide * len(methods), HEIGHT + 94, *parts, title="Zip plot: intervals ranked by |error| / SE")


def _segments(one: Intervals, which: np.ndarray, x: Scale, y: Scale, kind: str, title: str) -> str:
    lower, upper, at = x.at(one.lower[which]), x.at(one.upper[which]), y.at(one.percentile[which])
    return path(segments(lower, upper, at), kind, title)
