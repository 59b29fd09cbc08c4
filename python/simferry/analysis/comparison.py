"""Compares the results of two runs, replication by replication, bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..results.collect import Collected
from ..store.keys import key_of, of_key

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Numbers:
    """The replications of two runs, matched by the parameters of their conditions. Conditions have the numbers of the first run.

    both: how many replications both have; first_only, second_only: only one of them. replications: those of both that differ, as
    condition, replication and outputs (names of those that differ; "(failed)" where one of the two failed, "(rows)" where they have
    other numbers of rows, "(value)" where the files of what was kept whole differ). outputs: per output that differs how many
    replications differ, and the largest difference with its condition and replication; NaN for texts and where a value is missing in
    one of the two.
    """

    both: int
    first_only: int
    second_only: int
    replications: "pd.DataFrame"
    outputs: "pd.DataFrame"

    @property
    def same(self) -> bool:
        """Whether both have the same replications, with the same bits."""
        return not (self.first_only or self.second_only or len(self.replications))


Values = Mapping[tuple[int, int], str]  # hashes of what was kept whole, by condition and replication


def compare(first: Collected, second: Collected, ids: np.ndarray, values: tuple[Values, Values] = ({}, {})) -> Numbers:
    """ids: by a condition's number in the second run its number in the first, or 0 where that has no such condition.

    values: of both runs.
    """
    import pandas as pd

    (keys, ok), (other_keys, other_ok) = _keys(first.replications), _keys(second.replications, ids)
    both = np.intersect1d(keys, other_keys)
    ok, other_ok = ok[np.isin(keys, both)], other_ok[np.isin(other_keys, both)]  # sorted by key, as `both`
    found: list[tuple[str, np.ndarray, np.ndarray]] = [("(failed)", both[ok != other_ok], np.empty(0))]
    rows, other_rows = _Rows(first.results), _Rows(second.results, ids)
    compared = both[ok & other_ok]
    found.append(("(value)", _other_values(compared, *values, ids), np.empty(0)))
    counts, other_counts = rows.counts(compared), other_rows.counts(compared)
    found.append(("(rows)", compared[counts != other_counts], np.empty(0)))
    compared = compared[counts == other_counts]
    at, other_at = rows.of(compared), other_rows.of(compared)
    for name in dict.fromkeys([*rows.outputs, *other_rows.outputs]):
        differs, difference = _differences(rows.column(name, at), other_rows.column(name, other_at), len(at))
        found.append((name, rows.keys[at][differs], difference[differs]))
    names: dict[int, list[str]] = {}
    for name, some, _ in found:
        for key in np.unique(some).tolist():
            names.setdefault(key, []).append(name)
    condition, replication = of_key(np.array(sorted(names), dtype=np.int64))
    texts = [", ".join(names[key]) for key in sorted(names)]
    outputs = [_largest(name, some, size) for name, some, size in found if len(some)]
    columns = ["output", "replications", "largest_difference", "condition", "replication"]
    return Numbers(
        len(both), len(keys) - len(both), len(other_keys) - len(both),
        pd.DataFrame({"condition": condition, "replication": replication, "outputs": pd.Series(texts, dtype=object)}),
        pd.DataFrame(outputs, columns=columns),
    )  # fmt: skip


def _keys(table: pa.Table, ids: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The keys of replications in the first run's conditions, sorted, and whether each succeeded. Unmatched conditions have keys of
    their own, below 0."""
    condition, ok = table["condition"].to_numpy(), table["ok"].to_numpy().astype(bool)
    key = key_of(_matched(condition, ids), table["replication"].to_numpy())
    order = np.argsort(key, kind="stable")
    return key[order], ok[order]


def _other_values(keys: np.ndarray, first: Values, second: Values, ids: np.ndarray) -> np.ndarray:
    """Those of the keys whose values, of which only one run may have some, are not the same."""
    other = {(int(ids[c]), r): text for (c, r), text in second.items() if ids[c] > 0}
    differ = sorted(pair for pair in {*first, *other} if first.get(pair) != other.get(pair))
    pairs = np.array(differ, dtype=np.int64).reshape(-1, 2)
    return np.intersect1d(keys, key_of(pairs[:, 0], pairs[:, 1]))


def _matched(condition: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    if ids is None:
        return condition
    return np.where(ids[condition] > 0, ids[condition], -condition.astype(np.int64))


class _Rows:
    """The rows of results, sorted by the keys of their replications."""

    def __init__(self, table: pa.Table, ids: np.ndarray | None = None) -> None:
        key = key_of(_matched(table["condition"].to_numpy(), ids), table["replication"].to_numpy())
        order = np.argsort(key, kind="stable")
        self.keys, self.table = key[order], table.take(pa.array(order))
        self.outputs = [name for name in table.column_names if name not in ("condition", "replication")]

    def counts(self, keys: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.keys, keys, "right") - np.searchsorted(self.keys, keys, "left")

    def of(self, keys: np.ndarray) -> np.ndarray:
        return np.flatnonzero(np.isin(self.keys, keys))

    def column(self, name: str, at: np.ndarray) -> pa.ChunkedArray | None:
        return self.table[name].take(pa.array(at)) if name in self.outputs else None


def _differences(a: pa.ChunkedArray | None, b: pa.ChunkedArray | None, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether the values of each row differ in their bits, and by how much; NaN where that is no number. A null differs from all else."""
    nothing = np.full(rows, np.nan)
    there, other_there = (
        np.zeros(rows, dtype=bool) if x is None else x.is_valid().to_numpy().astype(bool) for x in (a, b)
    )
    if a is None or b is None:
        return there | other_there, nothing
    both = there & other_there
    if not (_is_number(a.type) and _is_number(b.type)):
        pairs = zip(_cells(a), _cells(b), strict=True)
        return np.fromiter((x != y or type(x) is not type(y) for x, y in pairs), dtype=bool, count=rows), nothing
    x, y = _as_doubles(a), _as_doubles(b)
    floating = [bool(pa.types.is_floating(c.type)) for c in (a, b)]
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(x - y)
        if all(floating):
            other = x.view("<u8") != y.view("<u8")
        elif not any(floating):
            i, j = _as_integers(a), _as_integers(b)
            other, more, less = i != j, np.maximum(i, j), np.minimum(i, j)
            size = (more.view("<u8") - less.view("<u8")).astype(np.float64)
        else:  # doubles don't hold all integers
            whole, near, double = (_as_integers(b), y, x) if floating[0] else (_as_integers(a), x, y)
            other = (x != y) | (near.astype("<i8") != whole)
            # R's NA of doubles is a NaN, that of integers and logicals a null
            na = np.isnan(double) & (double.view("<u4")[::2] == _NA_WORD)
            there, other_there = (there & ~na, other_there) if floating[0] else (there, other_there & ~na)
            both &= ~na
    return (there != other_there) | (both & other), np.where(both, size, np.nan)


def _cells(column: pa.ChunkedArray) -> list[Any]:
    """The values; of a list its type and bytes."""
    if not pa.types.is_list(column.type):
        return list(column.to_pylist())
    arrays = column.combine_chunks().to_numpy(zero_copy_only=False)
    return [
        None if v is None else (v.dtype.str, repr(v.tolist()) if v.dtype == object else v.tobytes()) for v in arrays
    ]


_NA_WORD = 1954  # the lower half of R's NA


def _as_doubles(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.cast(pa.float64(), safe=False).fill_null(0).to_numpy())


def _as_integers(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.cast(pa.int64()).fill_null(0).to_numpy())


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _largest(name: str, keys: np.ndarray, size: np.ndarray) -> tuple[Any, ...]:
    known = np.flatnonzero(~np.isnan(size)) if len(size) else np.empty(0, dtype=int)
    at = int(known[np.argmax(size[known])]) if len(known) else 0
    condition, replication = of_key(keys[at : at + 1])
    return (
        name,
        len(np.unique(keys)),
        float(size[at]) if len(known) else float("nan"),
        int(condition[0]),
        int(replication[0]),
    )
