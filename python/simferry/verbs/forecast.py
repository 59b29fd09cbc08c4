"""Forecasts time and cost of a sweep on SageMaker Processing, by instance type and number of jobs, and on AWS Batch, by number of jobs.

A pilot on this machine measures how long replications take. The other assumptions, which users see (`ASSUMED`), are cautious:
time and cost are rather too high than too low.

- A core there is as fast as one here, for all generations of instance types.
- Two vCPUs are the two hyper-threads of one core, and together do 1.3 times the work of one alone: a vCPU does 0.65.
- With m slots the work takes work / m + (1 - 1/m) x the longest replication: the upper bound if a free slot always takes the
  next replication (Graham 1969, 10.1137/0117039), as within a job. Between jobs the work is dealt evenly.
- All jobs start at once, need START_UP_SECONDS to start, run until the last has ended, and are paid for all this time.
- A whole script is no faster on more cores than it had here.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..aws.instances import instance, instances
from ..aws.prices import REMEDY, START_UP_SECONDS, Prices
from ..backends.base import Machine
from ..errors import UsageError
from ..hints import Option
from ..sweep.options import MOST
from ..words import duration

FAMILIES = ("c6i", "c5", "c7i", "m6i", "m5", "m7i")  # to choose from; at equal cost the first is taken
JOBS_AT_MOST = 100  # more need quotas that few accounts have
VCPU_SPEED = 0.65
ROWS = 8  # besides those asked for
ROUND = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)  # numbers of jobs that are shown
SPEED = f"assumed: a core there is as fast as one here; a vCPU, half a core, does {VCPU_SPEED} of its work"
ASSUMED = (
    SPEED,
    f"assumed: a job starts in {duration(START_UP_SECONDS)}, which is paid for; your quotas let all jobs run at once",
    "not counted: storage and transfer. Not checked: memory (GiB per vCPU: 2 in types c, 4 in m, 8 in r)",
)


@dataclass(frozen=True)
class Work:
    """The replications to compute. seconds: of all of them together; longest: of the longest one; both on `cores` cores here.

    whole_instance: an instance runs one replication at a time, however many cores it has.
    """

    replications: int
    seconds: float
    longest: float
    cores: int = 1
    whole_instance: bool = False


@dataclass(frozen=True)
class Row:
    """A way to run the sweep. instance_type: or the size of a job, in words. cores: vCPUs of a job. seconds, dollars: of the whole run.
    remark: why it is shown."""

    instance_type: str
    jobs: int
    cores: float
    seconds: float
    dollars: float
    remark: str = ""


@dataclass
class CloudForecast:
    """rows: the ways asked for, then the best ones from cheap to fast. cheapest: within the deadline; fastest: within the
    budget; each None if there is no deadline or budget, or no such way. notes: a sentence each."""

    rows: list[Row]
    cheapest: Row | None
    fastest: Row | None
    notes: list[str]


NOTHING_LEFT = CloudForecast([], None, None, ["there is nothing left to compute"])


def forecast(
    work: Work,
    prices: Prices,
    *,
    deadline: float | None = None,
    budget: float | None = None,
    instance_types: Sequence[str] = (),
    jobs: int | None = None,
    workers: int | None = None,
    only: bool = False,
) -> CloudForecast:
    """The forecast. deadline: seconds. budget: US dollars. workers: cores to use of each instance; None: all.

    instance_types or jobs restrict the choice; if both are given, these ways come first and all others follow, unless `only` these
    are possible.
    """
    if not work.replications:
        return NOTHING_LEFT
    asked: list[Row] = []
    remedy = [str(REMEDY)] if prices.asked != prices.region else []
    notes = [prices.note, *remedy, *ASSUMED]
    if only:
        asked = [*_ways(work, _machines(prices, instance_types, workers), jobs)]
        return _chosen(asked, asked, notes, deadline, budget)
    if instance_types and jobs:
        ways = _ways(work, _machines(prices, instance_types, workers), jobs)
        asked = [replace(row, remark="as asked for") for row in ways]
        instance_types, jobs = (), None
    rows = [*_ways(work, _machines(prices, instance_types, workers), jobs)]
    return _chosen(rows, asked, notes, deadline, budget)


def forecast_of(
    work: Work,
    machine: Machine,
    *,
    deadline: float | None = None,
    budget: float | None = None,
    jobs: int | None = None,
    only: bool = False,
) -> CloudForecast:
    """The forecast for machines of one size, by number of jobs. As `forecast`; `jobs` comes first, and others follow, or `only` these."""
    if not work.replications:
        return NOTHING_LEFT
    asked = [replace(row, remark="as asked for") for row in _ways(work, [machine], jobs)] if jobs else []
    notes = [*machine.notes, SPEED]
    if budget and machine.attempts > 1:
        notes.insert(
            0,
            f"the budget counts {machine.attempts} attempts of each job, made or not; the cost above is that of one. "
            f"{Option('attempts', 1)}  allows more jobs",
        )
    return _chosen(asked if only else [*_ways(work, [machine], None)], asked, notes, deadline, budget, machine.attempts)


def _chosen(
    ways: list[Row], asked: list[Row], notes: list[str], deadline: float | None, budget: float | None, attempts: int = 1
) -> CloudForecast:
    """The best of the ways. attempts: of each job, which the budget has to allow."""
    rows = sorted(ways, key=_by_dollars)
    cheapest = next((row for row in rows if deadline and row.seconds <= deadline), None)
    within = (row for row in rows if budget and attempts * row.dollars <= budget)
    fastest = min(within, key=_by_seconds, default=None)
    notes = [*_impossible(rows, cheapest, fastest, deadline, budget, attempts), *notes]
    if cheapest and deadline:
        cheapest = replace(cheapest, remark=f"cheapest within {duration(deadline)}")
    if fastest and budget:
        fastest = replace(fastest, remark=f"fastest within ${budget:,.2f}")
    best = [row for row in (cheapest, fastest) if row]
    return CloudForecast(_shown(rows, asked, best), cheapest, fastest, notes)


def seconds_on(work: Work, cores: int, jobs: int, start_up: float = START_UP_SECONDS) -> float:
    """Seconds from submission to the end of the last job. cores: vCPUs of an instance. jobs: their number. start_up: seconds."""
    alone = max(1.0, work.cores / cores) / VCPU_SPEED  # how much longer a replication takes than here
    slots = min(jobs * _at_once(work, cores), work.replications)
    return start_up + alone * (work.seconds / slots + (1 - 1 / slots) * work.longest)


def _machines(prices: Prices, instance_types: Sequence[str], workers: int | None) -> Iterator[Machine]:
    """The given instance types, or all that are offered."""
    known = instances()
    types = [n for n in prices.dollars_per_hour if n in known and _family(n) in FAMILIES]
    for name in instance_types or types:
        vcpus = instance(name).cores
        yield Machine(name, vcpus, min(vcpus, workers or vcpus), prices.of(name), START_UP_SECONDS, JOBS_AT_MOST, MOST)


def _ways(work: Work, machines: Iterable[Machine], jobs: int | None) -> Iterator[Row]:
    """Rows for every machine and useful number of jobs, or for the number given. Jobs beyond those that run at once wait for them."""
    for one in machines:
        useful = math.ceil(work.replications / _at_once(work, one.cores))
        counts = [min(jobs, work.replications)] if jobs else range(1, min(one.jobs_at_most, useful) + 1)
        for count in counts:
            paid = min(count, one.jobs_at_once)
            seconds = seconds_on(work, one.cores, paid, one.start_up)
            yield Row(one.name, count, one.vcpus, seconds, round(paid * seconds / 3600 * one.dollars_an_hour, 4))


def _at_once(work: Work, cores: int) -> int:
    """How many replications an instance runs at a time."""
    return 1 if work.whole_instance else max(1, cores // work.cores)


def _family(instance_type: str) -> str:
    return instance_type.partition(".")[2].partition(".")[0]


def _preference(row: Row) -> tuple[Any, ...]:
    family = _family(row.instance_type)
    return (row.jobs, FAMILIES.index(family) if family in FAMILIES else len(FAMILIES))


def _by_dollars(row: Row) -> tuple[Any, ...]:
    return (row.dollars, row.seconds, *_preference(row))


def _by_seconds(row: Row) -> tuple[Any, ...]:
    return (row.seconds, row.dollars, *_preference(row))


def _impossible(
    rows: list[Row],
    cheapest: Row | None,
    fastest: Row | None,
    deadline: float | None,
    budget: float | None,
    attempts: int,
) -> Iterator[str]:
    """Notes on a deadline or budget that can't be met, with the nearest way."""
    if deadline and not cheapest:
        enough = 1.05 * min(row.seconds for row in rows)  # the very fastest may cost far more
        nearest = next(row for row in rows if row.seconds <= enough)
        yield f"nothing ends within {duration(deadline)}; the nearest is about {_in_words(nearest)}"
    if budget and not fastest:
        times = f" with {attempts} attempts of each job" if attempts > 1 else ""
        yield f"nothing costs at most ${budget:,.2f}{times}; the cheapest is {_in_words(rows[0])}"
    if deadline and budget and cheapest and fastest and attempts * cheapest.dollars > budget:
        yield (
            f"nothing ends within {duration(deadline)} and costs at most ${budget:,.2f}: the cheapest within the deadline is "
            f"{_in_words(cheapest)}, the fastest within the budget is {_in_words(fastest)}"
        )


def _in_words(row: Row) -> str:
    return f"{row.jobs:,} x {row.instance_type}, {duration(row.seconds)}, ${row.dollars:,.2f}"


def _shown(rows: list[Row], asked: list[Row], best: Iterable[Row]) -> list[Row]:
    """The rows asked for; then, from cheap to fast, the best ones and some between, each at least a tenth faster."""
    between: list[Row] = []
    for row in rows:
        if row.jobs in ROUND and (not between or row.seconds < 0.9 * between[-1].seconds):
            between.append(row)
    if len(between) > ROWS:
        between = [between[round(i * (len(between) - 1) / (ROWS - 1))] for i in range(ROWS)]
    by_way: dict[tuple[str, int], Row] = {}
    for row in [*asked, *best, *between]:
        way = (row.instance_type, row.jobs)
        remarks = [r for r in (by_way[way].remark if way in by_way else "", row.remark) if r]
        by_way[way] = replace(row, remark=", ".join(remarks))
    first = [by_way.pop((row.instance_type, row.jobs)) for row in asked]
    return [*first, *sorted(by_way.values(), key=_by_dollars)]


_NUMBER = r"(\d+(?:\.\d+)?) *"
_DEADLINE = re.compile(rf"(?:{_NUMBER}d)? *(?:{_NUMBER}h)? *(?:{_NUMBER}m(?:in)?)? *(?:{_NUMBER}s)?")


def seconds_of(deadline: float | str) -> float:
    """A deadline in seconds: a number of them, or a text such as 2h, 90m, 1h 30m, 45s or 1d. Raises UsageError."""
    text = str(deadline).strip()
    found = _DEADLINE.fullmatch(f"{text}s" if re.fullmatch(_NUMBER, text) else text)
    parts = zip(found.groups("0"), (86_400, 3600, 60, 1), strict=True) if found else []
    seconds = sum(float(part) * unit for part, unit in parts)
    if not seconds > 0:
        raise UsageError(f"deadline is {deadline!r}", "Write it as 2h, 90m, 1h 30m or a number of seconds.")
    return seconds
