"""Figures of a run, or of any table."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..report.figure_data import FigureData, check_kind, chosen, figure_of, of_known
from ..sweep.any_table import as_arrow, is_table_file
from .measures import made
from .measuring import told, wanted_measures
from .runs import Run


def plot(data: Any, kind: str, *, conditions: Any = None, methods: Any = None, **options: Any) -> Any:
    """Draw a figure of a run, or of any table, with matplotlib.

    data: as for `simferry.measures`, or what `measures` or `contrast` returned. kind: of single estimates "zip" (intervals by the rank of
    |error| / SE), "estimates" (of each method), "convergence" (of bias or mean, and coverage; `measures` names others that are means),
    "differences" (of methods, against their mean: Bland and Altman); of measures "forest" (estimate ± 1.96 MCSE), "lolly" (the same
    with a stem from the nominal value), "nested_loop" (over all conditions). conditions: numbers of those that are drawn; methods: names
    of those; None: all that there is room for. options: as for `simferry.measures`, where the run does not know them; `measures` names
    those that are drawn, each in a panel.

    Returns matplotlib's Axes, or a numpy array of rows x columns of them where there are several panels; `axes.figure` has savefig.
    Raises UsageError for a kind, columns, conditions or methods that are not there, and where matplotlib is not installed.
    """
    from ..report.plots import drawn

    return drawn(figure_data(data, kind, conditions, methods, **options))


def figure_data(data: Any, kind: str, conditions: Any = None, methods: Any = None, **options: Any) -> FigureData:
    """What a figure shows, for whatever draws it. Parameters as for `plot`. Raises UsageError."""
    check_kind(kind)
    choice = chosen(conditions, methods)
    if not (isinstance(data, Run) or (isinstance(data, str | Path) and not is_table_file(data))):
        data = as_arrow(data)
        measures = wanted_measures(options.get("measures"))
        if options.get("estimate") is None and (found := of_known(kind, data, replace(choice, measures=measures))):
            if given := [name for name, value in options.items() if value is not None and name != "measures"]:
                raise UsageError(f"{given[0]} is for tables of estimates, and this is a table of measures")
            return told(found, stacklevel=4)
    return told(made(figure_of(kind, choice), data, **options), stacklevel=4)
