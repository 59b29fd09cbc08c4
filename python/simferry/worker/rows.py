"""Converts values of replications into rows: tables of a block, one for each distinct set of columns."""

import contextlib
import inspect
import pickle
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from . import blocks


class Refused(Exception):
    """A replication returned a value that can't be kept. The replication fails."""


def as_rows(value: Any) -> dict[str, list[Any]] | None:
    """The value as columns of equal length; None if it is not a table. Raises Refused."""
    if value is None:
        return {}
    if inspect.isroutine(value) or inspect.isclass(value) or hasattr(value, "fileno") or inspect.isgenerator(value):
        raise Refused(
            f"the simulation returned a {type(value).__name__}, which can't be kept: "
            "return numbers, a dict, a tuple or a data frame"
        )
    if is_plain(value):
        return {"value": [value]}
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if hasattr(value, "to_frame") and hasattr(value, "to_dict"):  # a pandas.Series: its index has the names
        value = dict(zip(_names(value.index), value.tolist(), strict=True))
    if isinstance(value, dict):
        for item in value.values():
            if inspect.isroutine(item) or hasattr(item, "fileno"):
                raise Refused(
                    f"the simulation returned a dict with a {type(item).__name__}, which can't be kept: "
                    "return numbers, texts and logicals"
                )
        if not all(map(is_plain, value.values())):
            return None
        return {name: [v] for name, v in zip(_names(value), value.values(), strict=True)}
    if hasattr(value, "columns") and hasattr(value, "itertuples"):  # a pandas.DataFrame
        columns = {name: value.iloc[:, i].tolist() for i, name in enumerate(_names(value.columns))}
        columns = {**index_columns(value.index, columns), **columns} if columns else columns
        return columns if all(is_plain(v) for column in columns.values() for v in column) else None
    if isinstance(value, np.ndarray) and value.dtype != object and value.ndim in (0, 1, 2):
        if value.ndim == 2:
            return {f"value_{j + 1}": value[:, j].tolist() for j in range(value.shape[1])}
        value = value.tolist() if value.ndim else [value.tolist()]  # masked values become None
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(v, dict) for v in value):
            names = list(dict.fromkeys(name for v in value for name in v))
            columns = {str(name): [v.get(name) for v in value] for name in names}
            return columns if all(is_plain(v) for column in columns.values() for v in column) else None
        if all(map(is_plain, value)):
            return {f"value_{i + 1}" if len(value) > 1 else "value": [v] for i, v in enumerate(value)}
    return None


def index_columns(index: Any, taken: Collection[str]) -> dict[str, list[Any]]:
    """The columns that a pandas index becomes: its levels with a name, and its labels unless they are row numbers.

    The column of labels without a name is called row_name, as in R. taken: names of columns; a number is added to equal names.
    """
    out: dict[str, list[Any]] = {}
    for i, label in enumerate(index.names):
        level = index.get_level_values(i)
        if label is None and (len(level) == 0 or (index.nlevels == 1 and level.dtype.kind in "iu")):
            continue  # row numbers, also those of a subset
        first = name = "row_name" if label is None else str(label)
        number = 0
        while name in taken or name in out:
            number += 1
            name = f"{first}_{number}"
        out[name] = [v if is_plain(v) else str(v) for v in level.tolist()]
    return out


def _names(names: Any) -> list[str]:
    out = [str(name) for name in names]
    if len(set(out)) < len(out):
        twice = next(name for name in out if out.count(name) > 1)
        raise Refused(f"the simulation returned two values with the name {twice!r}: rename one of them")
    return out


def pickled(value: Any) -> bytes:
    dumps: Callable[[Any], bytes] = pickle.dumps
    with contextlib.suppress(ImportError):  # images for scripts may not have it
        import cloudpickle

        dumps = cloudpickle.dumps
    return dumps(value)


def is_simple(value: Any) -> bool:
    """Whether it is a number or a dict of numbers, as most values are. A fast check."""
    if type(value) is dict:
        return _NUMBERS.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value))
    return type(value) in _NUMBERS


MISSING = ("NAType", "NaTType", "MaskedConstant")
_NUMBERS = {float, int, bool, np.float64}
_TEXT = {str}


def is_plain(value: Any) -> bool:
    if isinstance(value, (bool, int, float, str, np.number, np.bool_)):
        return not isinstance(value, np.complexfloating)
    # missing values and times of pandas, by name: importing it takes long
    return value is None or type(value).__name__ in (*MISSING, "Timestamp", "date", "datetime")


def column_of(values: list[Any]) -> blocks.Column:
    """Plain values as one column of the first kind that holds them all: logical, integer, double, string."""
    if all(type(v) is float or type(v) is np.float64 for v in values):  # the common case, fast
        return blocks.numbers("double", values)
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    values = [None if type(v).__name__ in MISSING else v for v in values]
    kinds = {type(v) for v in values if v is not None}
    if kinds <= {bool}:
        return blocks.numbers("logical", [blocks.NA_INTEGER if v is None else v for v in values])
    if kinds <= {bool, int} and all(v is None or -(2**31) < v < 2**31 for v in values):
        return blocks.numbers("integer", [blocks.NA_INTEGER if v is None else v for v in values])
    if kinds <= {bool, int, float} and not any(type(v) is int and not _is_double(v) for v in values):
        out = np.array([0.0 if v is None else v for v in values], dtype="<f8")
        out[[v is None for v in values]] = blocks.NA_DOUBLE
        return blocks.numbers("double", out)
    return blocks.strings([None if v is None else blocks.as_text(v) for v in values])


def _is_double(value: int) -> bool:
    """Whether a double holds it exactly. Other integers are kept as text."""
    with contextlib.suppress(OverflowError):
        return float(value) == value
    return False


# by the names of columns: conditions, replications, and the values of each column
Groups = dict[tuple[str, ...], tuple[list[int], list[int], list[list[Any]]]]


def add_rows(groups: Groups, condition: int, replication: int, rows: Any) -> None:
    """Add the rows of a replication to those of other replications with the same columns.

    rows: a dict of lists, or values.Rows.
    """
    conditions, replications, columns = groups.setdefault(tuple(rows), ([], [], [[] for _ in rows]))
    n = len(next(iter(rows.values())))
    conditions += [condition] * n
    replications += [replication] * n
    for column, more in zip(columns, rows.values(), strict=True):
        column += more


def result_tables(condition: list[int], replication: list[int], values: list[Any]) -> list[blocks.Table]:
    """One table for each distinct set of columns. values: for each replication a number, a dict of numbers, its rows
    (values.Rows) or None."""
    first = values[0] if values else None
    if type(first) is dict and first and is_simple(first):
        names = list(first)
        if all(type(v) is dict and list(v) == names and is_simple(v) for v in values):  # the common case, fast
            made = [column_of([v[name] for v in values]) for name in names]
            return [results_table(condition, replication, dict(zip(map(str, names), made, strict=True)))]
    groups: Groups = {}
    for c, r, value in zip(condition, replication, values, strict=True):
        if type(value) in _NUMBERS:
            value = {"value": value}
        rows = {name: [v] for name, v in value.items()} if type(value) is dict else value
        if rows:
            add_rows(groups, c, r, rows)
    return [
        results_table(cs, rs, {name: column_of(c) for name, c in zip(names, columns, strict=True)})
        for names, (cs, rs, columns) in groups.items()
    ]


def results_table(condition: list[int], replication: list[int], columns: dict[str, blocks.Column]) -> blocks.Table:
    ids = ids_of(condition, replication)
    outputs: dict[str, blocks.Column] = {}
    for name, column in columns.items():
        if name in ids:
            name += "_result"
            while name in columns:
                name += "_result"
        outputs[name] = column
    return table("results", ids, outputs)


def records(name: str, fields: tuple[str, ...], rows: list[Any]) -> blocks.Table:
    """A table of text columns. rows: (condition, replication, *texts). fields: the names of the texts."""
    columns = list(zip(*rows, strict=True))
    texts = {field: blocks.strings(column) for field, column in zip(fields, columns[2:], strict=True)}
    return table(name, ids_of(columns[0], columns[1]), texts)


def ids_of(condition: Any, replication: Any) -> dict[str, blocks.Column]:
    return {"condition": blocks.numbers("integer", condition), "replication": blocks.numbers("integer", replication)}


def table(name: str, *columns: dict[str, blocks.Column]) -> blocks.Table:
    merged = {key: column for part in columns for key, column in part.items()}
    return blocks.Table(name, len(next(iter(merged.values())).values), merged)
