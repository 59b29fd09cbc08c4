"""What the columns of a table of estimates are: estimate, truth, standard error, interval, p-value, and what tells methods apart."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import UsageError
from ..hints import Option, Text
from . import truths
from .truths import Truths

Truth = str | float


@dataclass(frozen=True)
class Roles:
    """Names of columns by role; of several estimates, one for each of them. truth and df are a number or a column; truth also a table.

    by: columns that tell the methods apart. reference: the value of the first of these that others are compared with, or one of several
    estimates, which are then the methods. alpha: levels of tests; intervals that are made of standard errors have the level 1 - alpha[0].
    """

    estimate: tuple[str, ...]
    truth: tuple[Truth | Truths, ...] = ()
    se: tuple[str, ...] = ()
    lower: tuple[str, ...] = ()
    upper: tuple[str, ...] = ()
    p_value: tuple[str, ...] = ()
    df: tuple[Truth, ...] = ()
    by: tuple[str, ...] | None = None
    reference: Any = None
    alpha: tuple[float, ...] = (0.05,)

    def of(self, number: int) -> "Roles":
        """The roles of one of the estimates."""

        def one(given: tuple[Any, ...]) -> tuple[Any, ...]:
            return given[number : number + 1] if len(given) > 1 else given

        names = ("estimate", "truth", "se", "lower", "upper", "p_value", "df")
        return replace(self, **{name: one(getattr(self, name)) for name in names})

    def columns(self) -> list[str]:
        """All names of columns, each once."""
        parts = (self.estimate, self.truth, self.se, self.lower, self.upper, self.p_value, self.df, self.by or ())
        return list(dict.fromkeys(name for part in parts for name in part if isinstance(name, str)))

    def are_tests(self) -> bool:
        """Whether there are p-values and no estimates. The p-values then stand in their place."""
        return bool(self.p_value) and self.estimate == self.p_value

    def is_across_estimates(self) -> bool:
        """Whether the reference is one of several estimates."""
        return len(self.estimate) > 1 and self.reference in self.estimate


def roles(given: Mapping[str, Any]) -> Roles:
    """Roles from options: estimate, truth, se, interval (LOWER,UPPER), p_value, df, by, reference, alpha. Each is a name, a list of
    names, or a text with commas between; truth may be a table, or the path of one. Raises UsageError."""
    truth = given.get("truth")
    by_table = (Truths(truths.columns_of(truth)),) if truths.is_table(truth) else None
    skipped = ("reference", "truth") if by_table else ("reference",)
    listed = {name: _list(value) for name, value in given.items() if value is not None and name not in skipped}
    if not by_table and not any(listed.get(name) for name in ("estimate", "truth", "se", "interval", "df")):
        listed["estimate"] = listed.get("p_value", [])  # of tests alone
    if not listed.get("estimate"):
        raise UsageError(
            "no estimate is named: measures need the column that holds the estimates, or p-values alone",
            Option("estimate", "est"),
        )
    ends = [str(name) for name in listed.get("interval", [])]
    if len(ends) % 2:
        raise UsageError(
            f"interval names {len(ends)} columns; it takes two of them, the lower and the upper end",
            Option("interval", ["lower", "upper"]),
        )
    out = Roles(
        _names("estimate", listed["estimate"]),
        by_table or tuple(map(_number_or_name, listed.get("truth", []))),
        _names("se", listed.get("se", [])),
        _names("interval", ends[::2]),
        _names("interval", ends[1::2]),
        _names("p_value", listed.get("p_value", [])),
        tuple(map(_number_or_name, listed.get("df", []))),
        _names("by", listed["by"]) if "by" in listed else None,
        given.get("reference"),
        tuple(_level(value) for value in listed.get("alpha", [0.05])),
    )
    many = len(out.estimate)
    for name in ("truth", "se", "lower", "p_value", "df"):
        found = len(getattr(out, name))
        if found not in (0, many) and not (found == 1 and name in ("truth", "df")):
            shown = "interval" if name == "lower" else name
            raise UsageError(
                Text(
                    Option("estimate"), f" names {many} columns, and ", Option(shown), f" {found}: one for each of them"
                )
            )
    return out


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return list(value) if isinstance(value, Iterable) else [value]


def _names(role: str, values: Iterable[Any]) -> tuple[str, ...]:
    out = tuple(values)
    for value in out:
        if not isinstance(value, str):
            raise UsageError(Text(Option(role), f" is {value!r}; it takes names of columns"), Option(role, "x"))
    return out


def _number_or_name(value: Any) -> Truth:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UsageError(f"{value!r} is neither a finite number nor the name of a column")
    return float(value)


def _level(value: Any) -> float:
    try:
        level = float(value)
    except (TypeError, ValueError):
        level = math.nan
    if not 0 < level < 1:
        raise UsageError(f"alpha is {value!r}; it has to be between 0 and 1", Option("alpha", 0.05))
    return level
