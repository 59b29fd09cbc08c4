"""When a run has enough replications: the targets that users give."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import UsageError
from ..hints import Option, Text
from .options import RunOptions

LEAST, MOST, BATCH = 50, 100_000, 50


@dataclass(frozen=True)
class Until:
    """targets: by measure, or by output (of its mean), the Monte Carlo standard error (MCSE) that is small enough. least, most:
    replications of a condition. batch: looks are at multiples of it."""

    targets: Mapping[str, float]
    least: int = LEAST
    most: int = MOST
    batch: int = BATCH

    def in_words(self) -> str:
        """The targets as text: "coverage=0.005, bias=0.01"."""
        return ", ".join(f"{name}={value:g}" for name, value in self.targets.items())

    def as_record(self) -> dict[str, Any]:
        """What a run's record keeps."""
        return {"targets": dict(self.targets), "least": self.least, "most": self.most}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Until | None":
        """The rule of a run; None if it has none."""
        return cls(record["targets"], record["least"], record["most"]) if record else None


def stopping_rule(options: RunOptions) -> Until | None:
    """The rule that options of a run make; None without `until`. Raises UsageError."""
    if options.until is None:
        for name in ("least", "most"):
            if getattr(options, name) is not None:
                raise UsageError(
                    Text(Option(name), " belongs to ", Option("until")), Option("until", {"coverage": "0.005"})
                )
        return None
    if options.replications is not None:
        raise UsageError(
            Text(Option("replications"), " and ", Option("until"), " are both given"),
            Text(
                Option("least", 100),
                "  is the smallest number of replications, ",
                Option("most", 10000),
                "  the largest.",
            ),
        )
    least, most = options.least or LEAST, options.most or MOST
    if least > most:
        raise UsageError(Text(Option("least"), f" is {least}, more than ", Option("most"), f": {most}"))
    return Until(_targets(options.until), least, most)


def _targets(given: Any) -> dict[str, float]:
    pairs = (
        dict(one.split("=", 1) for one in given.split(",") if one.strip()) if isinstance(given, str) else dict(given)
    )
    out = {}
    for name, value in pairs.items():
        try:
            target = float(value)
        except ValueError:
            target = math.nan
        if not 0 < target < math.inf:
            raise UsageError(
                Text(Option("until"), f": the target of {name.strip()} is {value!r}; it has to be a number above 0"),
                Option("until", {"coverage": "0.005"}),
            )
        out[name.strip()] = target
    if not out:
        raise UsageError(Text(Option("until"), " names no measure"), Option("until", {"coverage": "0.005"}))
    return out
