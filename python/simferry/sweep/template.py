"""The arguments of whole scripts and commands: a template, filled in for each condition."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..errors import SimulationError, nearest
from ..worker.scripts import MARKS
from .design import Design
from .parameters import canonical_value


def rendered_arguments(spec: Mapping[str, Any], design: Design) -> list[list[str]]:
    """The arguments of a script or command: a column for each, a row for each condition.

    Raises SimulationError for a placeholder without a parameter, and for a parameter that is used nowhere.
    """
    used: set[str] = set()
    columns = []
    try:
        tokens = shlex.split(spec["args"] or "")
    except ValueError as error:
        raise SimulationError(
            f"args: {spec['args']} can't be split into arguments: {str(error).lower()}", "Quote as in a shell."
        ) from None
    for token in tokens:
        column = [""] * len(design)
        for part in re.split(r"(\{\{|\}\}|\{[^{}]*\})", token):
            name = part[1:-1] if part.startswith("{") and part.endswith("}") else ""
            if name in design.types:
                used.add(name)
                texts = [as_argument(v, spec["language"]) for v in design.table[name].to_pylist()]
            elif name and name not in MARKS:
                raise SimulationError(
                    f"args: there is no parameter {name!r} in the design ({', '.join(design.names) or 'it has none'})",
                    nearest(name, [*design.names, *MARKS]),
                )
            else:
                texts = [MARKS[name] if name else part[0] if part in ("{{", "}}") else part] * len(design)
            column = [before + text for before, text in zip(column, texts, strict=True)]
        columns.append(column)
    if unused := [name for name in design.names if name not in used]:
        raise SimulationError(
            f"parameter {unused[0]} of the design is not used in the arguments of the {spec['kind']}",
            f"Put {{{unused[0]}}} in args, or leave the parameter out. args are now: {spec['args'] or '(none)'}",
        )
    return columns


def as_argument(value: Any, language: str) -> str:
    """A parameter in a command line: 1000 is 1000, never 1e+03 or 1000.0; logicals as the language writes them."""
    if value is None:
        return "NA"
    if isinstance(value, bool):
        text = "TRUE" if value else "FALSE"
        return {"r": text, "python": text.capitalize()}.get(language, text.lower())
    if isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            return canonical_value(value).split('"')[3]
        if value == 0 or 1e-15 <= abs(value) < 1e21:
            import numpy

            return str(numpy.format_float_positional(value + 0.0, trim="-"))
        return repr(value)
    return str(value)
