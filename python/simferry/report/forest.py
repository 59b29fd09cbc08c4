"""Forest plot: a measure with its Monte Carlo interval (estimate ± 1.96 MCSE), by condition and method. A line is the nominal value."""

from collections.abc import Sequence

import numpy as np

from .svg import COLOURS, axes, escaped, figure, legend, path, scale, short, text

WIDTH, LETTERS = 480, 48  # of the plot; and of a condition's name


def forest(
    name: str,
    conditions: Sequence[str],
    methods: Sequence[str],
    estimate: np.ndarray,
    mcse: np.ndarray,
    nominal: float | None = None,
) -> str:
    """estimate, mcse: arrays of conditions x methods; NaN where there is none. conditions, methods: their names."""
    names = [short(one, LETTERS) for one in conditions]
    left = 24 + round(7.5 * max(map(len, names), default=0))
    step = 7 if len(methods) > 1 else 12
    tall = max(14, step * len(methods) + 6)
    half = np.where(np.isfinite(mcse), 1.96 * mcse, 0.0)
    ends = [estimate - half, estimate + half]
    x = scale([*ends, *([] if nominal is None else [nominal])], left, left + WIDTH)
    top, height = 40, tall * len(conditions)
    y = scale([0, 1], top + height, top)
    parts = [axes(x, y, name, show_y=False)]
    if nominal is not None:
        parts.append(path(f"M{int(x.at(nominal))} {top}v{height}", "truth", f"nominal: {nominal:g}"))
    low, middle, high = (x.at(np.nan_to_num(one, nan=x.low)) for one in (ends[0], estimate, ends[1]))
    for i, condition in enumerate(conditions):
        at = top + i * tall
        parts.append(text(left - 8, at + tall / 2 + 4, names[i], "end"))
        for j, method in enumerate(methods):
            if np.isfinite(estimate[i, j]):
                row = at + tall // 2 + round((j - (len(methods) - 1) / 2) * step)
                says = f"{condition}, {method}: " if method else f"{condition}: "
                says += f"{estimate[i, j]:.4g}" + (f" (MCSE {mcse[i, j]:.2g})" if np.isfinite(mcse[i, j]) else "")
                parts.append(
                    f'<g class="c{j % COLOURS}"><title>{escaped(says)}</title>'
                    f'<path d="M{low[i, j]} {row}H{high[i, j]}"/><path class="dot" d="M{middle[i, j]} {row}h0"/></g>'
                )
    shown = [one for one in methods if one]
    parts.append(legend(list(map(short, shown)), left + WIDTH + 16, top + 8))
    wide = left + WIDTH + (210 if shown else 20)
    return figure(
        wide, max(top + height + 40, top + 16 * len(shown) + 20), *parts, title=f"{name}, estimate ± 1.96 MCSE"
    )
