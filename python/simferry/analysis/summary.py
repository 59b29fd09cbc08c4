"""Per condition: numbers of replications and failures; mean, sd and Monte Carlo standard error (MCSE) of each output."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..results.collect import Collected
from ..results.table import as_pandas, with_parameters
from ..store.run_folder import RunFolder
from ..sweep.conditions import read_conditions
from .row_keys import Groups, groups, texts

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
    """A pandas.DataFrame with a row per condition and numeric output (logicals count as 0 and 1).

    Columns: condition, the parameters, replications (those with a value), failed, missing (did not fail, but the value is NA,
    NaN or not there), warnings, output, mean, sd, mcse. The MCSE of a mean is sd / sqrt(n) (Morris, White & Crowther 2019,
    10.1002/sim.8086, Table 6). A condition whose replications all failed keeps its rows, with replications = 0. A column with
    the name of a parameter is renamed <name>_result.

    by: keys, see `groups`: each combination of their values has its own rows. Other rows of a replication are averaged first.
    """
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
    averaged = [name for name in numeric(rows) if name not in found.keys]
    parts: list[tuple[dict[str, Any], str | None, dict[str, np.ndarray]]] = []
    for labels, members in _members(rows, found):
        parts += [(labels, name, _moments(members, name, succeeded)) for name in averaged]
    if not parts:
        nothing = np.zeros(conditions, dtype=np.int64)
        parts.append(({}, None, {"n": nothing, "missing": nothing}))
    tables = []
    for order, (labels, output, of) in enumerate(parts):
        columns: dict[str, Any] = {
            "condition": pa.array(ids, pa.int32()),
            "replication": pa.nulls(conditions, pa.int32()),  # which with_parameters expects
            "replications": of["n"],
            "failed": failed,
            "missing": of["missing"],
            "warnings": warned,
        }
        for key in found.keys:
            name = f"{key}_result" if key in FIXED else key
            columns[name] = pa.array([labels.get(key)] * conditions, rows[key].type)
        columns["output"] = pa.array([output] * conditions, pa.string())
        columns |= {s: of.get(s, np.full(conditions, np.nan)) for s in ("mean", "sd", "mcse")}
        columns["order"] = np.full(conditions, order)
        tables.append(pa.table(columns))
    joined = pa.concat_tables(tables).sort_by([("condition", "ascending"), ("order", "ascending")])
    joined = with_parameters(run, joined.drop_columns(["order"]), keep=True)
    return as_pandas(joined.drop_columns(["replication"]), run.record.parameters)


def numeric(rows: pa.Table) -> list[str]:
    text = texts(rows)
    return [name for name in rows.column_names[2:] if name not in text]


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


def _moments(rows: pa.Table, name: str, succeeded: np.ndarray) -> dict[str, np.ndarray]:
    """n, missing, mean, sd and MCSE of one output, by condition. succeeded: number of replications that did not fail, by condition."""
    conditions = len(succeeded)
    condition = rows["condition"].to_numpy()
    column = rows[name].combine_chunks()
    there = ~column.is_null().to_numpy(zero_copy_only=False)
    if not pa.types.is_floating(column.type):  # null is NA here; a condition of nulls alone has no such column
        there = (np.bincount(condition, there, minlength=conditions + 1) > 0)[condition] | (not there.any())
    values = column.cast(pa.float64()).fill_null(np.nan).to_numpy()
    condition, values, replication = condition[there], values[there], rows["replication"].to_numpy()[there]
    has_it = np.bincount(condition, minlength=conditions + 1)[1:] > 0
    condition, values = _replication_means(condition, replication, values)
    valid = ~np.isnan(values)
    condition, values = condition[valid], values[valid]
    n = np.bincount(condition, minlength=conditions + 1)[1:]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(condition, values, minlength=conditions + 1)[1:] / n
        deviation = np.where(np.isfinite(values), values - mean[condition - 1], np.nan)
        sd = np.sqrt(np.bincount(condition, deviation**2, minlength=conditions + 1)[1:] / (n - 1))
        return {
            "n": n,
            "missing": np.where(has_it, succeeded - n, 0),
            "mean": mean,
            "sd": np.where(n > 1, sd, np.nan),
            "mcse": np.where(n > 1, sd / np.sqrt(n), np.nan),
        }


def _replication_means(
    condition: np.ndarray, replication: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each replication's mean: its rows are not independent, so they count as one."""
    new = np.r_[True, (condition[1:] != condition[:-1]) | (replication[1:] != replication[:-1])]
    if len(values) == 0 or new.all():
        return condition, values
    starts = np.flatnonzero(new)
    return condition[starts], np.add.reduceat(values, starts) / np.diff(np.r_[starts, len(values)])
