"""Raw estimates of each method beside each other, with their mean and the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .svg import COLOURS, axes, dots, figure, number, path, scale, short, text

WIDTH, STEP = 480, 44
LEFT = 150


@dataclass(frozen=True)
class Estimates:
    """Some estimates of one method. mean: of all. many: how many there are in all."""

    name: str
    values: np.ndarray
    mean: float
    many: int


def strip(methods: Sequence[Estimates], truth: float | None = None) -> str:
    """A row of points for each method; the points are spread so that they do not hide each other."""
    height = STEP * len(methods)
    x = scale([*(one.values for one in methods), *([] if truth is None else [truth])], LEFT, LEFT + WIDTH)
    parts = [axes(x, scale([0, 1], 20 + height, 20), "estimate", show_y=False)]
    for i, one in enumerate(methods):
        middle = 20 + STEP * i + STEP // 2
        spread = (np.arange(len(one.values)) * 0.6180339887 % 1 - 0.5) * (STEP - 16)  # the same on each drawing
        y = (middle + np.rint(spread)).astype(int)
        says = f"{one.name or 'estimates'}: {len(one.values):,} of {one.many:,} estimates, mean {number(one.mean)}"
        parts.append(text(LEFT - 8, middle + 4, short(one.name, 22), "end"))
        parts.append(path(dots(x.at(one.values), y), f"c{i % COLOURS} points", says))
        parts.append(path(f"M{int(x.at(one.mean))} {middle - 18}v36", "mean", says))
    if truth is not None:
        parts.append(path(f"M{int(x.at(truth))} 20v{height}", "truth", f"truth: {truth:g}"))
    return figure(LEFT + WIDTH + 20, height + 62, *parts, title="Estimates by method")
