"""Where a measure reaches a target: root finding over noisy means, one root for each row of a design.

A root is sought by Thompson sampling: the next point is the root of a curve drawn at random from what is known (curve.py). Draws spread
by themselves, so points that are pending need no treatment. Both ends of the interval come first; a target that is not between their
values is told with both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..errors import UsageError
from ..sweep.parameters import canonical_value
from ..words import counted
from .curve import BAD, Curve, Points, are_shares, fit
from .sought import Sought

LEAST = 6  # evaluations before an interval is trusted
CLEAR = 3.0  # standard errors from the target, from which on its side is not doubted
FAILURES = 5  # failed evaluations that end a search


@dataclass(frozen=True)
class Root:
    """What is known of one root.

    parameters: of the row. root, lower, upper: the estimate and its interval; NaN if there is none. answer: what can be used: the
    smallest whole number from which on the fitted curve is past the target, or the root rounded; None if there is none. value, mcse: the
    measure there, of all its replications; NaN if there are none. around: the same at the answer and (whole numbers) at both neighbours,
    as tuples of parameter, value, MCSE and replications. replications, evaluations: of the whole search. why: why it ended; empty while
    it goes on. shape: of the curve. lack: probability that points vary as much about a straight line, if it is one. note: what to know.
    """

    parameters: dict[str, Any]
    root: float
    lower: float
    upper: float
    answer: float | int | None
    value: float
    mcse: float
    around: tuple[tuple[float | int, float, float, int], ...]
    replications: int
    evaluations: int
    why: str
    shape: str
    lack: float
    note: str

    def row(self, parameter: str) -> dict[str, Any]:
        """A row of a table: the answer has the parameter's name."""
        names = ("root", "lower", "upper", "value", "mcse", "replications", "evaluations", "why", "note")
        return {**self.parameters, parameter: self.answer, **{name: getattr(self, name) for name in names}}


class RootFinder:
    """A searcher (searcher.py) for the roots of a question, one for each row.

    sought: the question. rows: what is fixed in each search, by name. seed: of the draws.

    Raises UsageError if a row has the parameter itself, or rows are equal.
    """

    def __init__(self, sought: Sought, rows: Sequence[Mapping[str, Any]] = ({},), seed: int = 1) -> None:
        if not rows:
            raise UsageError("the design has no rows to find a root for")
        self.sought, self.seed, self.count = sought, seed, 0
        self._rows: dict[tuple[tuple[str, str], ...], _Row] = {}
        for row in rows:
            if sought.parameter in row:
                raise UsageError(f"{sought.parameter} is sought, but the design has it as well")
            if (key := _key(row)) in self._rows:
                raise UsageError(f"the design has the row {dict(row)} twice")
            self._rows[key] = _Row(sought, _plain(row))

    def record(self) -> dict[str, Any]:
        """The finder as plain values that JSON can hold, before it was told anything; `from_record` reads it."""
        rows = [row.parameters for row in self._rows.values()]
        return {"sought": asdict(self.sought), "rows": rows, "seed": self.seed}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "RootFinder":
        """A finder of which `record` was kept.

        record: what `record` gave. Raises what the constructors do."""
        return cls(Sought(**record["sought"]), record["rows"], record["seed"])

    def ask(self) -> dict[str, Any] | None:
        """The next point, or None: see `Searcher`."""
        rng = np.random.default_rng([self.seed, self.count])
        urgency, _, row = max(
            ((row.urgency(), -i, row) for i, row in enumerate(self._rows.values())), key=lambda t: t[:2]
        )
        if urgency == -math.inf:
            return None
        point = {**row.parameters, self.sought.parameter: row.next(rng)}
        self.asked(point)
        return point

    def asked(self, point: Mapping[str, Any]) -> None:
        """Count a point as asked: see `Searcher`. Raises UsageError if it is none of this search."""
        row, x = self._find(point)
        self.count += 1
        row.asked(x)

    def tell(self, point: Mapping[str, Any], mean: float, mcse: float, replications: int, failed: bool = False) -> None:
        """What a point gave: see `Searcher`.

        A mean that is not finite counts as failed, and so does a positive measure that is not above 0. Raises UsageError if the point is
        none of this search, or a rate is not between 0 and 1."""
        row, x = self._find(point)
        sought = row.sought
        if not failed and sought.kind == "rate" and not -1e-9 <= mean <= 1 + 1e-9 and math.isfinite(mean):
            raise UsageError(f"{sought.measure} is {mean:g} at {sought.parameter} = {x:g}, but a rate is from 0 to 1")
        failed = failed or not math.isfinite(mean) or replications < 1 or (sought.kind == "positive" and mean <= 0)
        row.tell(x, mean, mcse, replications, failed)
        if self.sought.kind == "auto":
            self._decide()

    def _decide(self) -> None:
        """Take the measure for what it looks like in all that was told."""
        told = [one for row in self._rows.values() for one in row.told.values()]
        mean, mcse, n = np.array(told).reshape(-1, 3).T
        kind = "rate" if 0 < self.sought.target < 1 and are_shares(mean, mcse, n) else "mean"
        for row in self._rows.values():
            row.take(kind)

    @property
    def over(self) -> str:
        """Why it ends; empty while it goes on."""
        whys = [row.why() for row in self._rows.values()]
        if not all(whys):
            return ""
        return whys[0] if len(whys) == 1 else f"{counted(len(whys), 'search')[:-1]}es: {'; '.join(dict.fromkeys(whys))}"

    @property
    def roots(self) -> list[Root]:
        """What is known of each row's root, in the order of the rows."""
        return [row.result() for row in self._rows.values()]

    def curves(self) -> list[tuple[dict[str, Any], Curve | None, dict[float, tuple[float, float, int]]]]:
        """For figures, of each row: its parameters, the curve (None: there is none yet), and what is known by value of the parameter:
        mean, MCSE and replications."""
        return [(row.parameters, row.curve(), dict(row.told)) for row in self._rows.values()]

    def _find(self, point: Mapping[str, Any]) -> tuple["_Row", float]:
        rest = {name: value for name, value in point.items() if name != self.sought.parameter}
        row = self._rows.get(_key(rest))
        if row is None or self.sought.parameter not in point:
            raise UsageError(f"{dict(point)} is no point of this search")
        return row, float(point[self.sought.parameter])


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for n, v in row.items()}


def _key(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, canonical_value(value)) for name, value in _plain(row).items()))


class _Row:
    """The search for one root. All that it says follows from what it was asked and told, in order."""

    def __init__(self, sought: Sought, parameters: dict[str, Any]) -> None:
        self.sought, self.parameters = sought, parameters
        self.told: dict[float, tuple[float, float, int]] = {}
        self.evaluations = self.ended = 0  # asked, and told of
        self.pending: dict[float, int] = {}
        self.confirmed: dict[float, int] = {}  # evaluations asked to confirm an answer
        self.failed: list[float] = []
        self._curve: Curve | None = None  # what follows from what is told, once it was needed
        self._interval: tuple[float, float, float] | None = None

    # ---- the log ----

    def asked(self, x: float) -> None:
        if self._confirms():
            self.confirmed[x] = self.confirmed.get(x, 0) + 1
        self.evaluations += 1
        self.pending[x] = self.pending.get(x, 0) + 1

    def tell(self, x: float, mean: float, mcse: float, replications: int, failed: bool) -> None:
        self.ended += 1
        self.pending[x] = max(0, self.pending.get(x, 0) - 1)
        self._curve = self._interval = None
        if failed:
            self.failed.append(x)
            self.told.pop(x, None)
        else:
            self.told[x] = (mean, mcse, replications)

    def take(self, kind: str) -> None:
        if kind != self.sought.kind:
            self.sought, self._curve, self._interval = replace(self.sought, kind=kind), None, None

    # ---- what is known ----

    @property
    def ends(self) -> tuple[float, float]:
        return float(self.sought.low), float(self.sought.high)

    def off(self, x: float) -> tuple[float, float]:
        """Distance of a told mean from the target, and its standard error. Of a share that of Agresti and Coull."""
        mean, mcse, n = self.told[x]
        if self.sought.kind == "rate":
            share = (mean * n + 2) / (n + 4)
            mcse = math.sqrt(share * (1 - share) / (n + 4))
        return mean - self.sought.target, 0.0 if math.isnan(mcse) else mcse

    def one_sided(self) -> bool:
        """Whether both ends, as told, are on the same side of the target."""
        (low, _), (high, _) = map(self.off, self.ends)
        return low * high > 0 or low == high

    def doubtful(self) -> list[float]:
        """Ends that may be on the other side of the target, the nearest first."""
        off = {x: self.off(x) for x in self.ends}
        near = {x: abs(away) / se if se else math.inf for x, (away, se) in off.items()}
        return sorted((x for x in self.ends if near[x] < CLEAR), key=lambda x: near[x])

    def curve(self) -> Curve | None:
        """The fitted curve; None without both ends, or where they are on one side."""
        if self._curve is None and all(x in self.told for x in self.ends) and not self.one_sided():
            xs = sorted(self.told)
            mean, mcse, n = np.array([self.told[x] for x in xs]).T
            points = Points(np.array([self.sought.to(x) for x in xs]), mean, mcse, n, self.sought.kind)
            sign = 1 if self.off(self.ends[1])[0] > self.off(self.ends[0])[0] else -1
            low, high = map(self.sought.to, self.ends)
            self._curve = fit(points, self.sought.target, low, high, sign)
        return self._curve

    def interval(self) -> tuple[float, float, float]:
        """Root, lower and upper end; NaN where the curve has no root between the ends."""
        if self._interval is None:
            self._interval = self._found()
        return self._interval

    def _found(self) -> tuple[float, float, float]:
        from scipy.special import ndtri

        curve = self.curve()
        low, high = map(self.sought.to, self.ends)
        if curve is None or not low <= (root := curve.root()) <= high:
            return math.nan, math.nan, math.nan
        lower, upper = curve.interval(float(ndtri((1 + self.sought.level) / 2)))
        back = self.sought.back
        return back(root), back(lower), back(upper)

    def half_width(self) -> float:
        _, lower, upper = self.interval()
        return math.inf if math.isnan(upper - lower) else (upper - lower) / 2

    def answer(self) -> float | int | None:
        root, *_ = self.interval()
        if math.isnan(root):
            return None
        if self.sought.whole:
            return min(max(math.ceil(root - 1e-9), round(self.sought.low)), round(self.sought.high))
        return next(iter(self.confirmed), self.sought.value(self.sought.to(root)))

    def around(self) -> list[float | int]:
        """The answer first, then its neighbours."""
        answer = self.answer()
        if answer is None:
            return []
        near = [answer, answer - 1, answer + 1] if self.sought.whole else [answer]
        return [x for x in near if self.sought.low <= x <= self.sought.high]

    # ---- what is next ----

    def _stopped(self) -> str:
        """Why no more is searched; empty if more is. An answer may have to be confirmed."""
        sought, searched = self.sought, self.evaluations - sum(self.confirmed.values())
        name = sought.parameter
        if bad := [x for x in self.ends if x in self.failed and x not in self.told]:
            return f"no value of {sought.measure} at {name} = {bad[0]:g}"
        if len(self.failed) >= FAILURES:
            return f"{counted(len(self.failed), 'evaluation')} failed, the first at {name} = {self.failed[0]:g}"
        spent = (searched + 1) * sought.batch > sought.most - sought.confirming
        if not all(x in self.told for x in self.ends):
            return ""
        if self.one_sided():
            return self._no_change() if spent or not self.doubtful() else ""
        few = self.ended < LEAST or len(self.told) < min(3, sought.high - sought.low + 1 if sought.whole else 3)
        if sought.within is not None and not few and self.half_width() <= sought.within:
            return f"within {sought.within:g}"
        return f"{sought.most:,} replications" if spent else ""

    def _no_change(self) -> str:
        values = [
            f"{mean:.4g} (MCSE {mcse:.2g}) at {self.sought.parameter} = {x:g}"
            for x, (mean, mcse, _) in ((x, self.told[x]) for x in self.ends)
        ]
        return f"no change of sign: {self.sought.measure} is {values[0]} and {values[1]}, the target {self.sought.target:g}"

    def _to_confirm(self) -> list[float | int]:
        """Points of the answer that have not been asked often enough to confirm it."""
        if (self.evaluations + 1) * self.sought.batch > self.sought.most or len(self.failed) >= FAILURES:
            return []
        return [x for x in self.around() if self.confirmed.get(float(x), 0) < self.sought.confirmations]

    def _confirms(self) -> bool:
        return bool(self._stopped()) and bool(self._to_confirm())

    def why(self) -> str:
        """Why it is over; empty while something is to be asked or pending."""
        if any(self.pending.values()) or self._confirms():
            return ""
        return self._stopped()

    def urgency(self) -> float:
        """How soon it is this row's turn: its interval relative to its root, as it will be when what is pending is told. Ends come
        first, answers are confirmed last. -inf: there is nothing to ask now."""
        if self._stopped():
            return -1.0 if self._to_confirm() else -math.inf
        known = [x for x in self.ends if x in self.told]
        if len(known) < 2:
            return math.inf if self._free_ends() else -math.inf
        if self.one_sided():
            return -math.inf if any(self.pending.get(x) for x in self.doubtful()[:1]) else math.inf
        root, *_ = self.interval()
        width = self.half_width() / (abs(root) or 1) if self.sought.x_scale != "linear" else self.half_width()
        if not math.isfinite(width):
            width = 1e300
        return width * math.sqrt(self.ended / (self.ended + sum(self.pending.values())))

    def _free_ends(self) -> list[float]:
        return [x for x in self.ends if x not in self.told and not self.pending.get(x)]

    def next(self, rng: np.random.Generator) -> float | int:
        """The next value of the parameter; there is something to ask."""
        sought = self.sought
        if self._stopped():
            return sought.value(sought.to(self._to_confirm()[0]))
        if free := self._free_ends():
            return sought.value(sought.to(free[0]))
        if self.one_sided():
            return sought.value(sought.to(self.doubtful()[0]))
        low, high = map(sought.to, self.ends)
        curve = self.curve()
        if math.isnan(self.interval()[0]) and (doubtful := self.doubtful()):  # is there a root at all?
            return sought.value(sought.to(doubtful[0]))
        drawn = curve.draw(rng, low, high) if curve else math.nan
        return sought.value(rng.uniform(low, high) if math.isnan(drawn) else drawn)

    # ---- the result ----

    def result(self) -> Root:
        curve, answer = self.curve(), self.answer()
        root, lower, upper = self.interval()
        around = tuple((x, *self.told[float(x)]) for x in sorted(self.around()) if float(x) in self.told)
        _, value, mcse, _ = next((one for one in around if one[0] == answer), (0, math.nan, math.nan, 0))
        return Root(
            self.parameters, root, lower, upper, answer, value, mcse, around,
            sum(n for _, _, n in self.told.values()), self.ended, self.why(),
            curve.shape if curve else "", curve.lack if curve else math.nan, self._note(curve, root),
        )  # fmt: skip

    def _note(self, curve: Curve | None, root: float) -> str:
        if curve is None:
            return ""
        if math.isnan(root):
            return "the fitted curve does not reach the target between the ends"
        notes = []
        if curve.lack < BAD:
            how = {"line": "", "bent": "; the curve is bent"}.get(curve.shape, "; it is fitted near the root only")
            notes.append(f"{self.sought.shown} is no straight line (p = {curve.lack:.2g}){how}")
        if self.failed:
            notes.append(f"{counted(len(self.failed), 'evaluation')} failed")
        if self.why() and self.sought.confirmations and self._short():
            notes.append("not confirmed: the replications are used up")
        return "; ".join(notes)

    def _short(self) -> bool:
        return any(self.confirmed.get(float(x), 0) < self.sought.confirmations for x in self.around())
