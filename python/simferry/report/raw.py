"""The figures of a condition's single estimates: zip plot, estimates, convergence, differences between methods."""

from collections.abc import Iterator

import numpy as np

from ..analysis.cells import Cells
from . import html
from .convergence import convergence, course
from .differences import Pairs, differences
from .grid import MOST_SHOWN, shown
from .samples import MOST, Sample, evenly, name_of, samples
from .strip import Estimates, strip
from .zip_plot import Intervals, ranked, zip_plot

MOST_METHODS = 6  # beside each other in a figure


def raw_figures(cells: Cells) -> str:
    """The figures of each condition, of which the reader chooses one."""
    design = cells.source.design
    many = min(cells.source.conditions, MOST_SHOWN)
    methods = min(len(cells.estimates.labels), MOST_METHODS)
    room = max(20, min(2000, 27_000 // max(1, many * methods)))
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
    level = 1 - cells.roles.alpha[0]
    out = [_zip(some, room, level), _strip(some, room), _convergence(some, level), _differences(cells, found, room)]
    return notes + "".join(out)


def _zip(some: list[Sample], room: int, level: float) -> str:
    methods = []
    for one in some:
        there = one.have("error", "lower", "upper", "covered")
        if not there.any():
            continue
        error, lower, upper, covered = (one.features[name][there] for name in ("error", "lower", "upper", "covered"))
        truth = one.features["truth"][there]
        has_se = "variance" in one.features
        spread = np.sqrt(one.features["variance"][there]) if has_se else upper - lower
        with np.errstate(invalid="ignore", divide="ignore"):
            rank = ranked(error, spread)
        covers = covered == 1
        kept = _kept(rank, covers, room)
        methods.append(
            Intervals(
                one.name,
                (lower - truth)[kept],
                (upper - truth)[kept],
                rank[kept],
                covers[kept],
                len(rank),
                int(covers.sum()),
            )
        )
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


def _kept(rank: np.ndarray, covers: np.ndarray, room: int) -> np.ndarray:
    """The rows that are drawn: those that do not cover, as far as there is room, and others evenly by rank."""
    order = np.argsort(rank)
    misses, others = order[~covers[order]], order[covers[order]]
    first = misses[evenly(len(misses), room)]
    return np.sort(np.r_[first, others[evenly(len(others), max(room - len(first), room // 3))]])


def _strip(some: list[Sample], room: int) -> str:
    methods = []
    for one in some:
        values = np.sort(one.features["estimate"][one.have("estimate")])
        methods.append(Estimates(one.name, values[evenly(len(values), room // 2)], float(values.mean()), len(values)))
    truth = None
    if all("truth" in one.features for one in some):
        all_truths = np.unique(np.concatenate([one.features["truth"][one.have("truth")] for one in some]))
        truth = float(all_truths[0]) if len(all_truths) == 1 else None
    drawn, every = sum(len(one.values) for one in methods), sum(one.many for one in methods)
    caption = (
        f"Drawn are {drawn:,} of {every:,} estimates, evenly by rank. Vertical lines: means of all; dashed: the truth."
    )
    return "<h3>Estimates</h3>" + html.figure(strip(methods, truth), caption)


def _convergence(some: list[Sample], level: float) -> str:
    out = ""
    for feature, measure, nominal in (
        ("error", "bias", 0.0),
        ("estimate", "mean", None),
        ("covered", "coverage", level),
    ):
        if feature == "estimate" and out:
            continue
        courses = [
            course(one.name, one.features[feature][there]) for one in some if (there := one.have(feature)).sum() > 1
        ]
        if courses:
            caption = f"{measure.capitalize()} ± 1.96 Monte Carlo standard errors after the first replications."
            out += html.figure(convergence(measure, courses, nominal, measure == "coverage"), caption)
    return "<h3>Convergence</h3>" + out if out else ""


def _differences(cells: Cells, found: list[Sample], room: int) -> str:
    """Each method against the reference, on the data sets that both have."""
    if cells.reference is None or not cells.source.is_paired or len(found) < 2:
        return ""
    wanted = next((i for i in range(len(cells.estimates.labels)) if cells.reference[i] == i), 0)
    base = next((one for one in found if one.name == name_of(cells, wanted)), None)
    pairs: list[Pairs] = []
    for one in found:
        if base is None or one is base or len(pairs) == MOST_METHODS:
            continue
        _, mine, others = np.intersect1d(one.unit, base.unit, return_indices=True)
        first, second = one.features["estimate"][mine], base.features["estimate"][others]
        there = ~np.isnan(first + second)
        first, second = first[there], second[there]
        if len(first) > 1:
            kept = np.argsort(first - second, kind="stable")[evenly(len(first), room // 2)]
            away = first - second
            pairs.append(
                Pairs(
                    one.name,
                    base.name,
                    first[kept],
                    second[kept],
                    float(away.mean()),
                    float(away.std(ddof=1)),
                    len(first),
                )
            )
    if not pairs:
        return ""
    drawn, every = sum(len(one.first) for one in pairs), sum(one.many for one in pairs)
    caption = (
        f"Difference of two methods against their mean, data set by data set (Bland and Altman): {drawn:,} of {every:,} pairs, evenly by "
        "rank. Solid: mean difference; dotted: ± 1.96 standard deviations."
    )
    return "<h3>Differences between methods</h3>" + html.figure(differences(pairs), caption)
