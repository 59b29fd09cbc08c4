"""Curves as SVG: panels side by side, both axes logarithmic."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#000000",
)  # told apart by the colour-blind too
WIDTH, HEIGHT = 370, 300  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 34, 46  # around its axes
LINE = 16  # of the legend


@dataclass(frozen=True)
class Panel:
    """title, x and y: texts. curves: by what the legend calls them, points above 0 that have one x each."""

    title: str
    x: str
    y: str
    curves: Mapping[str, Points]


def svg(panels: Sequence[Panel]) -> str:
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    width, height = WIDTH * len(panels), HEIGHT + LINE * math.ceil(len(names) / 2) + 8
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for i, panel in enumerate(panels):
        out += [f'<g transform="translate({i * WIDTH} 0)">', *_panel(panel, colours), "</g>"]
    for i, name in enumerate(names):
        x, y = LEFT + (i % 2) * width / 2, HEIGHT + LINE * (i // 2) + 8
        out.append(f'<path d="M{x:g} {y:g}h24" stroke="{colours[name]}" stroke-width="2"/>')
        out.append(f'<text x="{x + 30:g}" y="{y + 4:g}">{escape(name)}</text>')
    return "\n".join([*out, "</svg>", ""])


def _panel(panel: Panel, colours: Mapping[str, str]) -> list[str]:
    x, x_marks = _axis([p[0] for points in panel.curves.values() for p in points], LEFT, WIDTH - RIGHT)
    y, y_marks = _axis([p[1] for points in panel.curves.values() for p in points], HEIGHT - BOTTOM, TOP)
    out = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(panel.title)}</text>']
    for mark in x_marks:
        at = x(mark)
        out.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_label(mark)}</text>')
    for mark in y_marks:
        at = y(mark)
        out.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_label(mark)}</text>')
    middle, centre = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    out.append(f'<text x="{middle:g}" y="{HEIGHT - 8}" text-anchor="middle">{escape(panel.x)}</text>')
    turned = f'transform="translate(14 {centre:g}) rotate(-90)"'
    out.append(f'<text {turned} text-anchor="middle">{escape(panel.y)}</text>')
    for name, points in panel.curves.items():
        places = [(x(a), y(b)) for a, b in sorted(points)]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colours[name]}"/>' for a, b in places]
    return out


def _axis(values: Sequence[float], begin: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """Where a value lies between begin and end, and the values that get a mark."""
    low, high = math.log10(min(values, default=1)), math.log10(max(values, default=1))
    first, last = math.floor(low + 1e-9), math.ceil(high - 1e-9)
    if last == first:
        last += 1
    marks = [10.0**power for power in range(first, last + 1)]
    if last - first <= 2:
        marks = sorted(by * mark for mark in marks[:-1] for by in (1, 2, 5)) + marks[-1:]
    return lambda value: begin + (end - begin) * (math.log10(value) - first) / (last - first), marks


def _label(mark: float) -> str:
    if mark < 1e4:
        return f"{mark:,.0f}" if mark >= 1 else f"{mark:g}"
    power = math.floor(math.log10(mark) + 1e-9)
    return f"{mark / 10**power:.0f}e{power}"
