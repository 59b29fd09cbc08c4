"""Per condition: numbers of replications and failures; mean, sd and Monte Carlo standard error (MCSE) of each output."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..results.collect import Collected
from ..results.table import as_pandas, with_parameters
from ..store.run_folder import RunFolder
from ..sweep.conditions import read_conditions
from .row_keys import Groups, groups, is_number, kinds

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
    """Condition, replication and the outputs, named as in the table of results."""
    return with_parameters(run, results).drop_columns(list(run.record.parameters))


def summary(run: RunFolder, collected: Collected, by: Collection[str] | None = None) -> "pd.DataFrame":
    """A pandas.DataFrame with a row per condition and numeric output (logicals count as 0 and 1, durations in seconds).

    Columns: condition, the parameters, replications (those with a value), failed, missing (did not fail, but the value is NA,
    NaN or not there), warnings, output, mean, sd, mcse. The MCSE of a mean is sd / sqrt(n) (Morris, White & Crowther 2019,
    10.1002/sim.8086, Table 6). A condition whose replications all failed keeps its rows, with replications = 0. A column with
    the name of a parameter is renamed <name>_result.

    by: keys, see `groups`: each combination of their values has its own rows. Other rows of a replication are averaged first.
    """
    return first_rows(run, collected, by, None)[0]


def first_rows(
    run: RunFolder, collected: Collected, by: Collection[str] | None, most: int | None
) -> tuple["pd.DataFrame", int]:
    """At least the first `most` rows of `summary` (None: all of them), and how many it has."""
    conditions = len(read_conditions(run))
    ids = np.arange(1, conditions + 1)
    ok = collected.replications["ok"].to_numpy(zero_copy_only=False)
    done = collected.replications["condition"].to_numpy()
    failed = np.bincount(done[~ok], minlength=conditions + 1)[1:]
    succeeded = np.bincount(done[ok], minlength=conditions + 1)[1:]
    warned = np.bincount(
        collected.warnings["condition"].to_numpy(), collected.warnings["count"].to_numpy(), minlength=conditions + 1
    )[1:].astype(int)
    rows = outputs(run, collected.results)
    found = groups(rows, by)
    every: list[str | None] = [name for name in numeric(rows) if name not in found.keys]
    averaged = every[:most]  # the first rows are those of one condition and group
    labels: list[dict[str, Any]] = []  # of each group and output, in this order
    parts: list[dict[str, np.ndarray]] = []  # outputs x conditions, a part after the other
    for group, members in _members(rows.select([*rows.column_names[:2], *averaged]), found):
        labels += [group] * len(averaged)
        parts += [_moments(members, names, succeeded) for names in _batches(averaged, members.num_rows)]
    if not parts:
        labels, every, averaged = [{}], [None], [None]
        parts.append(_no_moments(conditions))
    many = len(labels)
    of = {
        name: np.concatenate([part[name] for part in parts]).T.ravel() for name in parts[0]
    }  # in each condition all outputs
    columns: dict[str, Any] = {
        "condition": pa.array(np.repeat(ids, many), pa.int32()),
        "replication": pa.nulls(conditions * many, pa.int32()),  # which with_parameters expects
        "replications": of["n"],
        "failed": np.repeat(failed, many),
        "missing": of["missing"],
        "warnings": np.repeat(warned, many),
    }
    for key in found.keys:
        name = f"{key}_result" if key in FIXED else key
        columns[name] = pa.array([one.get(key) for one in labels] * conditions, rows[key].type)
    columns["output"] = pa.array(averaged * (many // len(averaged)) * conditions, pa.string())
    columns |= {name: of[name] for name in ("mean", "sd", "mcse")}
    joined = with_parameters(run, pa.table(columns), keep=True)
    frame = as_pandas(joined.drop_columns(["replication"]), run.record.parameters)
    return frame, len(frame) // len(averaged) * len(every)


def numeric(rows: pa.Table) -> list[str]:
    """Outputs that are numbers or logicals; durations count in seconds."""
    return [name for name, kind in kinds(rows) if is_number(kind)]


def _members(rows: pa.Table, found: Groups) -> Iterator[tuple[dict[str, Any], pa.Table]]:
    """The keys' values and the rows of each group."""
    if len(found.values) == 1:
        yield found.values[0], rows
        return
    order = np.argsort(found.group, kind="stable")
    rows = rows.take(pa.array(order))
    ends = np.cumsum(np.bincount(found.group, minlength=len(found.values))).tolist()
    for labels, begin, end in zip(found.values, [0, *ends[:-1]], ends, strict=True):
        yield labels, rows.slice(begin, end - begin)


def _batches(names: list[Any], rows: int) -> list[list[Any]]:
    """The names in batches of about a million cells: few calls where there are many outputs, little memory where many rows."""
    size = max(1, 1_000_000 // max(1, rows))
    return [names[i : i + size] for i in range(0, len(names), size)]


def _no_moments(conditions: int) -> dict[str, np.ndarray]:
    nothing, unknown = np.zeros((1, conditions), dtype=np.int64), np.full((1, conditions), np.nan)
    return {"n": nothing, "missing": nothing, "mean": unknown, "sd": unknown, "mcse": unknown}


def _moments(rows: pa.Table, names: list[str], succeeded: np.ndarray) -> dict[str, np.ndarray]:
    """n, missing, mean, sd and MCSE: arrays of outputs x conditions. succeeded: number of replications that did not fail, by condition."""
    conditions, shape = len(succeeded), (len(names), len(succeeded))
    condition = rows["condition"].to_numpy().astype(np.int64) - 1
    found = [_values(rows[name], condition, conditions) for name in names]
    cell = np.concatenate(
        [i * conditions + condition[there] for i, (there, _) in enumerate(found)]
    )  # output and condition
    replication = np.concatenate([rows["replication"].to_numpy()[there] for there, _ in found])
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


def _values(column: pa.ChunkedArray, condition: np.ndarray, conditions: int) -> tuple[np.ndarray | slice, np.ndarray]:
    """The rows that have an output, and its values there; NA is NaN. condition: of each row, from 0."""
    if pa.types.is_float64(column.type) and column.null_count == 0:
        return slice(None), column.to_numpy()
    column = column.combine_chunks()
    there = ~column.is_null().to_numpy(zero_copy_only=False)
    if not pa.types.is_floating(column.type):  # null is NA here; a condition of nulls alone has no such column
        there = (np.bincount(condition, there, minlength=conditions) > 0)[condition] | (not there.any())
    return there, column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()[there]


def _replication_means(cell: np.ndarray, replication: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each replication's mean: its rows are not independent, so they count as one."""
    new = np.r_[True, (cell[1:] != cell[:-1]) | (replication[1:] != replication[:-1])]
    if len(values) == 0 or new.all():
        return cell, values
    starts = np.flatnonzero(new)
    with np.errstate(invalid="ignore"):  # R's NA is a NaN of the kind that numpy warns of
        return cell[starts], np.add.reduceat(values, starts) / np.diff(np.r_[starts, len(values)])
