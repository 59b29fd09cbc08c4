"""The figures of a condition's single estimates: zip plot, estimates, convergence, differences between methods."""

from collections.abc import Iterator

from ..analysis.cells import Cells
from ..analysis.measure_table import nominal_values
from . import html
from .convergence import convergence
from .differences import differences
from .grid import MOST_SHOWN, shown
from .marks import MOST_MARKS, MOST_METHODS, SHARES, courses, default_courses, estimates, intervals, one_truth, pairs
from .samples import MOST, Sample, samples
from .strip import strip
from .zip_plot import zip_plot


def raw_figures(cells: Cells) -> str:
    """The figures of each condition, of which the reader chooses one."""
    design = cells.source.design
    many = min(cells.source.conditions, MOST_SHOWN)
    methods = min(len(cells.estimates.labels), MOST_METHODS)
    room = max(20, min(MOST_MARKS, 27_000 // max(1, many * methods)))
    values = [design.table[name].to_pylist() for name in design.names] if design else []

    def label(condition: int) -> str:
        named = [f"{n}={shown(v[condition])}" for n, v in zip(design.names if design else (), values, strict=True)]
        return f"{condition + 1}: {', '.join(named)}" if named else f"condition {condition + 1}"

    def drawn() -> Iterator[tuple[str, str]]:
        for number, (condition, found) in enumerate(samples(cells)):
            if number == MOST_SHOWN:
                return
            yield label(condition), of_condition(cells, found, room)

    total = cells.source.conditions
    left = html.note(f"Of the first {MOST_SHOWN} of {total:,} conditions.") if total > MOST_SHOWN else ""
    return html.chooser("Condition", drawn()) + left


def of_condition(cells: Cells, found: list[Sample], room: int) -> str:
    """The figures of one condition. room: marks of a method in a figure."""
    some = [one for one in found if one.have("estimate").any()]
    notes = ""
    if len(some) > MOST_METHODS:
        notes, some = html.note(f"The first {MOST_METHODS} of {len(some)} methods."), some[:MOST_METHODS]
    if any(one.many > MOST for one in some):
        notes += html.note(f"Of each method the first {MOST:,} replications.")
    if not some:
        return notes + html.note("There is no estimate.")
    of_means = _convergence(cells, some)
    out = [_zip(some, room, 1 - cells.roles.alpha[0]), _strip(some, room), of_means, _differences(cells, found, room)]
    return notes + "".join(out)


def _zip(some: list[Sample], room: int, level: float) -> str:
    methods = intervals(some, room)
    if not methods:
        return ""
    misses = sum(int((~one.covers).sum()) for one in methods)
    all_misses, every = sum(one.many - one.covered for one in methods), sum(one.many for one in methods)
    drawn = sum(len(one.covers) for one in methods)
    caption = (
        f"Zip plot: intervals by the rank of |error| / standard error. Drawn are {drawn:,} of {every:,} intervals: {misses:,} of the "
        f"{all_misses:,} that do not cover the truth, {drawn - misses:,} of the {every - all_misses:,} that do"
        f"{', evenly by rank' if drawn < every else ''}. Dotted lines: exact 95 % interval of coverage. Solid line: nominal coverage."
    )
    return "<h3>Intervals</h3>" + html.figure(zip_plot(methods, level, titles=room >= 400), caption)


def _strip(some: list[Sample], room: int) -> str:
    methods = estimates(some, room // 2)
    drawn, every = sum(len(one.values) for one in methods), sum(one.many for one in methods)
    caption = (
        f"Drawn are {drawn:,} of {every:,} estimates, evenly by rank. Vertical lines: means of all; dashed: the truth."
    )
    return "<h3>Estimates</h3>" + html.figure(strip(methods, one_truth(some)), caption)


def _convergence(cells: Cells, some: list[Sample]) -> str:
    out, nominal = "", nominal_values(cells.roles)
    for measure in default_courses(cells.features):
        if made := courses(some, measure):
            caption = f"{measure.capitalize()} ± 1.96 Monte Carlo standard errors after the first replications."
            out += html.figure(convergence(measure, made, nominal.get(measure), measure in SHARES), caption)
    return "<h3>Convergence</h3>" + out if out else ""


def _differences(cells: Cells, found: list[Sample], room: int) -> str:
    """Each method against the reference, on the data sets that both have."""
    some = pairs(cells, found, room // 2, [one.name for one in found])[:MOST_METHODS]
    if not some:
        return ""
    drawn, every = sum(len(one.first) for one in some), sum(one.many for one in some)
    caption = (
        f"Difference of two methods against their mean, data set by data set (Bland and Altman): {drawn:,} of {every:,} pairs, evenly by "
        "rank. Solid: mean difference; dotted: ± 1.96 standard deviations."
    )
    return "<h3>Differences between methods</h3>" + html.figure(differences(some), caption)
