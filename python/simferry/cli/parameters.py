"""Parses values of parameters on the command line: -p n=10,20 -p method="a,b",c -p beta=[1,2],[3]."""

import re
from typing import Any

from ..errors import UsageError

_QUOTED = r""""(?:[^"\\]|\\.)*"|'[^']*'"""
_LIST = rf"""\[(?:{_QUOTED}|[^"'\[\]])*\]"""
TOKEN = re.compile(rf"""\s*({_QUOTED}|{_LIST}|[^"'\s,][^,]*|)\s*(,|$)""")


def parse_parameters(texts: tuple[str, ...]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """The columns of -p n=10,20 -p method="a,b",c, and the types of those with integers (10L)."""
    columns: dict[str, list[Any]] = {}
    types: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(f"-p {text} is not of the form NAME=VALUE,VALUE", f"Example: -p {name or 'n'}=10,20")
        if name in columns:
            raise UsageError(f"parameter {name} is given twice", f"Give all its values at once: -p {name}=10,20")
        parsed = [parse_value(token) for token in split_values(values, text)]
        kinds = _kinds([(value, kind) for value, kind in parsed if value != []], text, name)
        if integers := [kind for kind in kinds if "integer" in kind]:
            types[name] = integers[0]
        columns[name] = [value for value, _ in parsed]
    return columns, types


def parse_space(texts: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """What `space` takes, of -p "lambda=0.001..10 log" -p "k=1..20 integer" -p kernel=a,b, and the types of those with integers."""
    from ..search.space import parse_range  # takes long to load

    sources: dict[str, Any] = {}
    others: list[str] = []
    for text in texts:
        name, _, values = text.partition("=")
        if found := parse_range(name.strip(), values):
            if name.strip() in sources:
                raise UsageError(f"parameter {name.strip()} is given twice")
            sources[name.strip()] = found
        else:
            others.append(text)
    columns, types = parse_parameters(tuple(others))
    if twice := [name for name in columns if name in sources]:
        raise UsageError(f"parameter {twice[0]} is given twice")
    order = [text.partition("=")[0].strip() for text in texts]
    return {name: sources.get(name, columns.get(name)) for name in order}, types


def split_values(values: str, text: str) -> list[str]:
    """Split at commas outside of quotes."""
    out: list[str] = []
    end = 0
    while True:
        found = TOKEN.match(values, end)
        if not found:
            raise UsageError(
                f"-p {text}: a quote is not closed, or there is text beside it", "Example: -p 'n=\"a, b\",c'"
            )
        if not found[1]:
            raise UsageError(f"-p {text}: a value is empty", "An empty string is written in quotes: -p 'n=\"\"'")
        out.append(found[1].strip())
        if not found[2]:
            return out
        end = found.end()


def parse_value(text: str) -> tuple[Any, str]:
    if (inner := _inside(text)) is not None:
        parsed = [parse_value(token) for token in split_values(inner, text)] if inner else []
        kinds = _kinds(parsed, text, "n")
        return [value for value, _ in parsed], f"{min(kinds, default='number')} list"
    if re.match(r"\[(\[|[^]]*$)", text):
        raise UsageError(
            f"-p: {text} is no list and no single value", "Lists are written -p 'n=[1,2],[3]', texts -p 'n=\"[1,2\"'"
        )
    if text[:1] in ("'", '"'):
        inside = text[1:-1]
        return (re.sub(r'\\(["\\])', r"\1", inside) if text[0] == '"' else inside), "string"
    if re.fullmatch(r"[-+]?\d+L", text):
        return int(text[:-1]), "integer"
    words = {"TRUE": True, "True": True, "true": True, "FALSE": False, "False": False, "false": False, "NA": None}
    if text in words:
        return words[text], "logical"
    if re.fullmatch(r"[-+]?\d+", text):
        return int(text), "number"
    if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(Inf|inf)|NaN|nan", text):
        return float(text), "number"
    return text, "string"


def _kinds(parsed: list[tuple[Any, str]], text: str, name: str) -> set[str]:
    """The kind of some values: one, or integer and number. Raises UsageError."""
    kinds = {kind for value, kind in parsed if value is not None}
    if len({kind.replace("integer", "number") for kind in kinds}) > 1:
        hint = f"A list has brackets, also one of a single value: -p '{name}=[1,2],[3]'"
        if not any("list" in kind for kind in kinds):
            hint = "Quotes make strings: -p 'n=\"10\",a'"
        raise UsageError(f"-p {text} mixes values of kind {' and '.join(sorted(kinds))}", hint)
    return kinds


def _inside(text: str) -> str | None:
    """What is between the brackets of a list; None for other values, and for [a-z]: one word in brackets is a string."""
    if not re.fullmatch(_LIST, text):
        return None
    inner = text[1:-1].strip()
    word = inner and "," not in inner and inner[0] not in "\"'" and parse_value(inner)[1] == "string"
    return None if word else inner


def parse_inputs(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The fields of each --input NAME=SOURCE,mode=Pipe,sharded."""
    out = {}
    for text in given:
        name, equals, rest = text.partition("=")
        source, *more = rest.split(",")
        if not equals or not source:
            raise UsageError(f"--input {text} is not of the form NAME=SOURCE", "--input data=s3://my-bucket/data/")
        fields: dict[str, Any] = {"place": source}
        for option in more:
            key, _, value = option.partition("=")
            fields[key] = True if key == "sharded" and not value else value
        out[name] = fields
    return out


def listed(value: str | None) -> str | list[str] | None:
    """Names, separated by commas; `all` is returned as it is."""
    return value if value is None or value == "all" else [name.strip() for name in value.split(",")]
