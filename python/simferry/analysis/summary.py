"""Per condition: numbers of replications and failures; mean, sd and Monte Carlo standard error (MCSE) of each output."""

from collections.abc import Callable, Collection, Container, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..results.columns import is_number
from ..results.parts import Results
from ..results.table import as_pandas, with_parameters
from ..store.run_folder import RunFolder
from ..sweep.arrow import as_numpy, doubles, empty, plain_array, whole_numbers
from .row_keys import Groups, group_values, kinds, members_of

if TYPE_CHECKING:
    import pandas as pd

FIXED = (
    "condition",
    "replication",
    "replications",
    "failed",
    "missing",
    "warnings",
    "output",
    "mean",
    "sd",
    "mcse",
    "order",
)


def outputs(run: RunFolder, results: pa.Table) -> pa.Table:
    """The table of results without the parameters: condition, replication and the outputs."""
    return results.drop_columns(list(run.record.parameters))


def summary(run: RunFolder, results: Results, by: Collection[str] | None = None) -> "pd.DataFrame":
    """A pandas.DataFrame with a row per condition and numeric output (logicals count as 0 and 1, durations in seconds).

    Columns: condition, the parameters, replications (those with a value), failed, missing (did not fail, but the value is NA,
    NaN or not there), warnings, output, mean, sd, mcse. The MCSE of a mean is sd / sqrt(n) (Morris, White & Crowther 2019,
    10.1002/sim.8086, Table 6). A condition whose replications all failed keeps its rows, with replications = 0. A column with
    the name of a parameter is renamed <name>_result.

    by: keys, see `groups`: each combination of their values has its own rows. Other rows of a replication are averaged first.
    """
    return as_pandas(first_rows(run, results, by, None)[0], run.record.parameters)


def first_rows(run: RunFolder, results: Results, by: Collection[str] | None, most: int | None) -> tuple[pa.Table, int]:
    """At least the first `most` rows of `summary` (None: all of them), and how many it has."""
    if results.is_small:
        results.table()  # it is read once
    conditions = len(results.counts.done)
    ids = np.arange(1, conditions + 1)

    def pieces() -> Iterator[pa.Table]:
        return (outputs(run, piece) for piece in results.pieces(by_condition=True))

    schema = outputs(run, empty(results.schema))
    keys, values = group_values(pieces(), by)
    every: list[str | None] = [name for name in numeric(schema) if name not in keys]
    averaged = every[:most]  # the first rows are those of one condition and group
    if averaged:
        names = [*schema.column_names[:2], *averaged, *keys]
        found = _moments_of(lambda: (rows.select(names) for rows in pieces()), keys, values, averaged, results)
    else:
        values, every, averaged = [{}], [None], [None]
        found = _no_moments(1, conditions)
    labels = [group for group in values for _ in averaged]  # of each group and output, in this order
    many = len(labels)
    of = {name: part.T.ravel() for name, part in found.items()}  # in each condition all outputs
    columns: dict[str, Any] = {
        "condition": whole_numbers(np.repeat(ids, many)),
        "replication": pa.nulls(conditions * many, pa.int32()),  # which with_parameters expects
        "replications": whole_numbers(of["n"]),
        "failed": whole_numbers(np.repeat(results.counts.failed, many)),
        "missing": whole_numbers(of["missing"]),
        "warnings": whole_numbers(np.repeat(results.counts.warned, many)),
    }
    for key in keys:
        name = f"{key}_result" if key in FIXED else key
        columns[name] = pa.array([one.get(key) for one in labels] * conditions, schema[key].type)
    columns["output"] = plain_array(averaged * (many // len(averaged)) * conditions).cast(pa.string())
    columns |= {name: doubles(of[name]) for name in ("mean", "sd", "mcse")}
    joined = with_parameters(run, pa.table(columns), keep=True)
    return joined.drop_columns(["replication"]), len(joined) // len(averaged) * len(every)


def numeric(rows: pa.Table) -> list[str]:
    """Outputs that are numbers or logicals; durations count in seconds."""
    return [name for name, kind in kinds(rows) if is_number(kind)]


def _moments_of(
    pieces: Callable[[], Iterator[pa.Table]],
    keys: list[str],
    values: list[dict[str, Any]],
    averaged: list[Any],
    results: Results,
) -> dict[str, np.ndarray]:
    """What `_moments` gives, of each group and output in this order. A condition's rows are in one piece."""  # fmt: skip
    out = _no_moments(len(values) * len(averaged), len(results.counts.done))
    succeeded = results.counts.done - results.counts.failed
    nullable = [name for name in averaged if not pa.types.is_floating(results.schema.field(name).type)]
    empty = {(group, name) for group in range(len(values)) for name in nullable}  # without a value in any piece
    for rows in pieces() if nullable else ():
        for group, members in _members(rows, members_of(rows, keys, values)):
            empty -= {(group, name) for name in nullable if members[name].null_count < members.num_rows}
    for rows in pieces():
        for group, members in _members(rows, members_of(rows, keys, values)):
            first, last = rows["condition"][0].as_py(), rows["condition"][-1].as_py()
            some, at = slice(first - 1, last), group * len(averaged)
            without = {name for one, name in empty if one == group}
            for names in _batches(averaged, members.num_rows):
                for name, array in _moments(members, names, succeeded[some], first, without).items():
                    out[name][at : at + len(names), some] = array
                at += len(names)
    return out


def _members(rows: pa.Table, found: Groups) -> Iterator[tuple[int, pa.Table]]:
    """The number and the rows of each group that has some."""
    if not rows.num_rows:
        return
    if len(found.values) == 1:
        yield 0, rows
        return
    order = np.argsort(found.group, kind="stable")
    rows = rows.take(pa.array(order))
    ends = np.cumsum(np.bincount(found.group, minlength=len(found.values))).tolist()
    for group, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        if begin < end:
            yield group, rows.slice(begin, end - begin)


def _batches(names: list[Any], rows: int) -> list[list[Any]]:
    """The names in batches of about a million cells: few calls where there are many outputs, little memory where many rows."""
    size = max(1, 1_000_000 // max(1, rows))
    return [names[i : i + size] for i in range(0, len(names), size)]


def _no_moments(many: int, conditions: int) -> dict[str, np.ndarray]:
    out = {name: np.zeros((many, conditions), dtype=np.int64) for name in ("n", "missing")}
    return out | {name: np.full((many, conditions), np.nan) for name in ("mean", "sd", "mcse")}


def _moments(
    rows: pa.Table, names: list[str], succeeded: np.ndarray, first: int, without: Container[str]
) -> dict[str, np.ndarray]:
    """n, missing, mean, sd and MCSE: arrays of outputs x conditions.

    succeeded: number of replications that did not fail, by condition, of which `first` is the first one. without:
    outputs of which all rows of the run have none.
    """
    conditions, shape = len(succeeded), (len(names), len(succeeded))
    condition = as_numpy(rows["condition"]).astype(np.int64) - first
    found = [_values(rows[name], condition, conditions, name in without) for name in names]
    cell = np.concatenate(
        [i * conditions + condition[there] for i, (there, _) in enumerate(found)]
    )  # output and condition
    replication = np.concatenate([as_numpy(rows["replication"])[there] for there, _ in found])
    values = np.concatenate([values for _, values in found])

    def by_cell(weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(cell, weights, minlength=len(names) * conditions).reshape(shape)

    has_it = by_cell() > 0
    cell, values = _replication_means(cell, replication, values)
    valid = ~np.isnan(values)
    cell, values = cell[valid], values[valid]
    n = by_cell()
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = by_cell(values) / n
        deviation = np.where(np.isfinite(values), values - mean.ravel()[cell], np.nan)
        sd = np.sqrt(by_cell(deviation**2) / (n - 1))
        # a constant whose mean is rounded (0.1 three times) has no sd of 1e-17
        least = np.full(n.size, np.inf)
        most = -least
        np.minimum.at(least, cell, values)
        np.maximum.at(most, cell, values)
        sd[(least == most).reshape(shape) & np.isfinite(mean)] = 0.0
        return {
            "n": n,
            "missing": np.where(has_it, succeeded - n, 0),
            "mean": mean,
            "sd": np.where(n > 1, sd, np.nan),
            "mcse": np.where(n > 1, sd / np.sqrt(n), np.nan),
        }


def _values(
    column: pa.ChunkedArray, condition: np.ndarray, conditions: int, is_empty: bool
) -> tuple[np.ndarray | slice, np.ndarray]:
    """The rows that have an output, and its values there; NA is NaN. condition: of each row, from 0."""
    if pa.types.is_float64(column.type) and column.null_count == 0:
        return slice(None), as_numpy(column)
    column = column.combine_chunks()
    there = ~column.is_null().to_numpy(zero_copy_only=False)
    if not pa.types.is_floating(column.type):  # null is NA here; a condition of nulls alone has no such column
        there = (np.bincount(condition, there, minlength=conditions) > 0)[condition] | is_empty
    return there, column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()[there]


def _replication_means(cell: np.ndarray, replication: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each replication's mean: its rows are not independent, so they count as one."""
    new = np.r_[True, (cell[1:] != cell[:-1]) | (replication[1:] != replication[:-1])]
    if len(values) == 0 or new.all():
        return cell, values
    starts = np.flatnonzero(new)
    with np.errstate(invalid="ignore"):  # R's NA is a NaN of the kind that numpy warns of
        return cell[starts], np.add.reduceat(values, starts) / np.diff(np.r_[starts, len(values)])
