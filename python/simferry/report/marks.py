"""What the figures of a condition's single estimates show: intervals, estimates, means as they converge, pairs of estimates."""

from collections.abc import Collection, Sequence

import numpy as np

from ..analysis.cells import Cells
from .convergence import Course, course
from .differences import Pairs
from .samples import Sample, evenly, name_of
from .strip import Estimates
from .zip_plot import Intervals, ranked

MOST_METHODS = 6  # beside each other in a figure
MOST_MARKS = 2000  # of a method in a figure
MEANS = {  # measures that are means of a feature
    "bias": "error",
    "mean": "estimate",
    "coverage": "covered",
    "rejection": "rejected",
    "relative_bias": "relative",
    "mse": "squared",
    "width": "width",
}
SHARES = ("coverage", "rejection")


def intervals(some: Sequence[Sample], room: int) -> list[Intervals]:
    """The intervals of each method that has some; at most `room` of them, and a third more where most of them do not cover."""
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
        lower, upper = (lower - truth)[kept], (upper - truth)[kept]
        methods.append(Intervals(one.name, lower, upper, rank[kept], covers[kept], len(rank), int(covers.sum())))
    return methods


def _kept(rank: np.ndarray, covers: np.ndarray, room: int) -> np.ndarray:
    """The rows that are drawn: those that do not cover, as far as there is room, and others evenly by rank."""
    order = np.argsort(rank)
    misses, others = order[~covers[order]], order[covers[order]]
    first = misses[evenly(len(misses), room)]
    return np.sort(np.r_[first, others[evenly(len(others), max(room - len(first), room // 3))]])


def estimates(some: Sequence[Sample], room: int) -> list[Estimates]:
    """The estimates of each method that has some, in their order; at most `room` of them."""
    methods = []
    for one in some:
        values = np.sort(one.features["estimate"][one.have("estimate")])
        if len(values):
            methods.append(Estimates(one.name, values[evenly(len(values), room)], float(values.mean()), len(values)))
    return methods


def one_truth(some: Sequence[Sample]) -> float | None:
    """The truth of all rows; None where there is none, or not one."""
    if not some or not all("truth" in one.features for one in some):
        return None
    found = np.unique(np.concatenate([one.features["truth"][one.have("truth")] for one in some]))
    return float(found[0]) if len(found) == 1 else None


def courses(some: Sequence[Sample], measure: str) -> list[Course]:
    """The measure, one of MEANS, of each method that has two values, after the first replications."""
    feature = MEANS[measure]
    found = ((one, one.have(feature)) for one in some)
    return [course(one.name, one.features[feature][there]) for one, there in found if there.sum() > 1]


def default_courses(features: Collection[str]) -> list[str]:
    """The measures whose convergence is drawn where none is asked for: bias, or the mean where there is no truth, and coverage."""
    first = "bias" if MEANS["bias"] in features else "mean"
    return [measure for measure in (first, "coverage") if MEANS[measure] in features]


def references(cells: Cells) -> dict[str, str]:
    """By method the one that it is compared with, which may be itself; without methods that have none."""
    names = [name_of(cells, label) for label in range(len(cells.estimates.labels))]
    return {name: names[at] for name, at in zip(names, cells.reference or (), strict=False) if at >= 0}


def pairs(cells: Cells, found: Sequence[Sample], room: int, methods: Collection[str]) -> list[Pairs]:
    """Each method with its reference, on the data sets that both have; at most `room` pairs. None where rows are not known to be of
    one data set. found: the methods of one condition. methods: names of those that are wanted."""
    if not cells.source.is_paired:
        return []
    by_name, compared = {one.name: one for one in found}, references(cells)
    out: list[Pairs] = []
    for one in found:
        base = by_name.get(compared.get(one.name, ""))
        if base is None or one is base or one.name not in methods:
            continue
        _, mine, others = np.intersect1d(one.unit, base.unit, return_indices=True)
        first, second = one.features["estimate"][mine], base.features["estimate"][others]
        there = ~np.isnan(first + second)
        first, second = first[there], second[there]
        if len(first) > 1:
            away = first - second
            kept = np.argsort(away, kind="stable")[evenly(len(first), room)]
            mean, sd = float(away.mean()), float(away.std(ddof=1))
            out.append(Pairs(one.name, base.name, first[kept], second[kept], mean, sd, len(first)))
    return out
