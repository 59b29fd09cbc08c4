"""A measure and its Monte Carlo standard error as the replications grow: whether there are enough of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .svg import COLOURS, axes, figure, legend, path, polyline, scale, short

WIDTH, HEIGHT = 480, 200


@dataclass(frozen=True)
class Course:
    """A mean after each of some numbers of replications."""

    name: str
    many: np.ndarray
    mean: np.ndarray
    mcse: np.ndarray

    def band(self, share: bool) -> tuple[np.ndarray, np.ndarray]:
        """± 1.96 MCSE. share: within 0 and 1."""
        low, high = self.mean - 1.96 * self.mcse, self.mean + 1.96 * self.mcse
        return (np.maximum(low, 0.0), np.minimum(high, 1.0)) if share else (low, high)


def course(name: str, values: np.ndarray, points: int = 30) -> Course:
    """The mean of the first values, at about as many points. values: of replications in their order, without missing ones."""
    many = np.unique(np.linspace(min(10, len(values)), len(values), points).astype(int))
    many = many[many > 1]
    first, second = np.cumsum(values), np.cumsum((values - values.mean()) ** 2) if len(values) else values
    shift = np.cumsum(values - values.mean()) if len(values) else values
    at = many - 1
    variance = (second[at] - shift[at] ** 2 / many) / np.maximum(many - 1, 1)
    return Course(name, many, first[at] / many, np.sqrt(np.maximum(variance, 0) / many))


def convergence(measure: str, methods: Sequence[Course], nominal: float | None = None, share: bool = False) -> str:
    """A line with a band of ± 1.96 MCSE for each method. share: it is a proportion."""
    bands = [end for one in methods for end in one.band(share)]
    x = scale([0, *(one.many for one in methods)], 64, 64 + WIDTH)
    y = scale([*bands, *([] if nominal is None else [nominal])], 36 + HEIGHT, 36)
    parts = [axes(x, y, "replications", measure)]
    for i, one in enumerate(methods):
        low, high = map(y.at, one.band(share))
        at = x.at(one.many)
        band = polyline(np.r_[at, at[::-1]], np.r_[low, high[::-1]])
        parts.append(path(band and band + "Z", f"c{i % COLOURS} band", f"{one.name} ± 1.96 MCSE"))
        parts.append(path(polyline(at, y.at(one.mean)), f"c{i % COLOURS}", one.name or measure))
    if nominal is not None:
        parts.append(path(f"M64 {int(y.at(nominal))}h{WIDTH}", "truth", f"nominal: {nominal:g}"))
    shown = [one.name for one in methods if one.name]
    parts.append(legend(list(map(short, shown)), 64 + WIDTH + 16, 44))
    return figure(64 + WIDTH + (210 if shown else 20), HEIGHT + 84, *parts, title=f"{measure} against replications")
