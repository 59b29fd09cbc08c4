"""A table of measures as conditions x methods, for the page's table and for figures of all conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..analysis.layouts import digits
from ..analysis.measure_table import MeasureTable
from . import html
from .forest import forest
from .nested_loop import nested_loop

MOST_SHOWN = 100  # conditions of a figure that has a row for each, or that are drawn one by one
_LAST = ("column", "measure")  # of the columns that say which row it is


@dataclass
class Grid:
    """keys: names of the columns of methods. rows: for each condition and method its number, parameters and keys. values: by measure and
    column of the table, by row."""

    parameters: tuple[str, ...]
    keys: list[str]
    rows: list[tuple[Any, ...]]
    values: dict[str, dict[int, tuple[float, float, int, int, int, float | None]]]


def grid(found: MeasureTable) -> Grid:
    """The table by condition and method."""
    columns = found.table.to_pydict()

    def named(name: str) -> str:
        return f"{name}_result" if f"{name}_result" in columns else name

    names = list(columns)
    first = names[: names.index(named("measure"))]
    head = [name for name in first if name == "condition" or name in found.parameters]
    keys = [name for name in first if name not in head]
    at: dict[tuple[Any, ...], int] = {}
    values: dict[str, dict[int, Any]] = {}
    nominal = columns.get(named("nominal"), [None] * found.table.num_rows)
    parts = [columns[named(name)] for name in ("measure", "estimate", "mcse", "replications", "missing", "failed")]
    ids = list(zip(*(columns[name] for name in first), strict=True)) if first else [()] * found.table.num_rows
    for row, measure, *rest in zip(ids, *parts, nominal, strict=True):
        key = tuple(map(repr, row))
        number = at.setdefault(key, len(at))
        values.setdefault(measure, {})[number] = tuple(rest)
    seen: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in ids:
        seen.setdefault(tuple(map(repr, row)), row)
    rows = [row if "condition" in first else (1, *row) for row in seen.values()]
    return Grid(found.parameters, keys, rows, values)


@dataclass
class Cross:
    """Conditions by methods, for figures of all conditions. conditions: their numbers. labels: what these are called. methods: names.
    varied: by parameter that varies, the value of each condition as text."""

    conditions: list[int]
    labels: list[str]
    methods: list[str]
    varied: dict[str, list[str]]
    _values: dict[str, dict[tuple[int, str], tuple[float, float, int, int, int, float | None]]]

    @property
    def measures(self) -> list[str]:
        return [*self._values]

    def of(self, measure: str) -> tuple[np.ndarray, np.ndarray, float | None]:
        """Estimates and MCSEs of a measure, arrays of conditions x methods with NaN where there is none, and its nominal value."""
        some = self._values[measure]
        rows = [[some.get((c, m), (np.nan, np.nan))[:2] for m in self.methods] for c in self.conditions]
        both = np.array(rows, dtype=float).reshape(len(self.conditions), len(self.methods), 2)
        return both[..., 0], both[..., 1], next((v[5] for v in some.values() if v[5] is not None), None)


def cross(one: Grid) -> Cross:
    """The grid as conditions x methods."""
    wide = 1 + len(one.parameters)
    first = {row[0]: row for row in reversed(one.rows)}
    conditions = list(dict.fromkeys(row[0] for row in one.rows))
    keys = [(row[0], ", ".join(map(shown, row[wide:]))) for row in one.rows]
    parameters = {name: [first[c][1 + i] for c in conditions] for i, name in enumerate(one.parameters)}
    return Cross(
        conditions,
        labels(parameters, conditions),
        list(dict.fromkeys(method for _, method in keys)),
        varying(parameters),
        {name: {keys[number]: values for number, values in some.items()} for name, some in one.values.items()},
    )


def varying(parameters: Mapping[str, Sequence[Any]]) -> dict[str, list[str]]:
    """The parameters that vary between conditions, as text. parameters: by name the value of each condition."""
    texts = {name: list(map(shown, values)) for name, values in parameters.items()}
    return {name: values for name, values in texts.items() if len(set(values)) > 1}


def labels(parameters: Mapping[str, Sequence[Any]], conditions: Sequence[int]) -> list[str]:
    """What conditions are called: by the parameters that vary, or by number. conditions: their numbers."""
    some = varying(parameters)
    return [
        ", ".join(f"{name}={values[i]}" for name, values in some.items()) or f"condition {number}"
        for i, number in enumerate(conditions)
    ]


def shown(value: Any) -> str:
    """A value of a parameter, or of a column of methods."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def measures_table(one: Grid, contrast: bool = False) -> str:
    """A row for each condition and method, with estimate (MCSE) of each measure in the digits that the MCSE supports."""
    names = ["condition", *one.parameters, *one.keys, "replications", "missing", "failed", *one.values]
    fixed = 1 + len(one.parameters) + len(one.keys)
    rows = []
    for number, row in enumerate(one.rows):
        there = [some[number] for some in one.values.values() if number in some]
        _, _, n, missing, failed, _ = next((v for v in there if np.isfinite(v[0])), there[0])
        cells = []
        for name, some in one.values.items():
            if number not in some:
                cells.append("")
                continue
            estimate, mcse, own = (*digits(some[number][0], some[number][1]), some[number][2])
            text = f"{estimate} ({mcse})" if mcse else estimate
            cells.append(text + (f" [{own:,}]" if own != n and text and name != "nonconvergence" else ""))
        rows.append([*map(shown, row), f"{n:,}", f"{missing:,}", f"{failed:,}", *cells])
    numeric = {i for i in range(len(names)) if i >= fixed or i == 0}
    numeric |= {
        1 + i for i in range(len(one.parameters)) if all(isinstance(row[1 + i], int | float) for row in one.rows)
    }
    says = "The difference from the reference" if contrast else "The estimate"
    return html.note(
        f"{says} of each measure, with its Monte Carlo standard error in parentheses: the digits that it supports. "
        "Where a measure stands on another number of replications than the row says, that number is in brackets."
    ) + html.table(names, rows, numeric, range(1, fixed))


def measures_figures(one: Grid, wanted: Sequence[str] = ()) -> str:
    """Nested loop plot and forest plot of each measure."""
    crossed = cross(one)

    def drawn(measure: str) -> str:
        estimate, mcse, nominal = crossed.of(measure)
        out = ""
        if len(crossed.labels) > 1:
            svg = nested_loop(measure, crossed.varied, crossed.methods, estimate, nominal)
            out += html.figure(
                svg, "Nested loop plot: the measure in each condition, with the parameters of the conditions below."
            )
        few = slice(0, MOST_SHOWN)
        svg = forest(measure, crossed.labels[few], crossed.methods, estimate[few], mcse[few], nominal)
        left = (
            f" The first {MOST_SHOWN} of {len(crossed.labels):,} conditions."
            if len(crossed.labels) > MOST_SHOWN
            else ""
        )
        return out + html.figure(
            svg, f"Estimate ± 1.96 Monte Carlo standard errors. The dashed line is the nominal value.{left}"
        )

    order = [name for name in (*wanted, *one.values) if name in one.values]
    return html.chooser("Measure", ((name, drawn(name)) for name in dict.fromkeys(order)))
