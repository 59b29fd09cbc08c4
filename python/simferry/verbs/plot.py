"""Figures of a run, or of any table."""

import warnings
from typing import Any

import numpy as np

from ..analysis.cells import Cells
from ..analysis.measure_table import measure_table
from ..analysis.sources import Source
from ..errors import Note, UsageError
from ..hints import Option
from ..report.figure_data import OF_MEASURES, Choice, FigureData, check_kind, of_estimates, of_measures
from ..sweep.roles import Roles
from .measures import made


def figure_data(data: Any, kind: str, conditions: Any = None, methods: Any = None, **options: Any) -> FigureData:
    """What a figure shows, for whatever draws it. Parameters as for `plot`. Raises UsageError."""
    check_kind(kind)
    numbers, names = _numbers(conditions), _names(methods)

    def of(source: Source, given: Roles, wanted: Any, complete: bool, outliers: Any, **how: Any) -> FigureData:
        choice = Choice(numbers, names, None if wanted is None else list(wanted))
        if kind in OF_MEASURES:
            found = measure_table(source, given, wanted, complete, outliers=outliers, **how)
            return of_measures(kind, found, choice)
        return of_estimates(kind, Cells(source, given, complete, outliers), choice)

    found = made(of, data, **options)
    for note in found.notes:
        warnings.warn(note, Note, stacklevel=3)
    return found


def _numbers(value: Any) -> list[int] | None:
    if value is None:
        return None
    listed = np.ravel(np.asarray(value, dtype=object)).tolist()
    if not listed or not all(isinstance(one, int | float | np.number) and one == np.floor(one) for one in listed):
        raise UsageError(
            f"conditions is {value!r}; it takes numbers of conditions, from 1 on", Option("conditions", [1, 2])
        )
    return [int(one) for one in listed]


def _names(value: Any) -> list[str] | None:
    if value is None:
        return None
    return [value] if isinstance(value, str) else [str(one) for one in value]
