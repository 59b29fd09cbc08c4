"""The measures of a run or of any table, and their differences between methods: a row for each condition, method and measure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..hints import Option
from ..results.table import as_pandas
from ..sweep.arrow import doubles, plain_array, whole_numbers
from ..sweep.roles import Roles
from .cells import Cells
from .contrast import differences, relative_precision
from .estimates import Chapter
from .measure import Measured, measures
from .outliers import NONE, Outliers
from .own_measures import Functions, own_measures
from .quantiles import quantiles
from .sources import Source
from .statistics import Statistic, available

if TYPE_CHECKING:
    import pandas as pd

_OTHERS = ("relative_precision", "nonconvergence")


@dataclass(frozen=True)
class MeasureTable:
    """table: condition, the parameters, the columns of `by`, measure, estimate, mcse, replications (that the estimate stands on), missing,
    failed, and nominal or reference and paired. Of these, one with the name of a parameter is renamed <name>_result. notes: what was
    excluded, and what the numbers of replications stand for."""

    table: pa.Table
    parameters: tuple[str, ...]
    notes: list[str]

    def frame(self) -> "pd.DataFrame":
        return as_pandas(self.table, self.parameters)


def measure_table(
    source: Source,
    roles: Roles,
    wanted: Collection[str] | None = None,
    complete: bool = True,
    formula: bool = False,
    at: Sequence[float] = (),
    outliers: Outliers = NONE,
    own: Functions | None = None,
    bootstrap: bool = False,
) -> MeasureTable:
    """The measures. wanted: their names; None: all that the roles allow. complete: n counts replications that have estimate and
    standard error; else each measure counts those that have what it needs. formula: MCSEs by published formulas throughout. at: the
    probabilities of quantiles, besides the median. outliers: what becomes of these. own: measures of the user. bootstrap: for their
    standard errors. Raises UsageError."""
    some = Cells(source, roles, complete, outliers)
    of = {} if roles.are_tests() else {"median": 0.5, **{f"quantile_{p:g}": p for p in at}}
    chosen = _chosen(available(some.features, len(roles.alpha)), wanted, [*of, *(own.names if own else ())])
    cells = some.estimates.cells
    of = {name: p for name, p in of.items() if wanted is None or name in wanted or p in at}
    is_compared = some.reference is not None and source.is_paired and not roles.are_tests()
    is_compared = is_compared and (wanted is None or "relative_precision" in wanted)

    def computed(chapter: Chapter) -> dict[str, Measured]:
        out = measures(chapter.pieces, cells, chosen, formula)
        if is_compared:
            out["relative_precision"] = relative_precision(some.pairs(["estimate"], chapter), cells, formula)
        if of:
            out.update(zip(of, quantiles(chapter.pieces, cells, [*of.values()]), strict=True))
        return out

    found = some.measured(computed)
    if wanted is None or "nonconvergence" in wanted:
        found["nonconvergence"] = some.nonconvergence()
    if own:
        found.update(own_measures(some, own, bootstrap))
    nominal = nominal_values(roles)
    rows = _Rows(some, some.shown(), found)
    if some.reference is not None:  # which has no precision relative to itself
        label = rows.cell % len(some.estimates.labels)
        rows.drop((rows.measure == "relative_precision") & np.isin(label, some.reference))
    if own:  # of several estimates, rows of a replication are measured once
        first = np.array([one.estimate == 0 for one in some.estimates.labels])
        rows.drop(np.isin(rows.measure, [*own.names]) & ~first[rows.cell % len(first)])
    if "relative_bias" in found:  # there is none where the truth is 0
        empty = (found["relative_bias"].n == 0) & (some.estimates.tally.there > 0)
        rows.drop((rows.measure == "relative_bias") & empty[rows.cell])
    columns = rows.columns()
    columns["nominal"] = pa.array([nominal.get(name) for name in rows.measure], pa.float64())
    return _table(some, rows.keys(), columns)


def contrast_table(
    source: Source,
    roles: Roles,
    wanted: Collection[str] | None = None,
    complete: bool = True,
    outliers: Outliers = NONE,
) -> MeasureTable:
    """The differences of measures from those of the reference. Parameters as in `measure_table`. Raises UsageError."""
    some = Cells(source, roles, complete, outliers)
    if some.reference is None:
        raise UsageError("a contrast needs the columns that tell the methods apart", Option("by", ["method"]))
    if not source.is_paired:
        raise UsageError(
            "a contrast needs to know which rows are of one data set; name the column that says it",
            Option("data_set", "dataset"),
        )
    known = available(some.features, len(roles.alpha))
    if source.is_shared:
        known.pop("bias_eliminated_coverage", None)
    chosen = _chosen(known, wanted)
    names = {name for one in chosen.values() for name in one.features}
    if source.is_shared:
        found = some.measured(lambda chapter: differences(some.pairs(names, chapter), some.estimates.cells, chosen))
    else:
        found = some.measured(lambda chapter: measures(chapter.pieces, some.estimates.cells, chosen))
        found = _independent(some, found)
    cells, labels = some.shown(), some.estimates.labels
    reference = np.array(some.reference)
    cells = cells[
        ~np.isin(reference[cells % len(labels)], -1) & (reference[cells % len(labels)] != cells % len(labels))
    ]
    rows = _Rows(some, cells, found)
    columns = rows.columns()
    label = np.repeat(cells % len(labels), len(found))
    columns["reference"] = plain_array([some.name_of(reference[one]) for one in label])
    columns["paired"] = plain_array([source.is_shared] * len(label))
    return _table(some, rows.keys(), columns)


def _independent(some: Cells, found: Mapping[str, Measured]) -> dict[str, Measured]:
    """Differences of independent measures from those of their references."""
    labels = len(some.estimates.labels)
    cells = np.arange(some.estimates.cells)
    other = cells - cells % labels + np.array(some.reference)[cells % labels]
    return {
        name: Measured(
            one.estimate - one.estimate[other], np.hypot(one.mcse, one.mcse[other]), np.minimum(one.n, one.n[other])
        )
        for name, one in found.items()
    }


def _chosen(
    known: Mapping[str, Statistic], wanted: Collection[str] | None, others: Collection[str] = ()
) -> dict[str, Statistic]:
    for name in wanted or ():
        if name not in known and name not in others and name not in _OTHERS:
            raise UsageError(
                f"there is no measure {name!r} of these columns",
                nearest(name, known) or f"There are: {', '.join(known)}.",
            )
    return {name: one for name, one in known.items() if wanted is None or name in wanted}


def nominal_values(roles: Roles) -> dict[str, float]:
    """What a measure is for a method without fault."""
    level = 1 - roles.alpha[0]
    zero = dict.fromkeys(("bias", "relative_bias", "relative_error"), 0.0)
    return {**zero, "coverage": level, "bias_eliminated_coverage": level}


class _Rows:
    """Rows of a table of measures: by cell all measures."""

    def __init__(self, some: Cells, cells: np.ndarray, found: Mapping[str, Measured]) -> None:
        names = np.array([*found], dtype=object)
        self._some, self.cell, self.measure = some, np.repeat(cells, len(names)), np.tile(names, len(cells))

        def of(part: str) -> np.ndarray:
            each = [getattr(one, part)[cells] for one in found.values()]
            return np.stack(each, axis=1).ravel() if each else np.empty(0)

        self.values = {part: of(part) for part in ("estimate", "mcse", "n")}

    def drop(self, which: np.ndarray) -> None:
        self.cell, self.measure = self.cell[~which], self.measure[~which]
        self.values = {name: values[~which] for name, values in self.values.items()}

    def keys(self) -> dict[str, Any]:
        """The columns that say which cell a row is of."""
        some, labels = self._some, self._some.estimates.labels
        source, label = some.source, self.cell % len(labels)
        condition = self.cell // len(labels)
        out: dict[str, Any] = {} if source.is_single else {"condition": whole_numbers(condition + 1)}
        if source.design:
            at = whole_numbers(condition)
            out |= {name: source.design.table[name].take(at) for name in source.design.names}
        for key in some.estimates.keys:
            values = pa.array([one.keys[key] for one in labels], source.schema.field(key).type)
            out[f"{key}_result" if key in out else key] = values.take(whole_numbers(label))
        return out

    def columns(self) -> dict[str, Any]:
        """The other columns."""
        some, labels = self._some, self._some.estimates.labels
        n, failed = self.values["n"].astype(np.int64), some.source.failed[self.cell // len(labels)]
        missing = np.where(self.measure == "nonconvergence", 0, some.expected()[self.cell] - failed - n)
        out: dict[str, Any] = {}
        if len(some.roles.estimate) > 1:
            out["column"] = plain_array([some.roles.estimate[labels[one].estimate] for one in self.cell % len(labels)])
        return {
            **out,
            "measure": plain_array(self.measure.tolist()).cast(pa.string()),
            "estimate": doubles(self.values["estimate"]),
            "mcse": doubles(self.values["mcse"]),
            "replications": whole_numbers(n),
            "missing": whole_numbers(missing),
            "failed": whole_numbers(failed),
        }


def _table(some: Cells, keys: Mapping[str, Any], columns: Mapping[str, Any]) -> MeasureTable:
    design = some.source.design
    named = {f"{name}_result" if name in keys else name: values for name, values in columns.items()}
    return MeasureTable(pa.table({**keys, **named}), tuple(design.names) if design else (), some.notes())
