"""The steps of a search, as plans record them: which point was asked, and what had been told before it was.

A run that searches has a design that grows. A plan adds the rows of conditions.csv for the condition that it computes, if that is new. So
the plans are the log of the search, in its order, and they are written once each: what a plan's record says was told and asked. See
docs/decisions/search.md.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .counts import Counts, each, most_of, simplest


def _checked(record: Any, *needed: str, **kinds: Any) -> dict[str, Any]:
    """A record whose fields have these kinds. Raises ValueError."""
    if not isinstance(record, dict) or not record.keys() <= kinds.keys() or not record.keys() >= set(needed):
        raise ValueError(f"it has other fields than {', '.join(kinds)}")
    for name, value in record.items():
        if not isinstance(value, kinds[name]) or (isinstance(value, bool) and kinds[name] is not bool):
            raise ValueError(f"its {name} is {value!r}")
        if kinds[name] is int and not 0 <= value < 2**31:
            raise ValueError(f"its {name} is {value}")
    return record


@dataclass(frozen=True)
class Told:
    """What the searcher was told of an evaluation.

    evaluation: the number of its plan. mean, mcse: of the objective; NaN where it is not known. replications: of its condition so far.
    failed: there is no objective. missing: how many of its replications were given up, because their jobs were lost again and again.
    """

    evaluation: str
    mean: float
    mcse: float
    replications: int
    failed: bool = False
    missing: int = 0

    @classmethod
    def of(cls, record: Any) -> "Told":
        """What `content` made. Raises ValueError."""
        number = (int, float, type(None))
        one = _checked(record, "evaluation", "mean", "mcse", "replications", evaluation=str, mean=number, mcse=number,
                       replications=int, failed=bool, missing=int)  # fmt: skip
        mean, mcse = (math.nan if one[name] is None else float(one[name]) for name in ("mean", "mcse"))
        return cls(one["evaluation"], mean, mcse, one["replications"], one.get("failed", False), one.get("missing", 0))

    def content(self) -> dict[str, Any]:
        """For JSON, which has no NaN and no infinity; other numbers keep each bit."""
        out: dict[str, Any] = {"evaluation": self.evaluation}
        out |= {name: one if math.isfinite(one := getattr(self, name)) else None for name in ("mean", "mcse")}
        out["replications"] = self.replications
        return out | ({"failed": True} if self.failed else {}) | ({"missing": self.missing} if self.missing else {})


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of a search.

    told: what the searcher was told before it. condition: the one that was then asked for, of which the plan wants replications;
    0: none. of: instead, the evaluation whose missing replications the plan computes. over: why the search has ended. seconds: that
    it has taken until then.
    """

    told: tuple[Told, ...] = ()
    condition: int = 0
    of: str = ""
    over: str = ""
    seconds: float = 0.0

    @classmethod
    def read(cls, record: Any) -> "Step":
        """What `content` made. Raises ValueError."""
        checked = _checked(record, "seconds", condition=int, of=str, over=str, told=list, seconds=(int, float))
        return cls(**{**checked, "told": tuple(map(Told.of, checked.get("told", ())))})

    def content(self) -> dict[str, Any]:
        """For JSON."""
        out = {
            "condition": self.condition,
            "of": self.of,
            "over": self.over,
            "told": [one.content() for one in self.told],
        }
        return {name: value for name, value in out.items() if value} | {"seconds": round(self.seconds, 3)}


def problem(record: Any) -> str:
    """What a plan's `step` has to be, in words, if it is wrong; else empty."""
    try:
        Step.read(record)
    except ValueError as error:
        return f"a step of a search ({error})"
    return ""


class Plan(Protocol):
    """What is looked at here of a PlanRecord (records.py)."""

    @property
    def number(self) -> str: ...

    @property
    def replications(self) -> Counts: ...

    @property
    def added(self) -> list[str]: ...

    @property
    def step(self) -> Step | None: ...


@dataclass
class Evaluation:
    """Replications of a condition that a search has asked for, from `first` to `last`. number: of its plan. plans: its own, and those that
    compute what was missing. told: None before it was."""

    number: str
    condition: int
    first: int
    last: int
    plans: list[str]
    told: Told | None = None

    @property
    def count(self) -> int:
        return self.last - self.first + 1


def evaluations(plans: Iterable[Plan]) -> dict[str, Evaluation]:
    """The evaluations of a search by their numbers, in the order in which they were asked. Raises ValueError where plans do not fit."""
    out: dict[str, Evaluation] = {}
    last: dict[int, int] = {}  # by condition
    for plan in plans:
        if plan.step is None:
            continue
        known = [*(told.evaluation for told in plan.step.told), *filter(None, [plan.step.of])]
        if wrong := [number for number in known if number not in out]:
            raise ValueError(f"plan {plan.number} tells of evaluation {wrong[0]}, which there is not")
        for told in plan.step.told:
            out[told.evaluation].told = told
        if plan.step.of:
            out[plan.step.of].plans.append(plan.number)
        elif condition := plan.step.condition:
            first, last[condition] = last.get(condition, 0) + 1, int(most_of(plan.replications))
            out[plan.number] = Evaluation(plan.number, condition, first, last[condition], [plan.number])
    return out


def over(plans: Iterable[Plan]) -> str:
    """Why the search has ended; empty while it goes on."""
    return next((plan.step.over for plan in plans if plan.step and plan.step.over), "")


def grown(conditions: int, plans: Iterable[Plan]) -> int:
    """How many conditions a run has that began with so many."""
    return conditions + sum(len(plan.added) for plan in plans)


def wanted(conditions: int, plans: Iterable[Plan]) -> Counts:
    """How many replications a run that searches wants of each condition: those of evaluations but for what was given up, or what an
    extension wants of those that were there. Raises ValueError for a plan of other conditions."""
    plans, there = list(plans), conditions
    last, extended, missing = (np.zeros(grown(conditions, plans), dtype=np.int64) for _ in range(3))
    for plan in plans:
        there += len(plan.added)
        if plan.step is None:
            extended[:there] = np.maximum(extended[:there], each(plan.replications, there))
        elif not 0 <= plan.step.condition <= there or not isinstance(plan.replications, int):
            raise ValueError(f"plan {plan.number} is of another condition")
    for one in evaluations(plans).values():
        last[one.condition - 1] = one.last
        missing[one.condition - 1] += one.told.missing if one.told else 0
    return simplest(np.maximum(np.maximum(last - missing, extended), 0).tolist())


def pending(plans: Iterable[Plan]) -> set[str]:
    """The numbers of the plans whose jobs may start yet: the last one; of a search those of evaluations of which nothing was told."""
    going: dict[str, str] = {}  # the evaluation of each plan
    last = ""
    for plan in plans:
        last = plan.number
        if plan.step is not None:
            done = {told.evaluation for told in plan.step.told}
            going = {number: of for number, of in going.items() if of not in done}
            going[last] = plan.step.of or last
    return {*going, last} - {""}
