"""Converts values of replications into rows: tables of a block, one for each distinct set of columns."""

import contextlib
import inspect
import pickle
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from . import blocks
from .forms import column_of, is_plain, list_cell
from .frames import TwoOfOneName, cells_of, columns_of, listed, names_of, record_of, scalar_of

MOST_BYTES = 2**28  # of values, about; a block with more is written at once
MOST_OUTPUTS = 1_000_000  # the header of a block names each


class Refused(Exception):
    """A replication returned a value that can't be kept. The replication fails."""


def refuse_outputs(n: int) -> None:
    if n > MOST_OUTPUTS:
        raise Refused(
            f"the simulation returned {n:,} outputs in a row, and a row has at most {MOST_OUTPUTS:,}: "
            "return a data frame with more rows, or write the values to a file"
        )


def an(noun: str) -> str:
    """A noun with its article."""
    return f"{'an' if noun[:1].lower() in set('aeiou') else 'a'} {noun}"


def as_rows(value: Any, odd: dict[str, str] | None = None) -> dict[str, Any] | None:
    """The value as columns of equal length; None if it is not a table. Raises Refused. Long columns of numbers may be arrays.

    odd: gets what no column holds, if the others are to become columns: the kind of value by its name.
    """
    if value is None:
        return {}
    if inspect.isroutine(value) or inspect.isclass(value) or hasattr(value, "fileno") or inspect.isgenerator(value):
        raise Refused(
            f"the simulation returned {an(type(value).__name__)}, which can't be kept: "
            "return numbers, a dict, a tuple or a data frame"
        )
    try:
        value = value if is_plain(value) else record_of(value)
        if is_plain(value):
            return {"value": [value]}
        if isinstance(value, dict):
            refuse_outputs(len(value))
            return _record(value, odd)
        columns = columns_of(value)
        if columns is not None:
            return _without_odd(columns, odd)
    except TwoOfOneName as twice:
        raise Refused(f"the simulation returned two values with the name {str(twice)!r}: rename one of them") from None
    value = listed(value)
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OV" and value.ndim in (1, 2):
        refuse_outputs(value.shape[-1])
        if value.ndim == 2:
            return {f"value_{j + 1}": cells_of(value[:, j]) for j in range(value.shape[1])}
        value = cells_of(value)  # masked values become None
    if isinstance(value, (list, tuple)):
        if len(value) > MOST_OUTPUTS and is_plain(value[0]):
            refuse_outputs(len(value))
        records = [record_of(v) for v in value]
        if records and all(isinstance(v, dict) for v in records):
            names = list(dict.fromkeys(name for v in records for name in v))
            return _without_odd({str(name): [scalar_of(v.get(name)) for v in records] for name in names}, odd)
        if all(map(is_plain, value)):
            return {f"value_{i + 1}" if len(value) > 1 else "value": [v] for i, v in enumerate(value)}
    return None


def _record(value: dict[Any, Any], odd: dict[str, str] | None) -> dict[str, list[Any]] | None:
    for item in value.values():
        if inspect.isroutine(item) or hasattr(item, "fileno"):
            raise Refused(
                f"the simulation returned a dict with {an(type(item).__name__)}, which can't be kept: "
                "return numbers, texts and logicals"
            )
    cells = [[v if is_plain(v) else listed(scalar_of(v))] for v in value.values()]
    return _without_odd(dict(zip(names_of(value), cells, strict=True)), odd)


def _without_odd(columns: dict[str, Any], odd: dict[str, str] | None) -> dict[str, Any] | None:
    """The columns of cells; None if there are none. The others are named in `odd`."""
    columns = {
        name: column if isinstance(column, np.ndarray) else [v if is_plain(v) else list_cell(v) for v in column]
        for name, column in columns.items()
    }
    lists = {name: column for name, column in columns.items() if not isinstance(column, np.ndarray)}
    left_out = {name: v for name, column in lists.items() for v in column if not is_plain(v)}
    if left_out and (odd is None or len(left_out) == len(columns)):
        return None
    if odd is not None:
        odd |= {
            name: f"{type(v).__module__}.{type(v).__qualname__}".removeprefix("builtins.")
            for name, v in left_out.items()
        }
    return {name: column for name, column in columns.items() if name not in left_out}


def pickled(value: Any) -> bytes:
    dumps: Callable[[Any], bytes] = pickle.dumps
    with contextlib.suppress(ImportError):  # images for scripts may not have it
        import cloudpickle

        dumps = cloudpickle.dumps
    return dumps(value)


DOUBLES = frozenset((float, np.float64))
_NUMBERS = frozenset((float, int, bool, np.float64))
_OF_NUMPY = frozenset(
    (np.bool_, np.float32, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
)
_PLAIN = _NUMBERS | _OF_NUMPY | {str, type(None)}
LONGEST_TEXT = 2**29
_all_text = frozenset((str,)).issuperset


def plain(value: Any) -> Any:
    """A number, or a copy of a dict of numbers, texts and None, with numbers of Python or float64; None for other values. Fast."""
    kind = type(value)
    if kind is dict and len(value) <= MOST_OUTPUTS:
        kinds = set(map(type, value.values()))
        if not _all_text(map(type, value)) or not kinds <= _PLAIN:
            return None
        if kinds <= _NUMBERS:
            return value.copy()  # the simulation may reuse the same dict
        if str in kinds and any(type(v) is str and len(v) > LONGEST_TEXT for v in value.values()):
            return None
        return {name: v.item() if type(v) in _OF_NUMPY else v for name, v in value.items()}
    return value if kind in _NUMBERS else value.item() if kind in _OF_NUMPY else None


def size_of(rows: dict[str, Any] | None) -> int:
    """The bytes of rows in memory, about."""
    columns = (rows or {}).values()
    cells = [v for column in columns if not isinstance(column, np.ndarray) for v in column]
    return bytes_of(cells) + sum(column.nbytes for column in columns if isinstance(column, np.ndarray))


def bytes_of(cells: Collection[Any]) -> int:
    """The bytes of cells in memory, about: 32 for each that Python keeps, and the texts."""
    return 32 * len(cells) + sum(len(v) for v in cells if type(v) is str)


# by the names of columns: conditions, replications, and the values of each column
_Group = tuple[list[int], list[int], list[list[Any]]]
Groups = dict[tuple[str, ...], _Group]


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
    """One table for each distinct set of columns. values: for each replication a number, a dict of one row, its rows
    (values.Rows) or None."""
    first = values[0] if values else None
    if type(first) is dict and first:  # a dict that is no Rows holds numbers and texts
        names = list(first)
        if all(type(v) is dict and list(v) == names for v in values):  # the common case, fast
            given = [[v[name] for v in values] for name in names]
            if not any(map(_is_mixed, given)):
                made = map(column_of, given)
                return [results_table(condition, replication, dict(zip(map(str, names), made, strict=True)))]
    groups: Groups = {}
    large: list[blocks.Table] = []
    for c, r, value in zip(condition, replication, values, strict=True):
        if type(value) in _NUMBERS:
            value = {"value": value}
        rows = {name: [v] for name, v in value.items()} if type(value) is dict else value
        if rows and any(isinstance(column, np.ndarray) for column in rows.values()):
            n = len(next(iter(rows.values())))
            columns = {name: column_of(column) for name, column in rows.items()}
            large.append(results_table(np.full(n, c, "<i4"), np.full(n, r, "<i4"), columns))
        elif rows:
            add_rows(groups, c, r, rows)
    return large + [
        results_table(cs, rs, {name: column_of(c) for name, c in zip(names, columns, strict=True)})
        for names, group in groups.items()
        for cs, rs, columns in kinds_apart(*group)
    ]


def _is_mixed(column: list[Any]) -> bool:
    """Whether a column of its values would lose what they are beside a text: TRUE among numbers, digits of integers among doubles."""
    kinds = set(map(type, column)) - {type(None)}
    return len(kinds) > 1 and (
        bool in kinds or (int in kinds and any(type(v) is int and abs(v) > _EXACT for v in column))
    )


_EXACT = 2**53  # doubles hold all whole numbers up to this one


def kinds_apart(condition: list[int], replication: list[int], columns: list[list[Any]]) -> list[_Group]:
    """Replications with the same kinds of values, where columns mix them: what a run's table holds must not depend on its blocks."""
    mixed = [column for column in columns if _is_mixed(column)]
    if not mixed:
        return [(condition, replication, columns)]
    rows: dict[tuple[int, int], list[int]] = {}
    for at, key in enumerate(zip(condition, replication, strict=True)):
        rows.setdefault(key, []).append(at)
    parts: dict[tuple[frozenset[str], ...], list[int]] = {}
    for some in rows.values():  # the rows of a replication stay together
        parts.setdefault(tuple(frozenset(_kind(c[at]) for at in some) for c in mixed), []).extend(some)
    return [
        ([condition[i] for i in at], [replication[i] for i in at], [[c[i] for i in at] for c in columns])
        for at in parts.values()
    ]


def _kind(value: Any) -> str:
    if type(value) is int:
        return "long" if abs(value) > _EXACT else "number"
    return "number" if type(value) in (float, np.float64) else type(value).__name__


def results_table(condition: Any, replication: Any, columns: dict[str, blocks.Column]) -> blocks.Table:
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
