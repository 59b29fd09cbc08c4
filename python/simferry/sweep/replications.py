"""The replications of a sweep: one number, one for each condition, or a column of the design that holds them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import DesignError, UsageError, nearest
from ..hints import Option
from ..store.counts import Counts, simplest
from .design import Design
from .options import MOST, RunOptions


@dataclass(frozen=True)
class Column:
    """A column of a design. See `column`."""

    name: str


def column(name: str) -> Column:
    """The column of the design that holds each condition's number of replications, for `replications` of `run` and `plan`.

    name: of the column. It is no parameter: simulations do not receive it, and the random numbers do not depend on it.

    Raises nothing; `run` raises UsageError where the design has no such column.
    """
    return Column(name)


def as_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a run, where `replications` may be a Column."""
    counts = given.get("replications")
    if not isinstance(counts, Column):
        return dict(given)
    return {**given, "replications": None, "replications_from": counts.name}


def counted(design: Design, options: RunOptions) -> tuple[Design, RunOptions]:
    """The design without the column of replications, and options with these replications.

    Raises UsageError where the numbers do not fit the design, DesignError where a parameter is called replications.
    """
    counts: Counts | None = options.replications
    if options.replications_from is not None:
        design, numbers = _taken(design, options.replications_from)
        counts = numbers if counts is None else counts  # as where -n replaces the numbers of a sweep file
    if "replications" in design.types:
        raise DesignError(
            "a parameter can't be named 'replications': every table of results has such a column",
            "If it holds the replications of each condition: " + Option("replications_from", "replications"),
        )
    if isinstance(counts, tuple):
        if len(counts) != len(design):
            raise UsageError(
                f"there are {len(counts)} numbers of replications, and the design has {len(design)} condition{'s' * (len(design) != 1)}",
                "Give one number, or one for each condition, in the order of the design.",
            )
        counts = simplest(counts)
    return design, replace(options, replications=counts, replications_from=None)


def _taken(design: Design, name: str) -> tuple[Design, Counts]:
    """The design without a column, and the numbers in it."""
    if name not in design.types:
        columns = f"It has: {', '.join(design.names) or 'none'}."
        raise UsageError(f"there is no column {name!r} in the design", nearest(name, design.names) or columns)
    numbers = design.table[name].to_pylist()
    for row, number in enumerate(numbers):
        whole = isinstance(number, (int, float)) and not isinstance(number, bool) and number == number
        if not (whole and 1 <= number <= MOST and float(number).is_integer()):
            raise UsageError(
                f"column {name!r} is {number!r} in condition {row + 1} of the design",
                f"A number of replications is a whole number from 1 to {MOST}.",
            )
    others = [one for one in design.names if one != name]
    if not others and len(design) > 1:
        raise DesignError(f"the design has no parameters beside {name!r}, so its conditions are equal")
    rest = Design({one: design.table[one] for one in others}, {one: design.types[one] for one in others})
    rest.objects = {one: objects for one, objects in design.objects.items() if one in others}
    return rest, simplest(int(number) for number in numbers)
