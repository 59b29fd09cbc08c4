"""Runs that go on until they are precise enough: a look at the results, and how many replications are wanted then."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..analysis.cells import Cells
from ..analysis.measure import Measured, measures
from ..analysis.sources import Source, of_run
from ..analysis.statistics import ALSO_CALLED, available
from ..analysis.until import distance, next_look
from ..errors import Note, UsageError, nearest
from ..hints import Option, Text, Words
from ..results import table as results
from ..store import counts
from ..store.counts import Counts
from ..store.records import Precision
from ..store.run_folder import RunFolder
from ..sweep.roles import roles
from ..sweep.stopping import Until
from ..words import counted

_SHARES = ("coverage", "bias_eliminated_coverage", "rejection")


def further(run: RunFolder) -> Counts | None:
    """How many replications of each condition a run wants, of which all that it has wanted until now are there. None: no more.

    Raises UsageError for a rule of measures that its outputs do not have."""
    rule = Until.of_record(run.record.until)
    if rule is None:
        return None
    ratio, names, done, failed = results.reading(
        run, lambda found: _look(of_run(run, found), rule, run.record.measures)
    )
    fails = (failed == done) & (done > 0)  # more of the same tells nothing
    wanted = np.where(fails, done, next_look(done, ratio, rule))
    settled = bool((wanted <= done).all())
    known = np.where(np.isnan(ratio), np.inf, ratio)
    worst, short = int(known.argmax()), known > 1
    run.write_precision(Precision(
        settled=settled, enough=int(np.count_nonzero(~short)), condition=worst + 1, measure=names[worst], ratio=float(known[worst]),
    ))  # fmt: skip
    if settled and short.any():
        why = (
            f"have replications that all failed, or as many as {Option('most')} allows"
            if fails.any()
            else f"reached {Option('most')}"
        )
        times = f"{known[worst]:.2g} times its target" if np.isfinite(known[worst]) else "not known"
        warnings.warn(
            Note(
                f"{counted(int(short.sum()), 'condition')} of run {run.id} {why} before the target; "
                f"furthest is condition {worst + 1}: the MCSE of {names[worst]} is {times}"
            ),
            stacklevel=4,
        )
    return None if settled else counts.simplest(wanted.tolist())


def _look(
    source: Source, rule: Until, given: Mapping[str, Any]
) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray]:
    """`distances`, and how many replications of each condition are done, and have failed."""
    done, failed = source.done, source.failed
    if (failed == done).all():  # there are no outputs
        return np.full(len(done), np.nan), [next(iter(rule.targets))] * len(done), done, failed
    return *distances(source, rule, given), done, failed


def needed_until(run: RunFolder, rule: Until) -> tuple[Counts, int]:
    """How many replications each condition needs, as far as those that are there tell, and how many conditions tell something; others
    count as the median. An MCSE falls with the square root of the number of replications."""
    ratio, _, done, _ = results.reading(run, lambda found: _look(of_run(run, found), rule, run.record.measures))
    known = np.isfinite(ratio) & (done > 1)
    needed = np.full(len(done), float(rule.most))
    needed[known] = done[known] * ratio[known] ** 2
    needed[~known] = np.median(needed[known]) if known.any() else rule.most
    looks = np.ceil(needed / rule.batch) * rule.batch
    return counts.simplest(np.clip(looks, rule.least, rule.most).astype(int).tolist()), int(known.sum())


def distances(source: Source, rule: Until, given: Mapping[str, Any]) -> tuple[np.ndarray, list[str]]:
    """By condition how many times as large as its target the MCSE is of the measure and method that is furthest from it, and which
    measure that is. NaN where it is not known. Raises UsageError."""
    out, names = np.full(source.conditions, -np.inf), [""] * source.conditions
    for name, target, some, measured, is_share in measures_of(source, rule, given):
        found = distance({name: measured}, {name} if is_share else set(), Until({name: target}))
        found = np.where(np.isnan(found), np.inf, found)
        found[~np.isin(np.arange(len(found)), some.shown())] = -np.inf  # a method that is not in this condition
        furthest = found.reshape(source.conditions, -1).max(axis=1)
        for i in np.flatnonzero(furthest > out):
            out[i], names[i] = furthest[i], name
    return np.where(np.isinf(out), np.nan, out), names


def measures_of(
    source: Source, rule: Until, given: Mapping[str, Any], option: Words | None = None
) -> Iterator[tuple[str, float, Cells, Measured, bool]]:
    """Each target's name, value, cells and measure, and whether that is a share of replications."""
    outputs = source.outputs()
    of_measures: Cells | None = None
    for name, target in rule.targets.items():
        plain = name.removeprefix("measure:")
        if plain == name and name in outputs:  # the mean of an output
            some = Cells(source, roles({"estimate": name, "by": given.get("by")}), complete=False)
            pieces = some.estimates.pieces()
            is_share = all(np.isin(rows.of(["estimate"]).features["estimate"], (0, 1)).all() for rows in pieces)
            yield name, target, some, _one(some, "mean"), is_share
            continue
        measure = ALSO_CALLED.get(plain, plain)
        some = of_measures = of_measures or Cells(source, roles(given), complete=True)
        known = available(some.features)
        if measure not in known:
            raise UsageError(
                Text(option or Option("until"), f": {name!r} is neither an output nor a measure of these columns"),
                nearest(measure, [*outputs, *known]) or f"There are: {', '.join([*outputs, *known])}.",
            )
        yield measure, target, some, _one(some, measure), measure in _SHARES


def _one(some: Cells, measure: str) -> Measured:
    one = {measure: available(some.features)[measure]}
    return some.measured(lambda chapter: measures(chapter.pieces, some.estimates.cells, one))[measure]
