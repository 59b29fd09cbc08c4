"""Measures of users: any function of a method's rows, with a standard error by leaving out or drawing replications."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError
from ..sweep.arrow import as_numpy
from .cells import Cells
from .measure import Measured
from .row_keys import members_of

if TYPE_CHECKING:
    import pandas as pd

MOST_LEFT_OUT, DRAWS = 200, 200  # calls of a function for a standard error

Function = Callable[["pd.DataFrame"], Any]


def own_measures(some: Cells, functions: Mapping[str, Function], bootstrap: bool = False) -> dict[str, Measured]:
    """The functions' values by name. Each gets a pandas.DataFrame: the rows of one condition and method, with the parameters, and with
    `truth` where the truths are a table.

    MCSE: the jackknife's, which leaves out each replication, of more than 200 each of 200 groups of them; bootstrap: the standard
    deviation over 200 drawn sets of replications, the same in each call. Raises UsageError for a value that is no number.
    """
    cells = some.estimates.cells
    out = {
        name: Measured(np.full(cells, np.nan), np.full(cells, np.nan), np.zeros(cells, dtype=np.int64))
        for name in functions
    }
    for cell, rows in _rows_of_cells(some):
        _, unit = np.unique(rows["replication"].to_numpy(), return_inverse=True)
        n = int(unit.max()) + 1
        for name, function in functions.items():
            found = out[name]
            found.estimate[cell], found.n[cell] = _value(name, function, rows), n
            if n > 2:
                parts = _drawn(n, cell) if bootstrap else _left_out(n)
                values = np.array([_value(name, function, rows.iloc[_at(unit, part)]) for part in parts])
                spread = values.std(ddof=1) if bootstrap else values.std() * np.sqrt(len(values) - 1)
                found.mcse[cell] = spread
    return out


def _rows_of_cells(some: Cells) -> Iterator[tuple[int, "pd.DataFrame"]]:
    """The number and the rows of each cell; the rows of one condition are in memory. Of several estimates the cells of the first."""
    held: list[pa.Table] = []

    def done() -> Iterator[tuple[int, "pd.DataFrame"]]:
        rows = pa.concat_tables(held)
        group = members_of(rows, some.estimates.keys, some.estimates.groups).group
        first = (int(as_numpy(rows["condition"])[0]) - 1) * len(some.estimates.labels)
        for one in np.unique(group).tolist():
            frame = rows.filter(pa.array(group == one)).to_pandas()
            if some.estimates.truths is not None:
                frame["truth"] = some.estimates.truths(np.full(len(frame), first + one))
            yield first + one, frame

    for piece in some.source.pieces():
        condition = as_numpy(piece["condition"])
        begins = np.flatnonzero(np.diff(condition, prepend=-1)).tolist()
        for begin, end in zip(begins, [*begins[1:], len(condition)], strict=True):
            part = piece.slice(begin, end - begin)
            if held and as_numpy(held[0]["condition"])[0] != condition[begin]:
                yield from done()
                held.clear()
            held.append(part)
    if held:
        yield from done()


def _left_out(n: int) -> list[np.ndarray]:
    """The replications that stay when each of up to 200 groups is left out."""
    return [np.setdiff1d(np.arange(n), group) for group in np.array_split(np.arange(n), min(n, MOST_LEFT_OUT))]


def _drawn(n: int, cell: int) -> list[np.ndarray]:
    """Replications drawn with replacement."""
    rng = np.random.default_rng([n, cell])
    return [rng.integers(0, n, n) for _ in range(DRAWS)]


def _at(unit: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The rows of some replications, which may be there several times. unit: the number of each row's replication."""
    order = np.argsort(unit, kind="stable")
    begins = np.searchsorted(unit[order], np.arange(unit.max() + 2))
    lengths = np.diff(begins)[chosen]
    ends = np.cumsum(lengths)
    within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    return np.asarray(order[np.repeat(begins[chosen], lengths) + within])


def _value(name: str, function: Function, rows: "pd.DataFrame") -> float:
    found = function(rows)
    try:
        return float(found)
    except (TypeError, ValueError):
        raise UsageError(f"measure {name!r} gave {found!r}; it has to give a number") from None
