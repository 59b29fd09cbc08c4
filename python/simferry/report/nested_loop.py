"""Nested loop plot (Rücker and Schwarzer 2014): a measure over all conditions in the order of their parameters, whose values are below."""

from collections.abc import Mapping, Sequence

import numpy as np

from .svg import COLOURS, Scale, axes, figure, legend, path, polyline, scale, short, text

WIDTH, HEIGHT, LOOP = 760, 260, 34


def loops(parameters: Mapping[str, Sequence[object]], many: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The order of the conditions, and by parameter its height in each of them in that order, from 0 to 1.

    parameters: by name the value of each of `many` conditions; these are sorted by the first, then the second ..., each in the order in
    which its values come."""
    ranks = {one: {value: i for i, value in enumerate(dict.fromkeys(values))} for one, values in parameters.items()}
    codes = {one: np.array([ranks[one][value] for value in values]) for one, values in parameters.items()}
    order = np.lexsort([*reversed(codes.values())]) if codes else np.arange(many)
    return order, {name: codes[name][order] / max(len(ranks[name]) - 1, 1) for name in codes}


def nested_loop(
    name: str,
    parameters: Mapping[str, Sequence[object]],
    methods: Sequence[str],
    estimate: np.ndarray,
    nominal: float | None = None,
) -> str:
    """estimate: array of conditions x methods. parameters: as for `loops`."""
    order, levels = loops(parameters, len(estimate))
    many = len(order)
    x = Scale(0, max(many, 1), 60, 60 + WIDTH)
    y = scale([estimate, *([] if nominal is None else [nominal])], 40 + HEIGHT, 40)
    parts = [axes(x, y, y_name=name, show_x=False)]
    if nominal is not None:
        parts.append(path(f"M{x.start:.0f} {int(y.at(nominal))}H{x.end:.0f}", "truth", f"nominal: {nominal:g}"))
    edges = x.at(np.arange(many + 1))
    for j, method in enumerate(methods):
        values = estimate[order, j]
        high = np.where(np.isfinite(values), y.at(np.nan_to_num(values)), np.nan)
        d = polyline(np.repeat(edges, 2)[1:-1].astype(float), np.repeat(high, 2))
        parts.append(path(d, f"c{j % COLOURS}", method or name))
    for i, (parameter, values) in enumerate(parameters.items()):
        base = 40 + HEIGHT + 18 + LOOP * (i + 1)
        high = base - 4 - np.rint(levels[parameter] * (LOOP - 18))
        d = polyline(np.repeat(edges, 2)[1:-1].astype(float), np.repeat(high, 2))
        listed = ", ".join(map(str, dict.fromkeys(values)))
        parts.append(path(d, "loop", f"{parameter}: {listed}"))
        parts.append(text(x.start, base - LOOP + 12, f"{parameter}: {short(listed, 90)}"))
    shown = [one for one in methods if one]
    parts.append(legend(list(map(short, shown)), x.end + 16, 48))
    wide, tall = x.end + (210 if shown else 20), 40 + HEIGHT + 30 + LOOP * len(parameters)
    return figure(wide, tall, *parts, title=f"{name} over all conditions")
