"""Differences between two methods against their mean, estimate by estimate (Bland and Altman 1986)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .svg import COLOURS, Scale, axes, dots, figure, path, scale, short

SIZE = 240


@dataclass(frozen=True)
class Pairs:
    """Some pairs of estimates of one data set. mean, sd: of all differences. many: how many pairs there are."""

    name: str
    other: str
    first: np.ndarray
    second: np.ndarray
    mean: float
    sd: float
    many: int


def differences(pairs: Sequence[Pairs]) -> str:
    """A panel for each pair of methods, with the mean difference and mean ± 1.96 sd."""
    wide = SIZE + 66
    parts = []
    for i, one in enumerate(pairs):
        x = scale([(one.first + one.second) / 2], 60 + i * wide, 60 + i * wide + SIZE)
        lines = [one.mean, one.mean - 1.96 * one.sd, one.mean + 1.96 * one.sd]
        y = scale([one.first - one.second, lines, 0], 44 + SIZE, 44)
        parts.append(axes(x, y, "mean of both", title=short(f"{one.name} \u2212 {one.other}", 34)))
        says = f"{len(one.first):,} of {one.many:,} pairs, mean difference {one.mean:.4g}, sd {one.sd:.4g}"
        parts.append(
            path(dots(x.at((one.first + one.second) / 2), y.at(one.first - one.second)), f"c{i % COLOURS} points", says)
        )
        parts += _levels(x, y, lines)
    return figure(60 + wide * len(pairs), SIZE + 90, *parts, title="Differences between methods")


def _levels(x: Scale, y: Scale, lines: Sequence[float]) -> list[str]:
    names = ("mean difference", "mean \u2212 1.96 sd", "mean + 1.96 sd")
    kinds = ("mean", "bound", "bound")
    return [
        path(f"M{x.start:.0f} {int(y.at(value))}H{x.end:.0f}", kind, f"{name}: {value:.4g}")
        for value, kind, name in zip(lines, kinds, names, strict=True)
    ]
