"""Measures of users: any function of a method's rows, with a standard error by leaving out or drawing replications."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import SimferryError, UsageError
from ..sweep.arrow import as_numpy
from .cells import Cells
from .measure import Measured
from .row_keys import members_of

if TYPE_CHECKING:
    import pandas as pd

MOST_LEFT_OUT, DRAWS = 200, 200  # calls of a function for a standard error

Function = Callable[["pd.DataFrame"], Any]


class NoNumber(Exception):
    """A function gave something else, which is shown."""


class Functions(ABC):
    """Functions of rows, in any language, by the names of their measures."""

    names: Sequence[str]

    @abstractmethod
    def take(self, rows: pa.Table) -> None:
        """The rows that are meant from now on."""

    @abstractmethod
    def value(self, name: str, at: np.ndarray | None) -> float:
        """A function's value of the rows at these positions; None: of all. Raises NoNumber, and what the function raises."""


class PythonFunctions(Functions):
    """Functions of a pandas.DataFrame."""

    def __init__(self, functions: Mapping[str, Function]) -> None:
        self._functions, self.names = functions, [*functions]

    def take(self, rows: pa.Table) -> None:
        self._rows = rows.to_pandas()

    def value(self, name: str, at: np.ndarray | None) -> float:
        found = self._functions[name](self._rows.copy() if at is None else self._rows.iloc[at])  # it may change them
        try:
            return float(found)
        except (TypeError, ValueError):
            raise NoNumber(repr(found)) from None


def own_measures(some: Cells, functions: Functions, bootstrap: bool = False) -> dict[str, Measured]:
    """The functions' values by name. Each gets the rows of one condition and method, with the parameters, and with `truth` where the
    truths are a table.

    MCSE: the jackknife's, which leaves out each replication, of more than 200 each of 200 groups of them; bootstrap: the standard
    deviation over 200 drawn sets of replications, the same in each call. Raises UsageError for a value that is no number, and for
    a function that fails.
    """
    cells = some.estimates.cells
    out = {
        name: Measured(np.full(cells, np.nan), np.full(cells, np.nan), np.zeros(cells, dtype=np.int64))
        for name in functions.names
    }
    for cell, rows in _rows_of_cells(some):
        where = _where(some, cell)
        functions.take(rows)
        _, unit = np.unique(as_numpy(rows["replication"]), return_inverse=True)
        n, starts = int(unit.max()) + 1, _starts(unit)
        for name, found in out.items():
            found.estimate[cell], found.n[cell] = _value(functions, name, None, where), n
            if n > 2:
                parts, which = (_drawn(n, cell), "drawn") if bootstrap else (_left_out(n), "left out")
                there = f"{where} with some replications {which}"
                values = np.array([_value(functions, name, _at(*starts, part), there) for part in parts])
                with np.errstate(invalid="ignore"):  # a value may be infinite
                    spread = values.std(ddof=1) if bootstrap else values.std() * np.sqrt(len(values) - 1)
                found.mcse[cell] = spread
    return out


def _where(some: Cells, cell: int) -> str:
    """What a message says of a cell."""
    condition, label = divmod(cell, len(some.estimates.labels))
    parts = [] if some.source.is_single else [f"condition {condition + 1}"]
    parts += [f"{name} {value}" for name, value in some.estimates.labels[label].keys.items()]
    return f" in {', '.join(parts)}" if parts else ""


def _rows_of_cells(some: Cells) -> Iterator[tuple[int, pa.Table]]:
    """The number and the rows of each cell; the rows of one condition are in memory. Of several estimates the cells of the first."""
    held: list[pa.Table] = []

    def done() -> Iterator[tuple[int, pa.Table]]:
        rows = pa.concat_tables(held)
        group = members_of(rows, some.estimates.keys, some.estimates.groups).group
        first = (int(as_numpy(rows["condition"])[0]) - 1) * len(some.estimates.labels)
        for one in np.unique(group).tolist():
            some_rows = rows.filter(pa.array(group == one))
            if some.estimates.truths is not None:
                truth = pa.array(some.estimates.truths(np.full(len(some_rows), first + one)))
                some_rows = _with(some_rows, "truth", truth)
            yield first + one, some_rows

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


def _with(rows: pa.Table, name: str, values: pa.Array) -> pa.Table:
    at = rows.schema.get_field_index(name)
    return rows.append_column(name, values) if at < 0 else rows.set_column(at, name, values)


def _left_out(n: int) -> Iterator[np.ndarray]:
    """The replications that stay when each of up to 200 groups is left out."""
    return (np.setdiff1d(np.arange(n), group) for group in np.array_split(np.arange(n), min(n, MOST_LEFT_OUT)))


def _drawn(n: int, cell: int) -> Iterator[np.ndarray]:
    """Replications drawn with replacement."""
    rng = np.random.default_rng([n, cell])
    return (rng.integers(0, n, n) for _ in range(DRAWS))


def _starts(unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows by replication, and where each replication begins among them. unit: the number of each row's replication."""
    order = np.argsort(unit, kind="stable")
    return order, np.searchsorted(unit[order], np.arange(unit.max() + 2))


def _at(order: np.ndarray, begins: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The rows of some replications, which may be there several times."""
    lengths = np.diff(begins)[chosen]
    ends = np.cumsum(lengths)
    within = np.arange(ends[-1]) - np.repeat(ends - lengths, lengths)
    return np.asarray(order[np.repeat(begins[chosen], lengths) + within])


def _value(functions: Functions, name: str, at: np.ndarray | None, where: str) -> float:
    try:
        return functions.value(name, at)
    except NoNumber as found:
        raise UsageError(f"measure {name!r} gave {found}{where}; it has to give a number") from None
    except Exception as error:
        said = error.message if isinstance(error, SimferryError) else f"{type(error).__name__}: {error}"
        raise UsageError(f"measure {name!r} failed{where}: {said}") from error
