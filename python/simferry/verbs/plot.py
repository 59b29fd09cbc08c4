"""Figures of a run, or of any table."""

from typing import Any

from ..report.figure_data import FigureData, figure_of
from .measures import made
from .measuring import told


def plot(data: Any, kind: str, *, conditions: Any = None, methods: Any = None, **options: Any) -> Any:
    """Draw a figure of a run, or of any table, with matplotlib.

    data: as for `simferry.measures`. kind: of single estimates "zip" (intervals by the rank of |error| / SE), "estimates" (of each method),
    "convergence" (of bias or mean, and coverage; `measures` names others that are means), "differences" (of methods, against
    their mean: Bland and Altman); of measures "forest" (estimate ± 1.96 MCSE), "lolly" (the same with a stem from the nominal value),
    "nested_loop" (over all conditions). conditions: numbers of those that are drawn; methods: names of those; None: all that there is
    room for. options: as for `simferry.measures`, where the run does not know them; `measures` names those that are drawn, each in a panel.

    Returns matplotlib's Axes, or a numpy array of rows x columns of them where there are several panels; `axes.figure` has savefig.
    Raises UsageError for a kind, columns, conditions or methods that are not there, and where matplotlib is not installed.
    """
    from ..report.plots import drawn

    return drawn(figure_data(data, kind, conditions, methods, **options))


def figure_data(data: Any, kind: str, conditions: Any = None, methods: Any = None, **options: Any) -> FigureData:
    """What a figure shows, for whatever draws it. Parameters as for `plot`. Raises UsageError."""
    return told(made(figure_of(kind, conditions, methods), data, **options))
