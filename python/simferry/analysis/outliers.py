"""Estimates far from the others: left out, or moved to a limit. Off unless asked for, and counted when on."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

_OF_ESTIMATES, _OF_ERRORS = 10.0, 100.0  # times the distance of the hinges, as rsimsum's dropbig has them

CellsAndValues = Callable[
    [], Iterable[tuple[np.ndarray, np.ndarray, np.ndarray | None]]
]  # cell, estimates, standard errors


@dataclass(frozen=True)
class Outliers:
    """drop: estimates that are more than 10 times the distance of the hinges (Tukey's quartiles) away from the median become
    missing, and standard errors more than 100 times. winsor: estimates more than so many interquartile ranges outside of the quartiles
    become that limit."""

    drop: bool = False
    winsor: float | None = None


NONE = Outliers()


@dataclass
class Limits:
    """By cell, what estimates and standard errors are not left out or moved: from low to high. NaN: no limit."""

    low: np.ndarray
    high: np.ndarray
    low_error: np.ndarray
    high_error: np.ndarray


def limits(read: CellsAndValues, cells: int, how: Outliers) -> Limits:
    """The limits of each cell, from its values, of which all are held in memory."""
    out = Limits(*np.full((4, cells), np.nan))
    for cell, values in by_cell((cell, b) for cell, b, _ in read()):
        if how.drop:
            lower, median, upper = hinges(values)
            away = _OF_ESTIMATES * (upper - lower)
            out.low[cell], out.high[cell] = median - away, median + away
        elif how.winsor is not None:
            lower, upper = np.quantile(values, [0.25, 0.75])
            away = how.winsor * (upper - lower)
            out.low[cell], out.high[cell] = lower - away, upper + away
    if how.drop:
        for cell, values in by_cell((cell, s) for cell, _, s in read() if s is not None):
            lower, median, upper = hinges(values)
            away = _OF_ERRORS * (upper - lower)
            out.low_error[cell], out.high_error[cell] = median - away, median + away
    return out


def hinges(values: np.ndarray) -> tuple[float, float, float]:
    """Tukey's lower hinge, median and upper hinge, as R's fivenum()."""
    values = np.sort(values)
    n = len(values)
    depth = (n + 3) // 2 / 2
    at = np.array([depth, (n + 1) / 2, n + 1 - depth]) - 1
    low, high = values[np.floor(at).astype(int)], values[np.ceil(at).astype(int)]
    lower, median, upper = (low + high) / 2
    return float(lower), float(median), float(upper)


def by_cell(pieces: Iterable[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Each cell's number and values, without those that are NaN. pieces: cells and values by row."""
    held: dict[int, list[np.ndarray]] = {}
    for cell, values in pieces:
        there = ~np.isnan(values)
        cell, values = cell[there], values[there]
        order = np.argsort(cell, kind="stable")
        cell, values = cell[order], values[order]
        begins = np.flatnonzero(np.diff(cell, prepend=-1))
        for begin, end in zip(begins, np.append(begins, len(cell))[1:], strict=True):
            held.setdefault(int(cell[begin]), []).append(values[begin:end])
    for one in sorted(held):
        yield one, np.concatenate(held.pop(one))
