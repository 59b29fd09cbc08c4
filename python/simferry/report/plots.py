"""Figures by matplotlib, of the data that the page's figures have. Each function draws one kind and returns its axes, by row and column."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import UsageError
from ..hints import Extra
from .figure_data import FigureData
from .svg import number, short

COLOURS = (
    "#1f6fb4",
    "#d1641a",
    "#7c0370",
    "#40a59b",
    "#bc2e69",
    "#763f0c",
    "#8a82f6",
    "#1933b0",
)  # as c0 to c7 of style.css
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")  # colours are never alone in telling methods apart
DASHES = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)), (0, (10, 3)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1)), "-")
INK, SOFT, BAD = "#1c2127", "#5a6572", "#c22f1d"
WIDEST = 34  # characters of a name in a figure
STYLE: Any = {  # of rcParams
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "text.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 8,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "font.size": 8,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "text.parse_math": False,  # a $ in the name of a method is one
    "text.usetex": False,
}
Grid = Any  # matplotlib's Axes in a numpy array of rows x columns


def drawn(figure: FigureData) -> Any:
    """The axes of a figure: one Axes, or an array of them. Raises UsageError where matplotlib is not installed."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise UsageError(f"figures need matplotlib, which is not installed ({error})", Extra("plot")) from None
    with plt.rc_context(STYLE):
        axes = _DRAWN[figure.kind](figure)
    return axes[0, 0] if axes.size == 1 else axes


# ---- panels and names ----


def _grid(rows: int, columns: int, wide: float, tall: float, **options: Any) -> Grid:
    """Axes of rows x columns, each so many inches wide and tall."""
    import matplotlib.pyplot as plt

    size = (wide * columns + 0.9, tall * rows + 0.7)
    return plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **options)[1]


def _name(words: object, width: int = WIDEST) -> str:
    """A name of the user's, in at most two lines."""
    lines = textwrap.wrap(short(words, 2 * width), width)
    return "\n".join([*lines[:1], short(" ".join(lines[1:]), width)] if len(lines) > 1 else lines)


def _interval(measure: str) -> str:
    """What an axis shows of a measure."""
    return f"{_name(measure, 32)}{' ' if len(measure) <= 22 else chr(10)}± 1.96 MCSE"


def _head(ax: Any, *names: str) -> None:
    """A method above a column of panels; or the two whose difference they show."""
    one_line = " \u2212 ".join(names)
    lines = one_line if len(one_line) <= 30 else " \u2212\n".join(_name(name, 30) for name in names)
    if lines:
        ax.annotate(
            lines, (0.5, 1), (0, 30), xycoords="axes fraction", textcoords="offset points", ha="center", va="bottom",
            color=INK, fontsize=9, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _beside(ax: Any, label: str) -> None:
    """A condition's name, at the right of its row of panels."""
    if label:
        tall = ax.get_position().height * ax.figure.get_figheight()
        ax.annotate(
            _name(label, max(16, int(13 * tall))), (1.01, 0.5), xycoords="axes fraction", rotation=270, va="center", ha="left", color=INK,
            fontsize=9, annotation_clip=False,
        )  # fmt: skip


def _legend(
    ax: Any, figure: FigureData, methods: Sequence[str], style: Callable[[int], dict[str, Any]], also: Any = ()
) -> None:
    """The methods above all panels, in as many columns as there is room for. also: further handles, with what they are."""
    named = [one for one in methods if one]
    handles = [_handle(style(figure.methods.index(one))) for one in named] + [one for one, _ in also]
    # a label with a leading _ would be left out
    labels = ["\u200b" + _name(one) for one in named] + [says for _, says in also]
    if handles:
        widest = max(len(line) for one in labels for line in one.split("\n"))
        columns = max(1, int(ax.figure.get_figwidth() * 11 / (widest + 6)))
        ax.figure.legend(handles, labels, loc="outside upper center", ncols=min(columns, len(labels)))


def _rows(figure: FigureData, *names: str) -> list[tuple[Any, ...]]:
    """The different values of some columns of the panels, in their order."""
    return list(dict.fromkeys(zip(*(figure.panels[name].to_pylist() for name in names), strict=True)))


def _marks(figure: FigureData, **where: Any) -> dict[str, np.ndarray]:
    """The marks that have some values, by column."""
    columns = {name: figure.data[name].to_numpy() for name in figure.data.column_names}
    keep = np.logical_and.reduce([columns[name] == value for name, value in where.items()])
    return {name: values[keep] for name, values in columns.items()}


def _nothing(ax: Any, what: str) -> None:
    ax.text(0.5, 0.5, what, transform=ax.transAxes, ha="center", va="center", color=SOFT)


def _many(panel: dict[str, Any], drawn: int) -> str:
    """How many values there are, of how many replications, and how many of them are drawn."""
    of_all = f" of {panel['replications']:,}" if panel["many"] < panel["replications"] else ""
    return f"{panel['many']:,}{of_all} replications" + (f", {drawn:,} drawn" if drawn < panel["many"] else "")


def _colour(number_of_method: int) -> str:
    return COLOURS[number_of_method % len(COLOURS)]


# ---- single estimates ----


def _zip(figure: FigureData) -> Grid:
    conditions, methods = _rows(figure, "condition", "label"), [one for (one,) in _rows(figure, "method")]
    axes = _grid(len(conditions), len(methods), 2.5, 2.9 if len(conditions) < 3 else 2.3, sharex="row", sharey=True)
    panels = {(one["condition"], one["method"]): one for one in figure.panels.to_pylist()}
    for i, (condition, label) in enumerate(conditions):
        for j, method in enumerate(methods):
            _zip_panel(axes[i, j], panels[condition, method], _marks(figure, condition=condition, method=method))
            if i == 0:
                _head(axes[i, j], method)
        _beside(axes[i, -1], label)
        axes[i, 0].set_ylabel("percentile of |error| / SE")
    for ax in axes[-1]:
        ax.set_xlabel("interval \u2212 truth")
    return axes


def _zip_panel(ax: Any, panel: dict[str, Any], marks: dict[str, np.ndarray]) -> None:
    ax.set_ylim(0, 101)
    if not panel["many"]:
        _nothing(ax, "no intervals")
        return
    covers = marks["covers"]
    for which, colour, name in ((covers, COLOURS[0], "covers"), (~covers, BAD, "misses")):
        rows = [marks[part][which] for part in ("percentile", "lower", "upper")]
        ax.hlines(*rows, color=colour, alpha=0.6 if name == "covers" else 0.9, linewidth=0.6, label=name)
    ax.axvline(0, color=INK, linestyle=(0, (5, 4)), linewidth=0.9, label="truth")
    for name in ("low", "high"):
        ax.axhline(
            100 * panel[name], color=INK, linestyle=(0, (1, 1.5)), linewidth=0.9, label=f"{name} end of coverage"
        )
    ax.axhline(100 * panel["nominal"], color=INK, linewidth=0.9, label="nominal")
    ax.set_title(f"coverage {panel['coverage']:.4f}\n{_many(panel, len(covers))}")


def _estimates(figure: FigureData) -> Grid:
    conditions, methods = _rows(figure, "condition", "label"), [one for (one,) in _rows(figure, "method")]
    axes = _grid(len(conditions), 1, 5.4, 0.5 * len(methods) + 0.8)
    panels = {(one["condition"], one["method"]): one for one in figure.panels.to_pylist()}
    for ax, (condition, label) in zip(axes[:, 0], conditions, strict=True):
        for j, method in enumerate(methods):
            _strip(ax, j, panels[condition, method], _marks(figure, condition=condition, method=method)["estimate"],
                   _colour(figure.methods.index(method)))  # fmt: skip
        truth = panels[condition, methods[0]]["truth"]
        if truth is not None:
            ax.axvline(truth, color=INK, linestyle=(0, (5, 4)), linewidth=0.9, label="truth")
        _beside(ax, label)
        ax.set_xlabel("estimate")
        ax.set_ylim(len(methods) - 0.45, -0.55)
        ax.set_yticks(range(len(methods)), [_name(one, 24) for one in methods], color=INK)
        ax.tick_params(axis="y", length=0)
    return axes


def _strip(ax: Any, row: int, panel: dict[str, Any], values: np.ndarray, colour: str) -> None:
    many, says = panel["many"], _many(panel, len(values))
    at = ax.get_yaxis_transform()
    ax.text(1, row - 0.44, says if many else "no estimates", transform=at, ha="right", va="center", color=SOFT)
    if many:
        spread = (np.arange(len(values)) * 0.6180339887 % 1 - 0.5) * 0.6  # the same on each drawing
        ax.plot(values, row + spread, ".", color=colour, alpha=0.45, markersize=3.5, markeredgewidth=0)
        ax.plot([panel["mean"]] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=1.8, label="mean")


def _convergence(figure: FigureData) -> Grid:
    conditions, measures = _rows(figure, "condition", "label"), [one for (one,) in _rows(figure, "measure")]
    axes = _grid(len(conditions), len(measures), 3.9, 2.3, sharex="row")
    nominal = dict(_rows(figure, "measure", "nominal"))
    methods = list(dict.fromkeys(figure.data["method"].to_pylist()))
    for i, (condition, label) in enumerate(conditions):
        for j, measure in enumerate(measures):
            ax = axes[i, j]
            for method in methods:
                marks = _marks(figure, condition=condition, measure=measure, method=method)
                at = figure.methods.index(method)
                ax.fill_between(
                    marks["replications"], marks["lower"], marks["upper"], color=_colour(at), alpha=0.16, linewidth=0
                )
                ax.plot(marks["replications"], marks["estimate"], **_line(at), label=method)
            there = _marks(figure, condition=condition, measure=measure)["method"]
            if gone := [one for one in methods if one not in there]:
                says = "no estimates" + (": " + _name(", ".join(gone), 40) if any(gone) else "")
                ax.text(0.99, 0.98, says, transform=ax.transAxes, ha="right", va="top", color=BAD)
            if nominal[measure] is not None:
                ax.axhline(nominal[measure], color=INK, linestyle=(0, (5, 4)), linewidth=0.9, label="nominal")
            ax.set_ylabel(_interval(measure))
            ax.margins(x=0.02)
        _beside(axes[i, -1], label)
    for ax in axes[-1]:
        ax.set_xlabel("replications")
    _legend(axes[0, 0], figure, methods, _line)
    return axes


def _line(at: int) -> dict[str, Any]:
    return {"color": _colour(at), "linestyle": DASHES[at % len(DASHES)], "linewidth": 1.4}


def _handle(style: dict[str, Any]) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **style)


def _differences(figure: FigureData) -> Grid:
    conditions, methods = _rows(figure, "condition", "label"), [one for (one,) in _rows(figure, "method")]
    axes = _grid(len(conditions), len(methods), 2.9, 2.7 if len(conditions) < 3 else 2.3, sharey="row")
    panels = {(one["condition"], one["method"]): one for one in figure.panels.to_pylist()}
    for i, (condition, label) in enumerate(conditions):
        for j, method in enumerate(methods):
            ax, panel = axes[i, j], panels[condition, method]
            if i == 0:
                _head(ax, method, panel["reference"])
            if panel["many"]:
                marks = _marks(figure, condition=condition, method=method)
                _pairs(ax, panel, marks, _colour(figure.methods.index(method)))
            else:
                _nothing(ax, "no pairs")
        axes[i, 0].set_ylabel("difference")
        _beside(axes[i, -1], label)
    for ax in axes[-1]:
        ax.set_xlabel("mean of both")
    return axes


def _pairs(ax: Any, panel: dict[str, Any], marks: dict[str, np.ndarray], colour: str) -> None:
    ax.axhline(0, color=SOFT, linewidth=0.6, label="no difference")
    ax.plot(marks["mean"], marks["difference"], ".", color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
    for name, style, width in (("mean", "-", 1.5), ("lower", (0, (1, 1.5)), 1.1), ("upper", (0, (1, 1.5)), 1.1)):
        ax.axhline(panel[name], color=INK, linestyle=style, linewidth=width, label=name)
    ax.set_title(f"mean {number(panel['mean'])}, sd {number(panel['sd'])}\n{_many(panel, len(marks['mean']))}")


# ---- measures ----


def _forest(figure: FigureData) -> Grid:
    """Forest plots, and lolly plots, which have a stem from the nominal value and parentheses as the ends of intervals."""
    conditions = list(
        dict.fromkeys(zip(*(figure.data[name].to_pylist() for name in ("condition", "label")), strict=True))
    )
    methods = list(dict.fromkeys(figure.data["method"].to_pylist()))
    measures = _rows(figure, "measure", "nominal")
    single, crosses = len(conditions) == 1, False
    step = 0.8 / len(methods)  # between the methods of a condition, which are 1 apart
    tall = 0.17 * len(conditions) * (len(methods) + 0.7) + 0.75
    axes = _grid(1, len(measures), 2.9, tall, sharey=True)
    for ax, (measure, nominal) in zip(axes[0], measures, strict=True):
        for i in range(1, len(conditions), 2):
            ax.axhspan(i - 0.5, i + 0.5, color="#f0f2f5", zorder=0, linewidth=0)
        if nominal is not None:
            ax.axvline(nominal, color=INK, linestyle=(0, (5, 4)), linewidth=0.9, label="nominal", zorder=1)
        for j, method in enumerate(methods):
            rows = np.arange(len(conditions)) + (j - (len(methods) - 1) / 2) * step
            marks = _marks(figure, measure=measure, method=method)
            crosses |= _measured(ax, marks, rows, figure.methods.index(method), figure.kind == "lolly", nominal)
        ax.set_xlabel(_interval(measure))
        ax.margins(x=0.08)
        ax.tick_params(axis="y", length=0)
    rows = (np.arange(len(methods)) - (len(methods) - 1) / 2) * step if single else np.arange(1.0 * len(conditions))
    names = methods if single else [label for _, label in conditions]
    axes[0, 0].set_yticks(rows, [_name(one, 30) for one in names], color=INK)
    axes[0, 0].set_ylim(len(conditions) - 0.5, -0.5)
    if not single:
        _legend(axes[0, 0], figure, methods, _marker, [(_handle(_NONE), "no value")] if crosses else [])
    return axes


def _measured(
    ax: Any, marks: dict[str, np.ndarray], rows: np.ndarray, at: int, is_lolly: bool, nominal: float | None
) -> bool:
    """The estimates of a measure of one method. Where there is none, though other conditions have it, a cross at the edge
    says so. Returns whether there are crosses."""
    estimate, lower, upper, colour = marks["estimate"], marks["lower"], marks["upper"], _colour(at)
    there = np.isfinite(estimate)
    if is_lolly and nominal is not None:
        ax.hlines(rows[there], nominal, estimate[there], color=colour, linewidth=1.2, alpha=0.55)
    if is_lolly:
        for ends, turned in ((lower, 1), (upper, -1)):
            ax.plot(
                ends,
                rows,
                linestyle="none",
                marker=_parenthesis(turned),
                color=colour,
                markersize=6,
                markerfacecolor="none",
            )
    else:
        ax.hlines(rows, lower, upper, color=colour, linewidth=1.4)
    ax.plot(estimate, rows, **_marker(at), label=str(marks["method"][0]))
    gone = rows[~there] if there.any() else rows[:0]
    ax.plot(np.full(len(gone), 0.012), gone, **_NONE, transform=ax.get_yaxis_transform(), label="none")
    return bool(len(gone))


_NONE = {"color": BAD, "marker": "x", "markersize": 4, "linestyle": "none"}


def _parenthesis(turned: int) -> Any:
    from matplotlib.path import Path

    arc = Path.arc(140, 220)
    vertices = np.array(arc.vertices)
    vertices[:, 0] = turned * (vertices[:, 0] + 0.88)
    return Path(vertices, arc.codes)


def _marker(at: int) -> dict[str, Any]:
    return {"color": _colour(at), "marker": MARKERS[at % len(MARKERS)], "markersize": 4.2, "linestyle": "none"}


def _nested_loop(figure: FigureData) -> Grid:
    """A panel for each measure, and one below with the steps of the parameters."""
    import matplotlib.pyplot as plt

    measures, methods = _rows(figure, "measure", "nominal"), list(dict.fromkeys(figure.data["method"].to_pylist()))
    steps = [] if figure.loops is None else list(dict.fromkeys(figure.loops["parameter"].to_pylist()))
    heights = [2.5] * len(measures) + ([0.42 * len(steps) + 0.1] if steps else [])
    many = int(np.max(figure.data["position"].to_numpy()))
    _, axes = plt.subplots(
        len(heights), 1, figsize=(max(6.0, min(0.12 * many + 3, 12.0)), sum(heights) + 0.6), squeeze=False, sharex=True,
        layout="constrained", height_ratios=heights,
    )  # fmt: skip
    edges = np.arange(many + 1) + 0.5
    for ax, (measure, nominal) in zip(axes[:, 0], measures, strict=False):
        for method in methods:
            marks = _marks(figure, measure=measure, method=method)
            ax.stairs(marks["estimate"], edges, baseline=None, **_line(figure.methods.index(method)), label=method)
        if nominal is not None:
            ax.axhline(nominal, color=INK, linestyle=(0, (5, 4)), linewidth=0.9, label="nominal")
        ax.set_ylabel(measure)
    axes[0, 0].set_xlim(edges[0], edges[-1])
    if steps:
        _loops(axes[-1, 0], figure, steps, edges)
    axes[-1, 0].set_xlabel("conditions" + (", in the order of their parameters" if steps else ""))
    _legend(axes[0, 0], figure, methods, _line)
    return axes


def _loops(ax: Any, figure: FigureData, steps: Sequence[str], edges: np.ndarray) -> None:
    assert figure.loops is not None
    columns = {name: figure.loops[name].to_numpy() for name in figure.loops.column_names}
    for i, name in enumerate(steps):
        which = columns["parameter"] == name
        ax.stairs(
            i + 0.1 + 0.4 * (1 - columns["level"][which]), edges, baseline=None, color=SOFT, linewidth=1.2, label=name
        )
        values = ", ".join(dict.fromkeys(columns["value"][which][np.argsort(columns["level"][which], kind="stable")]))
        ax.text(edges[0], i - 0.08, short(f"{name}: {values}", 90), va="center", color=INK)
    ax.set_ylim(len(steps) - 0.3, -0.3)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


_DRAWN: dict[str, Callable[[FigureData], Grid]] = {
    "zip": _zip,
    "forest": _forest,
    "lolly": _forest,
    "nested_loop": _nested_loop,
    "estimates": _estimates,
    "convergence": _convergence,
    "differences": _differences,
}
