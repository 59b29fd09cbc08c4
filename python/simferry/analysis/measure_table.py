"""The measures of a run or a table as one table: a row for each condition, method and measure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError, nearest
from ..hints import Option
from ..results.table import as_pandas
from ..sweep.arrow import doubles, plain_array, whole_numbers
from ..words import counted
from .contrast import PairPieces, differences, pairs_of, relative_precision
from .estimates import Estimates, Label
from .measure import Measured, measures
from .quantiles import quantiles
from .roles import Roles
from .sources import Source, keys_of
from .statistics import Statistic, available

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class MeasureTable:
    """table: condition, the parameters, by, measure, estimate, mcse, n, missing, failed. notes: what was excluded, and what the numbers
    of replications stand for."""

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
) -> MeasureTable:
    """The measures. wanted: their names; None: all that the roles allow. complete: n counts replications that have estimate and
    standard error; else each measure counts those that have what it needs. formula: MCSEs by published formulas throughout. at: the
    probabilities of quantiles, besides the median. Raises UsageError."""
    some = _Cells(source, roles, complete)
    chosen = _chosen(available(some.features, len(roles.alpha)), wanted, roles)
    found = measures(some.estimates.pieces, some.estimates.cells, chosen, formula)
    if some.reference is not None and (wanted is None or "relative_precision" in wanted):
        found["relative_precision"] = relative_precision(some.pairs(["estimate"]), some.estimates.cells, formula)
    of = {"median": 0.5, **{f"quantile_{p:g}": p for p in at}}
    of = {name: p for name, p in of.items() if wanted is None or name in wanted or p in at}
    if of:
        found.update(zip(of, quantiles(some.estimates.pieces, some.estimates.cells, [*of.values()]), strict=True))
    if wanted is None or "nonconvergence" in wanted:
        found["nonconvergence"] = some.nonconvergence()
    return some.table(found)


def contrast_table(
    source: Source, roles: Roles, wanted: Collection[str] | None = None, complete: bool = True
) -> MeasureTable:
    """The differences of measures from those of the reference. Parameters as in `measure_table`. Raises UsageError."""
    some = _Cells(source, roles, complete)
    if some.reference is None:
        raise UsageError("contrast needs the columns that tell the methods apart", Option("by", ["method"]))
    if not source.is_paired:
        raise UsageError(
            "contrast needs to know which rows are of one data set",
            Option("replication", "dataset") + "  names the column that says it.",
        )
    known = {
        name: one
        for name, one in available(some.features, len(roles.alpha)).items()
        if name != "bias_eliminated_coverage"
    }
    chosen = _chosen(known, wanted, roles)
    names = {name for one in chosen.values() for name in one.features}
    found = differences(some.pairs(names), some.estimates.cells, chosen)
    return some.table(found, only_compared=True)


def _chosen(known: Mapping[str, Statistic], wanted: Collection[str] | None, roles: Roles) -> dict[str, Statistic]:
    others = ("relative_precision", "median", "nonconvergence")
    for name in wanted or ():
        if name not in known and name not in others:
            raise UsageError(
                f"there is no measure {name!r} of these columns",
                nearest(name, known) or f"There are: {', '.join(known)}.",
            )
    return {name: one for name, one in known.items() if wanted is None or name in wanted}


class _Cells:
    """The cells of a table: what is in them, and their rows of the table of measures."""

    def __init__(self, source: Source, roles: Roles, complete: bool) -> None:
        self.source, self.roles = source, replace(roles, by=keys_of(source, roles.by, roles.columns()))
        self.estimates = Estimates(source.pieces, source.schema, self.roles, source.conditions, complete)
        self.present = np.zeros(self.estimates.cells, dtype=np.int64)  # rows
        self.there = np.zeros(self.estimates.cells, dtype=np.int64)  # rows with an estimate that counts
        self.features: set[str] = set()
        for rows in self.estimates.pieces():
            self.features |= {*rows.features, *(("mean_covered",) if rows.ends is not None else ())}
            self.present += np.bincount(rows.cell, minlength=len(self.present))
            self.there += np.bincount(rows.cell[rows.have(["estimate"])], minlength=len(self.there))
        self.reference = self._references()

    def pairs(self, names: Collection[str]) -> PairPieces:
        """The methods beside their references, with some features."""
        return lambda: pairs_of(self.estimates.blocks(), self.reference or [], names)

    def _references(self) -> list[int] | None:
        """By label the number of the label that it is compared with; None where there is no such choice."""
        labels, keys = self.estimates.labels, self.estimates.keys
        if not keys and len(self.roles.estimate) < 2:
            return None
        key, given = (keys[0] if keys else "estimate"), self.roles.reference

        def of(label: Label) -> Any:
            return label.keys[keys[0]] if keys else self.roles.estimate[label.estimate]

        values = list(dict.fromkeys(of(label) for label in labels))
        wanted = values[0] if given is None else next((value for value in values if _same(value, given)), None)
        if wanted is None:
            known = ", ".join(map(str, values))
            raise UsageError(
                f"reference: no row has the {key} {given!r}",
                nearest(str(given), map(str, values)) or f"There are: {known}.",
            )

        def rest(label: Label) -> tuple[Any, ...]:
            return (*(label.keys[name] for name in keys[1:]), label.estimate if keys else 0)

        at = {rest(label): number for number, label in enumerate(labels) if of(label) == wanted}
        return [at.get(rest(label), -1) for label in labels]

    def nonconvergence(self) -> Measured:
        """The share of replications without an estimate."""
        many = self.expected()
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (many - self.there) / many
            return Measured(share, np.sqrt(share * (1 - share) / many), many)

    def expected(self) -> np.ndarray:
        """The replications of each cell, with those that failed."""
        return np.repeat(self.source.done, len(self.estimates.labels)) if self.source.is_paired else self.present

    def table(self, found: Mapping[str, Measured], only_compared: bool = False) -> MeasureTable:
        """A row for each cell and measure, in this order."""
        labels, many = self.estimates.labels, len(self.estimates.labels)
        shown = self.present.reshape(-1, many) > 0
        shown |= ~shown.any(axis=1, keepdims=True) & (self.source.done > 0)[:, None]
        absent = [(labels[j], int((~shown[:, j] & (self.source.done > 0)).sum())) for j in range(many)]
        if only_compared:
            shown &= np.array([self.reference[j] not in (-1, j) for j in range(many)])  # type: ignore[index]
        cells = np.flatnonzero(shown.ravel())
        condition, label = cells // many, cells % many
        names = list(found)
        columns: dict[str, Any] = {"condition": whole_numbers(np.repeat(condition + 1, len(names)))}
        design = self.source.design
        if design:
            at = whole_numbers(np.repeat(condition, len(names)))
            columns |= {name: design.table[name].take(at) for name in design.names}
        schema = self.source.schema
        for key in self.estimates.keys:
            values = pa.array([one.keys[key] for one in labels], schema.field(key).type)
            columns[key] = values.take(whole_numbers(np.repeat(label, len(names))))
        if len(self.roles.estimate) > 1:
            values = plain_array([self.roles.estimate[one.estimate] for one in labels])
            columns["column"] = values.take(whole_numbers(np.repeat(label, len(names))))
        columns["measure"] = plain_array(names * len(cells)).cast(pa.string())

        def of(part: str) -> np.ndarray:
            return np.stack([getattr(found[name], part)[cells] for name in names], axis=1).ravel()

        columns |= {"estimate": doubles(of("estimate")), "mcse": doubles(of("mcse"))}
        n = of("n")
        failed = np.repeat(self.source.failed[condition], len(names))
        columns["n"] = whole_numbers(n)
        columns["missing"] = whole_numbers(np.repeat(self.expected()[cells], len(names)) - failed - n)
        columns["failed"] = whole_numbers(failed)
        return MeasureTable(pa.table(columns), tuple(design.names) if design else (), self._notes(absent))

    def _notes(self, absent: list[tuple[Label, int]]) -> list[str]:
        notes = [
            f"{counted(many, 'value')}: {what}; they count as missing"
            for what, many in self.estimates.excluded.counts.items()
        ]
        for label, many in absent:
            if many:
                name = " ".join(map(str, label.keys.values()))
                notes.append(f"{name} has no rows in {counted(many, 'condition')}, and is left out there")
        return notes


def _same(value: Any, given: Any) -> bool:
    """Whether a value is meant by what was given, which may be a text."""
    return bool(value == given) or str(value) == str(given)
