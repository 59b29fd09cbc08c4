"""Figures as SVG: scales, axes and marks. Coordinates are whole pixels, which keeps figures small; texts are escaped."""

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

COLOURS = 8  # classes c0 to c7 of the page's style
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def escaped(value: object) -> str:
    """Text for HTML and SVG, also inside of attributes; characters that these can't hold are replaced."""
    return html.escape(_UNSEEN.sub("\ufffd", str(value)), quote=True)


def number(value: float) -> str:
    """A number of an axis or of a title."""
    return f"{value:.4g}".replace("-", "\u2212")


@dataclass(frozen=True)
class Scale:
    """Values from low to high are at the pixels from start to end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, values: "np.ndarray | Sequence[float] | float") -> np.ndarray:
        """The pixels of values; those outside are at the edge."""
        share = (np.asarray(values, dtype=float) - self.low) / (self.high - self.low)
        return np.rint(self.start + np.clip(share, 0, 1) * (self.end - self.start)).astype(int)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the scale."""
        rough = (self.high - self.low) / about
        power = 10.0 ** math.floor(math.log10(rough))
        step = power * next(one for one in (1, 2, 5, 10) if one * power >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 12) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def scale(values: Iterable[object], start: float, end: float) -> Scale:
    """A scale of all finite values of arrays and numbers, with a margin."""
    some = np.concatenate([np.ravel(np.asarray(one, dtype=float)) for one in values] or [np.zeros(1)])
    some = some[np.isfinite(some) & (np.abs(some) < 1e150)]
    low, high = (float(some.min()), float(some.max())) if len(some) else (0.0, 1.0)
    margin = (high - low) * 0.05 or abs(low) * 0.1 or 1.0
    return Scale(low - margin, high + margin, start, end)


def text(x: float, y: float, words: object, kind: str = "") -> str:
    """A text at a point. kind: a class of the page's style: middle and end say where the point is, head is a heading."""
    extra = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.0f}" y="{y:.0f}"{extra}>{escaped(words)}</text>'


def path(d: str, kind: str, title: str = "") -> str:
    """A path; nothing where there is none."""
    inside = f"<title>{escaped(title)}</title>" if title else ""
    return f'<path class="{kind}" d="{d}">{inside}</path>' if d else ""


def polyline(x: np.ndarray, y: np.ndarray) -> str:
    """The data of a path through points; it is broken where one is not finite."""
    out, drawing = [], False
    for one, other in zip(x.tolist(), y.tolist(), strict=True):
        fits = math.isfinite(one) and math.isfinite(other)
        out.append(f"{'L' if drawing else 'M'}{one:.0f} {other:.0f}" if fits else "")
        drawing = fits
    return "".join(out)


def dots(x: np.ndarray, y: np.ndarray) -> str:
    """The data of a path of points, which the style's round caps show."""
    return segments(x, x, y)


def segments(begin: np.ndarray, end: np.ndarray, y: np.ndarray) -> str:
    """The data of a path of horizontal segments, from below. Moves are relative, and small numbers pack well."""
    order = np.lexsort((begin, -y))
    begin, end, y = begin[order], end[order], y[order]
    across, down = begin - np.r_[0, end[:-1]], y - np.r_[0, y[:-1]]
    rows = zip(across.tolist(), down.tolist(), (end - begin).tolist(), strict=True)
    return "".join(f"m{a} {b}h{c}" for a, b, c in rows)


def axes(
    x: Scale, y: Scale, x_name: str = "", y_name: str = "", title: str = "", show_x: bool = True, show_y: bool = True
) -> str:
    """Two axes with their ticks; y.start is below."""
    marks, below, beside = [f"M{x.start:.0f} {y.end:.0f}V{y.start:.0f}H{x.end:.0f}"], [], []
    for tick in x.ticks(4) if show_x else ():
        at = int(x.at(tick))
        marks.append(f"M{at} {y.start:.0f}v4")
        below.append(text(at, y.start + 16, number(tick)))
    for tick in y.ticks() if show_y else ():
        at = int(y.at(tick))
        marks.append(f"M{x.start:.0f} {at}h-4")
        beside.append(text(x.start - 7, at + 4, number(tick)))
    middle = (x.start + x.end) / 2
    below += [text(middle, y.start + 33, x_name)] if x_name else []
    out = [
        path("".join(marks), "axis"),
        f'<g class="middle">{"".join(below)}</g>',
        f'<g class="end">{"".join(beside)}</g>',
    ]
    out += [text(x.start - 40, y.end - 24 if title else y.end - 10, y_name)] if y_name else []
    return "".join(out + ([text(middle, y.end - 8, title, "head")] if title else []))


def figure(width: float, height: float, *parts: str, title: str = "") -> str:
    """An SVG. title: what it shows, for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{escaped(title)}">'
        f"{''.join(parts)}</svg>"
    )


def legend(names: Sequence[str], x: float, y: float) -> str:
    """The colours of methods, one below the other."""
    return "".join(
        f'<path class="c{i % COLOURS} thick" d="M{x:.0f} {y + 16 * i:.0f}h18"></path>'
        + text(x + 24, y + 16 * i + 4, name)
        for i, name in enumerate(names)
    )


def short(words: object, most: int = 28) -> str:
    """A text for a narrow place."""
    shown = " ".join(str(words).split())
    return shown if len(shown) <= most else shown[: most - 1] + "\u2026"
