"""The space of a search: which values each parameter may have, and points of the unit cube as points of it.

    space(lam=(1e-3, 10, "log"), share=(0.1, 0.9, "logit"), k=(1, 20, int), kernel=["a", "b"], n=100)

A tuple is a range, with both ends: continuous, or of whole numbers with int or "integer". A list is a choice, as in a design; any other
value is fixed. `where` is a function of a point (a dict) that says whether it is allowed.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DesignError, nearest
from ..sweep.by_name import Named
from ..sweep.design import Design
from ..sweep.parameters import canonical_value
from ..words import joined

KINDS = ("linear", "log", "logit", "integer")
_RANGE = re.compile(r"\s*(?P<low>[^\s,]+?)\s*\.\.\s*(?P<high>[^\s,]+)(?P<kinds>(?:[\s,]+\w+)*)\s*")
_TRIES = 100  # times as many points are drawn as are needed, where a function says no to most
_EXAMPLE = 'A range is (0.1, 10), (0.1, 10, "log"), (0.1, 0.9, "logit"), (1, 20, int) or (1, 1000, "integer", "log").'

Point = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """Values from low to high, evenly spread on the scale: linear, log or logit. whole: whole numbers only."""

    low: float
    high: float
    scale: str = "linear"
    whole: bool = False

    columns = 1  # of features

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends on the scale. Each whole number has the stretch that is rounded to it."""
        half = 0.5 if self.whole else 0.0
        low, high = self._scaled(np.array([self.low - half, self.high + half]))
        return float(low), float(high)

    @property
    def size(self) -> float:
        return self.high - self.low + 1 if self.whole else math.inf

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        if self.scale == "linear":
            return values
        return np.asarray(np.log(values) if self.scale == "log" else np.log(values) - np.log1p(-values))

    def _values(self, unit: np.ndarray) -> np.ndarray:
        low, high = self.ends
        on_scale = low + unit * (high - low)
        if self.scale == "logit":
            values = 1 / (1 + np.exp(-on_scale))
        else:
            values = np.exp(on_scale) if self.scale == "log" else on_scale
        return np.asarray(np.clip(np.round(values) if self.whole else values, self.low, self.high))

    def snapped(self, unit: np.ndarray) -> np.ndarray:
        return self._units(self._values(unit)) if self.whole else unit

    def _units(self, values: np.ndarray) -> np.ndarray:
        low, high = self.ends
        return (self._scaled(values) - low) / (high - low)

    def value(self, unit: float) -> Any:
        """The value at a place of the unit interval. Continuous ones have 7 digits: typing and storing them loses nothing."""
        value = float(self._values(np.array(unit)))
        if self.whole:
            return int(value)
        fine = {"linear": self.high - self.low, "log": value, "logit": min(value, 1 - value)}[self.scale] * 1e-7
        digits = max(0, math.ceil(-math.log10(fine)))
        return min(max(round(value, digits), self.low), self.high)

    def unit(self, name: str, value: Any) -> float:
        """The place of a value in the unit interval. Raises DesignError if it is none of the range."""
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not self.low <= value <= self.high or (self.whole and value != round(value)):
            what = "a whole number " if self.whole else ""
            raise DesignError(f"{name}={value!r} is not {what}from {self.low:g} to {self.high:g}")
        return float(self._units(np.array(float(value))))

    def features(self, unit: np.ndarray) -> np.ndarray:
        return self.snapped(unit)[:, None]


@dataclass(frozen=True)
class Choice:
    """One of some values. ordered: they are numbers (in ascending order), and those near to each other count as alike."""

    values: tuple[Any, ...]
    ordered: bool

    @property
    def columns(self) -> int:
        return 1 if self.ordered else len(self.values)

    @property
    def size(self) -> float:
        return len(self.values)

    def _numbers(self, unit: np.ndarray) -> np.ndarray:
        return np.asarray(np.minimum((unit * len(self.values)).astype(int), len(self.values) - 1))

    def snapped(self, unit: np.ndarray) -> np.ndarray:
        return np.asarray((self._numbers(unit) + 0.5) / len(self.values))

    def value(self, unit: float) -> Any:
        return self.values[int(self._numbers(np.array(unit)))]

    def unit(self, name: str, value: Any) -> float:
        """The place of a value in the unit interval. Raises DesignError if it is none of the values."""
        texts = [_text(one) for one in self.values]
        if _text(value) not in texts:
            known = joined(map(repr, self.values))
            raise DesignError(f"{name}={value!r} is not {known}", nearest(str(value), map(str, self.values)))
        return (texts.index(_text(value)) + 0.5) / len(texts)

    def features(self, unit: np.ndarray) -> np.ndarray:
        if self.ordered:
            return self.snapped(unit)[:, None]
        return np.asarray(
            np.eye(len(self.values))[self._numbers(unit)] / math.sqrt(2)
        )  # two values have the distance 1


class Space:
    """Parameters and the values that a search may give them; `simferry.space` makes one.

    names: all parameters, in their order. free: those that vary, by name. fixed: the values of the others. types: of each parameter,
    as a design's. objects: by parameter the functions and other objects of choices, by the names that points have. size: the number
    of points; infinite with a continuous parameter.
    """

    def __init__(
        self,
        parameters: Mapping[str, Any],
        where: Callable[[Point], Any] | None = None,
        types: Mapping[str, str] | None = None,
    ) -> None:
        self.free: dict[str, Range | Choice] = {}
        self.fixed: Point = {}
        self.types: dict[str, str] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        self.where = where
        if where is not None and not callable(where):
            raise DesignError(f"where={where!r} is not a function", "Example: where=lambda p: p['low'] < p['high']")
        for name in types or ():
            if name not in parameters:
                raise DesignError(f"types: the space has no parameter {name!r}", nearest(name, parameters))
        for name, source in parameters.items():
            self._add(name, source, (types or {}).get(name))
        self.names = list(self.types)
        if not self.free:
            what = f"it only has fixed ones ({', '.join(self.fixed)})" if self.fixed else "it has none"
            raise DesignError(f"a space needs at least one parameter that varies; {what}", _EXAMPLE)
        self.size = math.prod(of.size for of in self.free.values())

    def __repr__(self) -> str:
        shown = {name: self.fixed.get(name, self.free.get(name)) for name in self.names}
        return f"Space({', '.join(f'{name}={of!r}' for name, of in shown.items())})"

    def _add(self, name: str, source: Any, declared: str | None) -> None:
        """One parameter; its name and values are checked as a design's."""
        types = {name: declared} if declared else None
        if isinstance(source, tuple):
            of = _range(name, (*source, int) if declared == "integer" else source)
            small = max(abs(of.low), abs(of.high)) < 2**31  # that of R's integers
            column = Design({name: [of.low, of.high]}, {name: "integer"} if of.whole and small else types)
            self.free[name] = of
        else:
            values = source if isinstance(source, list) else [source]
            if isinstance(source, Mapping):
                values = [Named(*one) for one in source.items()]
            if not values:
                raise DesignError(f"parameter {name} has no values to choose from")
            column = Design({name: values}, types, known_distinct=True)
            self._add_choice(name, column)
        self.types[name] = column.types[name]
        self.objects.update(column.objects)

    def _add_choice(self, name: str, column: Design) -> None:
        found = [column.condition(row)[name] for row in range(len(column))]
        texts = [_text(value) for value in found]
        for at, text in enumerate(texts):
            if text in texts[:at]:
                raise DesignError(f"parameter {name} has the value {found[at]!r} twice")
        if len(found) == 1:
            self.fixed[name] = found[0]
            return
        ordered = len(found) > 2 and column.types[name] in ("number", "integer") and None not in found
        self.free[name] = Choice(tuple(sorted(found) if ordered else found), ordered)

    def record(self) -> dict[str, Any]:
        """The space as plain values that JSON can hold, without its function; `from_record` reads it."""
        out: dict[str, Any] = {}
        for name, kind in self.types.items():
            of = self.free.get(name)
            if isinstance(of, Range):
                out[name] = {"low": of.low, "high": of.high, "scale": of.scale, "whole": of.whole}
            else:
                values = [self.fixed[name]] if of is None else of.values
                out[name] = {"values": [v.tolist() if isinstance(v, np.ndarray) else v for v in values], "type": kind}
        return out

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: Callable[[Point], Any] | None = None) -> "Space":
        """A space of which `record` was kept.

        record: what `record` gave. where: its function, which a record does not hold. Raises DesignError if it is no such record.
        """
        sources: dict[str, Any] = {}
        for name, of in record.items():
            whole = ["integer"] if of.get("whole") else []
            sources[name] = of["values"] if "values" in of else (of["low"], of["high"], *whole, of["scale"])
        return cls(sources, where, {name: of["type"] for name, of in record.items() if "type" in of})

    @property
    def dimensions(self) -> int:
        """The number of parameters that vary."""
        return len(self.free)

    @property
    def groups(self) -> np.ndarray:
        """For each column of `features` the number of its parameter."""
        return np.repeat(np.arange(len(self.free)), [of.columns for of in self.free.values()])

    def snapped(self, units: np.ndarray) -> np.ndarray:
        """Points of the unit cube, those of whole numbers and choices moved to the middle of their stretch: shape (points, dimensions)."""
        return np.column_stack([of.snapped(units[:, at]) for at, of in enumerate(self.free.values())])

    def features(self, units: np.ndarray) -> np.ndarray:
        """What a model sees of points of the unit cube: a column for each parameter, and one for each value of a choice without order."""
        return np.hstack([of.features(units[:, at]) for at, of in enumerate(self.free.values())])

    def point(self, unit: np.ndarray) -> Point:
        """The parameters at a point of the unit cube, of the types that a simulation gets."""
        places = dict(zip(self.free, unit, strict=True))
        return {n: self.free[n].value(places[n]) if n in self.free else self.fixed[n] for n in self.names}

    def unit(self, point: Mapping[str, Any]) -> np.ndarray:
        """The place of a point in the unit cube; points that are equal have the same.

        point: the parameters by name; fixed ones may be left out. Raises DesignError if it is no point of the space.
        """
        for name in point:
            if name not in self.types:
                raise DesignError(f"the space has no parameter {name!r}", nearest(name, self.names))
        for name, value in self.fixed.items():
            if name in point and _text(point[name]) != _text(value):
                raise DesignError(f"{name}={point[name]!r}, but it is fixed at {value!r}")
        if missing := [name for name in self.free if name not in point]:
            raise DesignError(f"the point {dict(point)} has no {joined(missing, 'and no')}")
        return np.array([of.unit(name, point[name]) for name, of in self.free.items()])

    def allows(self, point: Point) -> bool:
        """What the function says of a point. Raises DesignError if it fails, or says neither yes nor no."""
        if self.where is None:
            return True
        try:
            said = self.where(dict(point))
        except Exception as error:
            raise DesignError(f"where failed at {point}: {type(error).__name__}: {error}") from error
        if not isinstance(said, (bool, np.bool_)):
            raise DesignError(f"where gives {said!r} at {point}", "It gives True where a point is allowed, else False.")
        return bool(said)

    def allowed(self, units: np.ndarray) -> np.ndarray:
        """Those of some points of the unit cube that the function allows."""
        return units if self.where is None else units[[self.allows(self.point(unit)) for unit in units]]

    def random(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """Allowed points of the unit cube, drawn at random: at most `size`, and at least one.

        rng: where they are drawn from. Raises DesignError if the function allows (nearly) none.
        """
        found: list[np.ndarray] = []
        for _ in range(_TRIES):
            found.append(self.allowed(self.snapped(rng.random((size, self.dimensions)))))
            if (count := sum(map(len, found))) >= size or (count and len(found) == 3):
                break
        else:
            if not count:
                raise DesignError(
                    f"where allows none of {_TRIES * size:,} points drawn at random",
                    "It gets a point as a dict and gives True where it is allowed; narrower ranges help, too.",
                )
        return np.concatenate(found)[:size]


def space(
    parameters: Mapping[str, Any] | None = None,
    /,
    *,
    where: Callable[[Point], Any] | None = None,
    types: Mapping[str, str] | None = None,
    **named: Any,
) -> Space:
    """The space of an optimiser: which values each parameter may have.

    parameters: by name, as a dict. A tuple is a range with both ends: (0.1, 10), (0.1, 10, "log"), (0.1, 0.9, "logit"),
        (1, 20, int) or (1, 1000, "integer", "log"). A list is a choice, a dict a choice of objects by names, as in a design;
        a choice of three numbers or more has their order. Any other value is fixed. named: the same as keyword arguments.
    where: a function of a point (a dict of all parameters) that gives True where it is allowed: lambda p: p["low"] < p["high"].

    types: "number", "integer", "logical" or "string" by parameter, as in a design; without it the values decide.

    Raises DesignError if nothing varies, if a range does not go up, or reaches 0 on a log scale, or has another kind; and as `Design`
    does for names and values.
    """
    twice = [name for name in parameters or () if name in named]
    if twice:
        raise DesignError(f"parameter {twice[0]} is given twice")
    return Space({**(parameters or {}), **named}, where, types)


def parse_range(name: str, text: str) -> tuple[Any, ...] | None:
    """A range as it is typed in a shell or a sweep file, `0.001..10 log` or `1..20 integer`, as the tuple that `space` takes.

    name: the parameter, for messages. text: what was typed. None if it is no range. Raises DesignError if an end is no number.
    """
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    ends: list[float] = []
    for side in ("low", "high"):
        try:
            ends.append(int(found[side]) if re.fullmatch(r"[-+]?\d+", found[side]) else float(found[side]))
        except ValueError:
            if not re.match(r"[-+.\d]", found["low"]):  # a text such as ../data
                return None
            raise DesignError(
                f"parameter {name}: {found[side]!r} in {text!r} is not a number", 'Example: -p "k=1..20 integer"'
            ) from None
    return (*ends, *re.split(r"[\s,]+", found["kinds"].strip(" ,"))) if found["kinds"] else tuple(ends)


def _text(value: Any) -> str:
    return canonical_value(value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value)


def _range(name: str, source: Sequence[Any]) -> Range:
    """A tuple as a range. Raises DesignError."""
    ends, kinds = source[:2], ["integer" if kind in (int, "int") else kind for kind in source[2:]]
    kinds = ["linear" if kind is float else kind for kind in kinds]
    if len(ends) < 2 or any(isinstance(v, bool) or not isinstance(v, (int, float, np.number)) for v in ends):
        raise DesignError(
            f"parameter {name}: {source!r} is no range of numbers", f"{_EXAMPLE} A choice is a list such as ['a', 'b']."
        )
    for kind in kinds:
        if kind not in KINDS:
            hint = nearest(kind, KINDS) if isinstance(kind, str) else ""
            raise DesignError(f"parameter {name}: {kind!r} is no kind of range", hint or f"Kinds: {', '.join(KINDS)}.")
    scales = [kind for kind in kinds if kind != "integer"]
    whole, scale = "integer" in kinds, scales[0] if scales else "linear"
    low, high = (v.item() if isinstance(v, np.number) else v for v in ends)
    wrong = ""
    if len(set(scales)) > 1 or (whole and scale == "logit"):
        wrong = f"is {' and '.join(kinds)} at once"
    elif not math.isfinite(high - low):
        wrong = "has an end that is no finite number"
    elif not low < high:
        wrong = "is empty: both ends are equal" if low == high else "does not go up: the lower end stands first"
    elif whole and (low != round(low) or high != round(high)):
        wrong = "has ends that are no whole numbers"
    elif scale == "log" and low <= 0:
        wrong = "reaches 0, which has no logarithm: the lower end must be above 0"
    elif scale == "logit" and not 0 < low < high < 1:
        wrong = "must be inside of 0 and 1, without them: it is on the logit scale"
    if wrong:
        shown = ", ".join([f"{low:g}", f"{high:g}", *kinds])
        raise DesignError(
            f"parameter {name}: the range ({shown}) {wrong}",
            f"For one value write {name}={low:g}." if "equal" in wrong else "",
        )
    return Range(int(low) if whole else float(low), int(high) if whole else float(high), scale, whole)
