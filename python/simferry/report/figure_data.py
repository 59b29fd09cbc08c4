"""The data of a figure as plain tables, for whatever draws it: matplotlib here, base R and ggplot2 there.

A figure has a kind, panels, and marks in them. `data` has a row for each mark, `panels` one for each panel with what is drawn once in it.
Both have `condition` (its number), `label` (what it is called: n=10, sd=2), `method` ("" where there is one) and `measure` where the kind
has them, by which they belong together:

    kind                data                                                      panels
    zip                 lower, upper (minus the truth), percentile, covers       many, replications, covered, coverage, low, high (exact
                                                                                 95 % interval of coverage), nominal
    estimates           estimate                                                 many, replications, mean, truth (null: there is not one)
    convergence         measure, replications, estimate, mcse, lower, upper      measure, nominal (no method: a panel has all of them)
    differences         reference, mean (of both), difference                    reference, many, replications, mean (difference), sd,
                                                                                 lower, upper
    forest, lolly       measure, estimate, mcse, lower, upper                    measure, nominal (neither condition nor method)
    nested_loop         the same, and position (from 1)                          the same

`loops`, of a nested loop plot alone, has the steps below it: parameter, position, value (text), level (from 0 to 1). What there is not is
null or NaN. many: how many values there are, of so many replications, of which some failed or have none. Means, numbers and coverage are of
all values, also where a figure has not room for each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ..analysis.cells import Cells
from ..analysis.measure_table import MeasureTable, measure_table, nominal_values
from ..analysis.outliers import Outliers
from ..analysis.sources import Source
from ..errors import UsageError, nearest
from ..hints import Option
from ..sweep.roles import Roles
from ..words import joined
from .grid import cross, grid, labels, shown
from .marks import (
    MEANS,
    MOST_MARKS,
    MOST_METHODS,
    SHARES,
    courses,
    default_courses,
    estimates,
    intervals,
    one_truth,
    pairs,
    references,
)
from .nested_loop import loops
from .samples import MOST, Sample, name_of, samples
from .zip_plot import exact_interval

OF_MEASURES = ("forest", "lolly", "nested_loop")
KINDS = ("zip", *OF_MEASURES, "estimates", "convergence", "differences")
FIRST = ("bias", "coverage", "empirical_se", "mse", "rejection", "relative_error")  # of the figures of measures
MOST_MEASURES = 3  # that are drawn where none is asked for
MOST_CONDITIONS = 4  # of single estimates
MOST_ROWS = 90  # of a figure with a row for each condition and method


@dataclass(frozen=True)
class FigureData:
    """data, panels, loops: as the module says. methods: all names, in the order of their colours. notes: what is not drawn."""

    kind: str
    data: pa.Table
    panels: pa.Table
    loops: pa.Table | None
    methods: list[str]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Choice:
    """What of all is drawn. conditions: numbers; methods, measures: names; None: what there is room for."""

    conditions: Sequence[int] | None = None
    methods: Sequence[str] | None = None
    measures: Sequence[str] | None = None

    def of_conditions(self, known: Sequence[int]) -> list[int] | None:
        """The chosen ones. Raises UsageError where there is no such condition."""
        for one in self.conditions or ():
            if one not in known:
                raise UsageError(
                    f"conditions: there is no condition {one!r} with results",
                    f"They go from {min(known)} to {max(known)}.",
                )
        return None if self.conditions is None else sorted(set(self.conditions))

    def of_methods(self, known: Sequence[str]) -> list[str]:
        """The chosen ones, in their order. Raises UsageError where there is no such method."""
        for one in self.methods or ():
            if one not in known:
                raise UsageError(
                    f"methods: there is no method {one!r}",
                    nearest(one, known) or f"There are: {', '.join(known[:20])}."
                    if any(known)
                    else "There is one method.",
                )
        return [one for one in known if self.methods is None or one in self.methods]


def figure_of(kind: str, choice: Choice) -> Callable[..., FigureData]:
    """What makes a figure of a source and roles, with the options of measure_table."""

    def made(
        source: Source, roles: Roles, wanted: Sequence[str] | None, complete: bool, outliers: Outliers, **how: Any
    ) -> FigureData:
        some, own = replace(choice, measures=wanted), how["own"].names if how.get("own") else ()
        with np.errstate(all="ignore"):  # of estimates that are very large
            if kind not in OF_MEASURES:
                return of_estimates(kind, Cells(source, roles, complete, outliers), some)
            others = None if wanted is None else [name for name in wanted if name not in own]
            return of_measures(kind, measure_table(source, roles, others, complete, outliers=outliers, **how), some)

    return made


def check_kind(kind: Any) -> None:
    """Raises UsageError for what is no kind of figure."""
    if kind not in KINDS:
        hint = nearest(kind, KINDS) if isinstance(kind, str) else ""
        raise UsageError(f"there is no figure {kind!r}", hint or f"There are: {', '.join(KINDS)}.")


def chosen(conditions: Any = None, methods: Any = None) -> Choice:
    """conditions: numbers, methods: names of those that are drawn; None: all that there is room for. Raises UsageError."""
    return Choice(_numbers(conditions), _names(methods))


def _numbers(value: Any) -> list[int] | None:
    if value is None:
        return None
    listed = np.ravel(np.asarray(value, dtype=object)).tolist()
    if not listed or not all(
        isinstance(one, int | float | np.number) and not isinstance(one, bool) and one == np.floor(one)
        for one in listed
    ):
        raise UsageError(f"conditions is {value!r}; it takes numbers of conditions, from 1 on")
    return [int(one) for one in listed]


def _names(value: Any) -> list[str] | None:
    if value is None:
        return None
    return list(map(shown, [value] if isinstance(value, str) or not isinstance(value, Iterable) else value))


# ---- figures of measures ----


def of_measures(kind: str, found: MeasureTable, choice: Choice) -> FigureData:
    """The data of a forest, lolly or nested loop plot. Raises UsageError."""
    crossed = cross(grid(found))
    labelled = crossed.labels if len(crossed.labels) > 1 else [""]
    measures = [name for name in dict.fromkeys((*FIRST, *crossed.measures)) if name in crossed.measures]
    if choice.measures is None:
        measures = measures[: 1 if kind == "nested_loop" else MOST_MEASURES]
    else:
        measures = [name for name in dict.fromkeys(choice.measures) if name in measures]
    if not measures:
        raise UsageError("there is no measure to draw: no condition has results")
    methods = choice.of_methods(crossed.methods)
    chosen, notes = choice.of_conditions(crossed.conditions), list(found.notes)
    room = len(crossed.conditions) if kind == "nested_loop" else max(1, MOST_ROWS // len(methods))
    if chosen is None:
        chosen = crossed.conditions[:room]
        notes += _left_out(chosen, len(crossed.conditions))
    numbers = {one: row for row, one in enumerate(crossed.conditions)}
    rows = np.array([numbers[one] for one in chosen])
    steps = None
    if kind == "nested_loop":
        if len(rows) < 2:
            raise UsageError("a nested loop plot needs two conditions or more", "Use forest or lolly for one.")
        varied = {name: [values[i] for i in rows] for name, values in crossed.varied.items()}
        order, levels = loops(varied, len(rows))
        rows = rows[order]
        steps = _steps(varied, order, levels)
    at = np.ix_(rows, np.array([crossed.methods.index(one) for one in methods]))
    where = {
        "condition": np.repeat([crossed.conditions[row] for row in rows], len(methods)),
        "label": [labelled[row] for row in rows for _ in methods],
        "method": methods * len(rows),
    }
    if kind == "nested_loop":
        where["position"] = np.repeat(np.arange(1, len(rows) + 1), len(methods))
    data, panels, compared = [], [], _references(found)
    difference = ", difference" + (f" from {compared[0]}" if len(compared) == 1 else "") if compared else ""
    for measure in measures:
        estimate, mcse, nominal = crossed.of(measure)
        measure += difference
        panels.append({"measure": measure, "nominal": 0.0 if difference else nominal})
        middle, half = estimate[at].ravel(), 1.96 * mcse[at].ravel()
        ends = {"estimate": middle, "mcse": mcse[at].ravel(), "lower": middle - half, "upper": middle + half}
        data.append({**where, "measure": measure, **ends})
    names = [*dict.fromkeys([*compared, *crossed.methods])]  # a method has one colour, whether it is compared or not
    return FigureData(kind, _marks(data), _panels(panels), steps, names, notes)


def _references(found: MeasureTable) -> list[str]:
    """The references of a table of contrasts."""
    is_contrast = {"reference", "paired"} <= set(found.table.column_names)
    return list(map(shown, found.table["reference"].unique().to_pylist())) if is_contrast else []


def of_known(kind: str, table: pa.Table, choice: Choice) -> FigureData | None:
    """The data of a figure of measures or contrasts that a table already has; None where it is no such table. Raises UsageError."""
    names = table.column_names
    if not {"measure", "estimate", "mcse", "replications", "missing", "failed"} <= set(names):
        return None
    if kind not in OF_MEASURES:
        raise UsageError(
            f"a figure of kind {kind} shows single estimates, and this is a table of measures",
            f"Draw {joined(OF_MEASURES)}, or pass the run or its results.",
        )
    keys = [name for name in names[: names.index("measure")] if name != "condition"]
    constant = [name for name in keys if "condition" in names and _is_constant(table, name)]
    found = MeasureTable(table, tuple(constant), [])
    known = table["measure"].unique().to_pylist()
    for name in choice.measures or ():
        if name not in known:
            raise UsageError(f"there is no measure {name!r}", nearest(name, known) or f"There are: {', '.join(known)}.")
    return of_measures(kind, found, choice)


def _is_constant(table: pa.Table, name: str) -> bool:
    """Whether a column is a parameter: it has one value in each condition."""
    pairs = table.select(["condition", name]).group_by(["condition", name]).aggregate([])
    return len(pairs) == len(pairs["condition"].unique())


def _steps(varied: dict[str, list[str]], order: np.ndarray, levels: dict[str, np.ndarray]) -> pa.Table | None:
    rows = [
        {"parameter": name, "position": position + 1, "value": varied[name][at], "level": float(levels[name][position])}
        for name in varied
        for position, at in enumerate(order)
    ]
    return pa.Table.from_pylist(rows) if rows else None


# ---- figures of single estimates ----


def of_estimates(kind: str, cells: Cells, choice: Choice) -> FigureData:
    """The data of a figure of single estimates. Raises UsageError for what needs a column that is not there."""
    methods = [name_of(cells, label) for label in range(len(cells.estimates.labels))]
    some = choice.of_methods(methods)
    notes = cells.notes()
    _check(kind, cells, choice)
    if len(some) > MOST_METHODS and choice.methods is None:
        notes.append(f"The figure has the first {MOST_METHODS} of {len(some)} methods; `methods` chooses others.")
        some = some[:MOST_METHODS]
    known = [i + 1 for i in range(cells.source.conditions) if cells.present.reshape(-1, len(methods))[i].any()]
    if not known:
        raise UsageError("there is no estimate to draw: no condition has results")
    wanted = choice.of_conditions(known)
    if wanted is None:
        wanted = known[:MOST_CONDITIONS]
        notes += _left_out(wanted, len(known))
    names, expected = _labels(cells), cells.expected()
    data: list[dict[str, Any]] = []
    panels: list[dict[str, Any]] = []
    for number, found in samples(cells):
        if number + 1 > wanted[-1]:
            break
        if number + 1 not in wanted:
            continue
        if any(one.many > MOST for one in found):
            notes.append(f"Of each method the first {MOST:,} replications of condition {number + 1} are looked at.")
        where = {"condition": number + 1, "label": names[number]}
        for panel, marks in _PARTS[kind](cells, found, some, choice):
            if "many" in panel:
                panel["replications"] = int(expected[number * len(methods) + methods.index(panel["method"])])
            panels.append({**where, **panel})
            data += [{**where, **mark} for mark in marks]
    if not data:
        many = "two estimates or more" if kind in ("convergence", "differences") else "an estimate"
        raise UsageError(f"there is nothing to draw: no method has {many} in the chosen conditions")
    return FigureData(kind, _marks(data), _panels(panels), None, methods, notes)


Parts = Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]  # panels, and the marks in each


def _zip(cells: Cells, found: Sequence[Sample], wanted: Sequence[str], choice: Choice) -> Parts:
    made = {one.name: one for one in intervals(found, MOST_MARKS)}
    for name in wanted:
        one = made.get(name)
        if one is None:
            yield {"method": name, "many": 0, "covered": 0}, []
            continue
        low, high = exact_interval(one.covered, one.many)
        says = {"coverage": one.covered / one.many, "low": low, "high": high, "nominal": 1 - cells.roles.alpha[0]}
        marks = {"lower": one.lower, "upper": one.upper, "percentile": one.percentile, "covers": one.covers}
        yield {"method": name, "many": one.many, "covered": one.covered, **says}, [{"method": name, **marks}]


def _estimates(cells: Cells, found: Sequence[Sample], wanted: Sequence[str], choice: Choice) -> Parts:
    some = [one for one in found if one.name in wanted and one.have("estimate").any()]
    made, truth = {one.name: one for one in estimates(some, MOST_MARKS // 2)}, one_truth(some)
    for name in wanted:
        one = made.get(name)
        if one is None:
            yield {"method": name, "many": 0, "truth": truth}, []
        else:
            mark = {"method": name, "estimate": one.values}
            yield {"method": name, "many": one.many, "mean": one.mean, "truth": truth}, [mark]


def _convergence(cells: Cells, found: Sequence[Sample], wanted: Sequence[str], choice: Choice) -> Parts:
    some = [one for one in found if one.name in wanted]
    nominal = nominal_values(cells.roles)
    for measure in choice.measures or default_courses(cells.features):
        marks = []
        for one in courses(some, measure):
            lower, upper = one.band(measure in SHARES)
            values = {"replications": one.many, "estimate": one.mean, "mcse": one.mcse, "lower": lower, "upper": upper}
            marks.append({"method": one.name, "measure": measure, **values})
        yield {"measure": measure, "nominal": nominal.get(measure)}, marks


def _differences(cells: Cells, found: Sequence[Sample], wanted: Sequence[str], choice: Choice) -> Parts:
    made = {one.name: one for one in pairs(cells, found, MOST_MARKS // 2, wanted)}
    for name, reference in references(cells).items():
        if name not in wanted or name == reference:
            continue
        one = made.get(name)
        if one is None:
            yield {"method": name, "reference": reference, "many": 0}, []
            continue
        ends = {"lower": one.mean - 1.96 * one.sd, "upper": one.mean + 1.96 * one.sd}
        marks = {"mean": (one.first + one.second) / 2, "difference": one.first - one.second}
        says = {"reference": reference, "many": one.many, "mean": one.mean, "sd": one.sd, **ends}
        yield {"method": name, **says}, [{"method": name, "reference": reference, **marks}]


_PARTS: dict[str, Callable[[Cells, Sequence[Sample], Sequence[str], Choice], Parts]] = {
    "zip": _zip,
    "estimates": _estimates,
    "convergence": _convergence,
    "differences": _differences,
}


def _check(kind: str, cells: Cells, choice: Choice) -> None:
    """Raise UsageError for what the columns do not allow."""
    if kind in ("estimates", "differences") and cells.roles.are_tests():
        raise UsageError(
            f"a figure of kind {kind} needs estimates, and there are p-values alone", Option("estimate", "est")
        )
    if kind == "zip" and "covered" not in cells.features:
        raise UsageError("a zip plot needs the truth, and standard errors or intervals", Option("truth", "theta"))
    if kind == "differences" and (cells.reference is None or len(cells.estimates.labels) < 2):
        raise UsageError("differences need the columns that tell the methods apart", Option("by", ["method"]))
    if kind == "differences" and not cells.source.is_paired:
        raise UsageError(
            "differences need to know which rows are of one data set; name the column that says it",
            Option("data_set", "dataset"),
        )
    if choice.measures is not None and kind != "convergence":
        raise UsageError(f"a figure of kind {kind} shows no measures", "Leave measures out, or draw forest or lolly.")
    for name in choice.measures or ():
        known = [one for one, feature in MEANS.items() if feature in cells.features]
        if name not in known:
            raise UsageError(
                f"the convergence of {name!r} can't be drawn: it is no mean of these columns",
                nearest(name, known) or f"There are: {', '.join(known)}.",
            )


def _left_out(chosen: Sequence[int], many: int) -> list[str]:
    if len(chosen) == many:
        return []
    return [f"The figure has the first {len(chosen)} of {many:,} conditions; `conditions` chooses others."]


def _labels(cells: Cells) -> list[str]:
    many, design = cells.source.conditions, cells.source.design
    parameters = {name: design.table[name].to_pylist() for name in design.names} if design else {}
    return labels(parameters, range(1, many + 1)) if many > 1 else [""]


# ---- tables ----

_NUMBERS = (
    "mean",
    "truth",
    "coverage",
    "low",
    "high",
    "nominal",
    "sd",
    "lower",
    "upper",
)  # of panels, that may be null


def _marks(blocks: Sequence[dict[str, Any]]) -> pa.Table:
    """The rows of all blocks. A block has arrays and lists of one length, and single values that are in each of its rows."""
    columns: dict[str, list[Any]] = {}
    for block in blocks:
        many = next(len(one) for one in block.values() if isinstance(one, np.ndarray))
        for name, one in block.items():
            columns.setdefault(name, []).append(one if isinstance(one, np.ndarray | list) else [one] * many)
    return pa.table({name: np.concatenate(parts) for name, parts in columns.items()})


def _panels(rows: Sequence[dict[str, Any]]) -> pa.Table:
    names = dict.fromkeys(name for row in rows for name in row)
    kinds = {name: pa.float64() for name in names if name in _NUMBERS}
    return pa.table({name: pa.array([row.get(name) for row in rows], kinds.get(name)) for name in names})
