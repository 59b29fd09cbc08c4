"""Keys: outputs that distinguish the rows of one replication, such as a method's name or a sample size."""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..hints import Option, Text
from ..results.columns import is_number
from ..sweep.arrow import as_numpy

MOST_TEXTS = 50  # combinations of texts: where there are more, `by` has to name the keys
MOST_ASKED = 10_000


class Groups(NamedTuple):
    """Rows of all replications, grouped by the values of keys.

    keys: names of outputs. values: the keys' values, for each group, in the order of first rows. group: number of each row's group.
    """

    keys: list[str]
    values: list[dict[str, Any]]
    group: np.ndarray


def texts(rows: pa.Table) -> list[str]:
    """Outputs that are text, factors, dates or times."""
    return [name for name, kind in kinds(rows) if not (is_number(kind) or pa.types.is_list(kind))]


def kinds(rows: pa.Table) -> list[tuple[str, pa.DataType]]:
    """Names and types of the outputs. There may be thousands: a column of the table itself takes longer to get."""
    return list(zip(rows.schema.names, rows.schema.types, strict=True))[2:]


def check_keys(by: Any) -> list[str] | None:
    """`by` as a list of names. Raises UsageError where it holds anything else."""
    names = None if by is None else [by] if isinstance(by, str) or not isinstance(by, Iterable) else list(by)
    for name in names or ():
        if not isinstance(name, str):
            raise UsageError(
                f"by is {by!r}; it takes the names of outputs", Text("Example: ", Option("by", ["method"]))
            )
    return names


def groups(rows: pa.Table, by: Collection[str] | None) -> Groups:
    """The rows grouped by the keys in `by`; None takes all text outputs, where replications have several rows.

    Raises UsageError if there is no such output, or if the keys have more than ten thousand values.
    """
    keys, values = group_values([rows], by)
    return members_of(rows, keys, values)


def group_values(pieces: Iterable[pa.Table], by: Collection[str] | None) -> tuple[list[str], list[dict[str, Any]]]:
    """The keys, and the values of each group of rows, which come in pieces. As `groups`."""
    keys: list[str] = []
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    several = False
    for rows in pieces:
        keys = keys or _keys(rows, by)
        several = several or (by is None and several_rows(rows))
        if keys and rows.num_rows and len(found) <= (MOST_TEXTS if by is None else MOST_ASKED):
            first = _numbered(rows, keys)[0]
            for values in rows.select(keys).take(pa.array(first)).to_pylist():
                found.setdefault(_hashable(values), values)
    if by is None and (not several or len(found) > MOST_TEXTS):
        return [], [{}]
    if len(found) > MOST_ASKED:
        raise UsageError(
            f"by: {' and '.join(keys)} {'has' if len(keys) == 1 else 'have'} {len(found):,} values",
            f"by names outputs that distinguish the rows of a replication; they can have at most {MOST_ASKED:,} values.",
        )
    return keys, list(found.values()) or [{}]


def members_of(rows: pa.Table, keys: list[str], values: list[dict[str, Any]]) -> Groups:
    """The rows grouped, by keys and values that `group_values` found in all rows."""
    if len(values) == 1 or not rows.num_rows:
        return Groups(keys, values, np.zeros(rows.num_rows, dtype=np.int64))
    first, group = _numbered(rows, keys)
    number = {_hashable(one): i for i, one in enumerate(values)}
    here = rows.select(keys).take(pa.array(first)).to_pylist()
    return Groups(keys, values, np.array([number[_hashable(one)] for one in here], dtype=np.int64)[group])


def _keys(rows: pa.Table, by: Collection[str] | None) -> list[str]:
    for name in by or ():
        if name not in rows.column_names[2:]:
            known = ", ".join(rows.column_names[2:]) or "none"
            raise UsageError(
                f"by: there is no output {name!r}", nearest(name, rows.column_names[2:]) or f"There are: {known}."
            )
        if pa.types.is_list(rows[name].type):
            raise UsageError(
                f"by: output {name!r} holds lists", "by names outputs that are texts, numbers or logicals."
            )
    return list(dict.fromkeys(texts(rows) if by is None else by))


def _numbered(rows: pa.Table, keys: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the first rows of each group, ascending, and the number of each row's group in this order."""
    at = np.zeros(rows.num_rows, dtype=np.int64)
    first = at[:1]
    for name in keys:
        codes = _codes(rows[name])
        first, at = _ranked(at * (codes.max() + 1) + codes)
    return first, at


def _ranked(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first position of each distinct code, ascending, and each code's rank among these. Codes are from 0 on."""
    many = int(codes.max()) + 1
    if many > 2 * len(codes):
        codes = np.unique(codes, return_inverse=True)[1]
        many = int(codes.max()) + 1
    at = np.full(many, -1)
    at[codes[::-1]] = np.arange(len(codes))[::-1]
    first = np.sort(at[at >= 0])
    rank = np.empty(many, dtype=np.int64)
    rank[codes[first]] = np.arange(len(first))
    return first, rank[codes]


def _hashable(values: dict[str, Any]) -> tuple[Any, ...]:
    """What is equal for rows of one group: NA and NaN are."""
    return tuple(None if v != v else v for v in values.values())


def overlooked(rows: pa.Table, found: Groups) -> list[str]:
    """Outputs that look like keys but are not among those `found`, so that a summary averages over them.

    Their values are equal row by row in every replication; or they are few, and differ between all rows of each replication.
    Conditions with fewer than three replications do not count.
    """
    if rows.num_rows == 0:
        return []
    condition, replication = as_numpy(rows["condition"]), as_numpy(rows["replication"])
    order = np.lexsort((found.group, replication, condition))  # keeps the order within a replication
    condition, replication, group = condition[order], replication[order], found.group[order]
    new = np.r_[True, (np.diff(condition) != 0) | (np.diff(replication) != 0) | (np.diff(group) != 0)]
    begins = np.flatnonzero(new)  # of each unit: the rows of one group in one replication
    size = np.diff(np.r_[begins, len(order)])
    unit = np.repeat(np.arange(len(begins)), size)
    if not (size > 1).any():
        return []
    position = np.arange(len(order)) - begins[unit]
    cell = np.unique(condition.astype(np.int64) * (group.max() + 1) + group, return_inverse=True)[1]
    several = (np.bincount(cell[begins]) >= 3)[cell] & (size > 1)[unit]
    if not several.any():
        return []
    most = np.zeros(cell.max() + 1, dtype=np.int64)
    np.maximum.at(most, cell[begins], size)
    return [
        name
        for name in rows.column_names[2:]
        if name not in found.keys
        and not pa.types.is_list(rows[name].type)
        and _is_like_a_key(_codes(rows[name])[order], several, cell, unit, position, most)
    ]


def _is_like_a_key(
    codes: np.ndarray,
    several: np.ndarray,
    cell: np.ndarray,
    unit: np.ndarray,
    position: np.ndarray,
    most: np.ndarray,
) -> bool:
    """Whether an output looks like a key, see `overlooked`. By row: codes, its values; several, whether the row counts; cell, its
    condition and group; unit; position in the unit. most: by cell, the rows of its largest unit."""
    codes, cell, unit, position = codes[several], cell[several], unit[several], position[several]
    values = codes.max() + 1
    differ = len(np.unique(unit * values + codes))  # pairs of a unit and a value
    if differ == len(np.unique(unit)):  # one value in each unit
        return False
    row = cell * (position.max() + 1) + position
    if len(np.unique(row * values + codes)) == len(np.unique(row)):
        return True
    of_cell = np.unique(cell * values + codes) // values
    return differ == len(codes) and bool((np.bincount(of_cell, minlength=len(most)) <= most).all())


def several_rows(rows: pa.Table) -> bool:
    """Whether a replication has more than one row."""
    condition, replication = as_numpy(rows["condition"]), as_numpy(rows["replication"])
    return bool(((condition[1:] == condition[:-1]) & (replication[1:] == replication[:-1])).any())


def _codes(column: pa.ChunkedArray) -> np.ndarray:
    """A number for each distinct value; 0 for null. NA and NaN have the same number."""
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(encoded.indices.cast(pa.int64()).fill_null(-1)) + 1
