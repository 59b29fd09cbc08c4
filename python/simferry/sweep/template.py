"""Templates, filled in for each condition: arguments of whole scripts and commands, environment variables, names of results files."""

import math
import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..errors import SimulationError, nearest
from ..r.serialization.reader import as_character
from ..worker.job import MARKS
from .design import Design
from .parameters import canonical_value


def rendered_arguments(spec: Mapping[str, Any], design: Design) -> list[list[str]]:
    """The arguments of a script or command: a column for each, a row for each condition.

    Raises SimulationError for a placeholder without a parameter, and for a parameter that is used nowhere.
    """
    try:
        tokens = shlex.split(spec["args"] or "")
    except ValueError as error:
        raise SimulationError(
            f"args: {spec['args']} can't be split into arguments: {str(error).lower()}", "Quote as in a shell."
        ) from None
    used: set[str] = set()
    columns = [_column("args", token, spec, design, used) for token in tokens]
    for name, text in (spec.get("env") or {}).items():
        _column(f"env: {name}", text, spec, design, used)
    if unused := [name for name in design.names if name not in used]:
        raise SimulationError(
            f"parameter {unused[0]} of the design is not used in the arguments of the {spec['kind']}",
            f"Put {{{unused[0]}}} in args, or leave the parameter out. args are now: {spec['args'] or '(none)'}",
        )
    return columns


OUTPUT = "/opt/ml/processing/output/"
WILDCARDS = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}


def results_name(given: str) -> str:
    """The name of results files in the output folder. Raises SimulationError if it is no place in there."""
    name = given.removeprefix(OUTPUT)
    if name.startswith(("/", "~")) or (len(name) > 1 and name[1] == ":") or ".." in name.split("/"):
        raise SimulationError(
            f"results_file: {given} is outside of the script's output folder",
            "It is read from the folder in which the script is started: give a name relative to that, as results/out.csv, "
            f"or one that begins with {OUTPUT}.",
        )
    if not name or name.endswith("/"):
        raise SimulationError(
            f"results_file: {given} names a folder",
            f"{name}*.csv  stands for all .csv files that a replication writes there.",
        )
    return name


def has_wildcards(name: str) -> bool:
    return "*" in name or "?" in name


def results_patterns(spec: Mapping[str, Any], design: Design) -> list[str] | None:
    """A regular expression for each condition, of Python and PCRE, that whole names of results files match.

    {n} matches all spellings of a number: 100000 may be 1e+05 in R and 100000.0 in Python. * and ? do not match a slash, **/ matches
    any folders. None if it is the name of one file. Raises SimulationError for a placeholder without a parameter.
    """
    name = os.path.normpath(spec["results_file"]) if spec["results_file"] else ""
    if not has_wildcards(name) and "{" not in name and "}" not in name:
        return None
    out = [""] * len(design)
    for part in re.split(r"(\{\{|\}\}|\{[^{}]*\}|\*\*/|\*|\?)", name):
        field = part[1:-1] if part.startswith("{") and part.endswith("}") else ""
        if field in design.types:
            values = design.table[field].to_pylist()
            found = ["(?:" + "|".join(map(re.escape, spellings(v, spec["language"]))) + ")" for v in values]
        elif field and field not in MARKS:
            raise SimulationError(
                f"results_file: there is no parameter {field!r} in the design ({', '.join(design.names) or 'it has none'})",
                nearest(field, [*design.names, *MARKS]) or "A brace that is part of the name is written twice: {{.",
            )
        else:
            text = MARKS[field] if field else re.escape(part[0] if part in ("{{", "}}") else part)
            found = [WILDCARDS.get(part, text)] * len(design)
        out = [before + text for before, text in zip(out, found, strict=True)]
    return out


def spellings(value: Any, language: str) -> list[str]:
    """How scripts may write a parameter in the name of a file."""
    out = [as_argument(value, language)]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        out += [as_character(float(value)), repr(float(value))]
    return list(dict.fromkeys(out))


def rendered_variables(spec: Mapping[str, Any], design: Design) -> dict[str, list[str]]:
    """The environment variables of a simulation by name: a value for each condition.

    Raises SimulationError for a placeholder without a parameter.
    """
    return {name: _column(f"env: {name}", text, spec, design, set()) for name, text in (spec.get("env") or {}).items()}


def constant_variables(spec: Mapping[str, Any]) -> dict[str, str]:
    """The environment variables without placeholders, which are set before the simulation is loaded."""
    texts = {name: _parts(text) for name, text in (spec.get("env") or {}).items()}
    return {
        name: "".join(part[0] if part in ("{{", "}}") else part for part in parts)
        for name, parts in texts.items()
        if not any(map(_placeholder, parts))
    }


def uses_condition(spec: Mapping[str, Any]) -> bool:
    """Whether a replication sees the number of its condition, in its arguments or its environment."""
    return any("condition" in map(_placeholder, _parts(text)) for text in [spec["args"] or "", *_values(spec)])


def _values(spec: Mapping[str, Any]) -> list[str]:
    return list((spec.get("env") or {}).values())


def _parts(text: str) -> list[str]:
    return re.split(r"(\{\{|\}\}|\{[^{}]*\})", text)


def _placeholder(part: str) -> str:
    return part[1:-1] if part.startswith("{") and part.endswith("}") else ""


def _column(where: str, text: str, spec: Mapping[str, Any], design: Design, used: set[str]) -> list[str]:
    """A text with the values of each condition. where: it stands, for messages. used: parameters that it uses are added."""
    column = [""] * len(design)
    for part in _parts(text):
        name = _placeholder(part)
        if name in design.types:
            used.add(name)
            texts = [as_argument(v, spec["language"]) for v in design.table[name].to_pylist()]
        elif name and name not in MARKS:
            raise SimulationError(
                f"{where}: there is no parameter {name!r} in the design ({', '.join(design.names) or 'it has none'})",
                nearest(name, [*design.names, *MARKS]),
            )
        else:
            texts = [MARKS[name] if name else part[0] if part in ("{{", "}}") else part] * len(design)
        column = [before + text for before, text in zip(column, texts, strict=True)]
    return column


def as_argument(value: Any, language: str) -> str:
    """A parameter in a command line: 1000 is 1000, never 1e+03 or 1000.0; logicals as the language writes them; a list is 1,2,3."""
    if isinstance(value, list):
        parts = [as_argument(one, language) for one in value]
        if comma := next((part for part in parts if "," in part), None):
            raise SimulationError(f"{comma!r} in a list can't be an argument: commas are between the list's elements")
        return ",".join(parts)
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
