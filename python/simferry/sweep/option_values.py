"""The values of options: what kinds there are, and what a value has to be. All are checked here, with the same messages."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import UsageError, nearest
from ..hints import Literal, Text, Words
from ..words import joined
from .variables import variables


class OptionSpec(NamedTuple):
    """help: one sentence. metavar: stands for a value in the shell's help. unit: of a number. default: in words. minimum,
    maximum: smallest and largest value; above: values are greater than this. fits: what a text has to be, in words, if it is wrong;
    else empty. known: raises UsageError for an unknown text.
    kept: simferry sets it in the record of a run; users can't give it."""

    help: str
    metavar: str = ""
    unit: str = ""
    default: str = ""
    minimum: float | None = None
    above: float | None = None
    maximum: float = math.inf
    choices: tuple[str, ...] = ()
    fits: Callable[[str], str] | None = None
    known: Callable[[str], object] | None = None
    kept: bool = False


Texts = str | tuple[str, ...]  # one text, or several
Paths = str | Path | tuple[str | Path, ...]
Pairs = str | dict[str, str]  # NAME=VALUE with commas between, or a dict
Variables = dict[str, str]
Named = Mapping[str, str]  # texts by their names
Values = str | float | tuple[str | float, ...]  # numbers or names
Truth = str | float | tuple[str | float, ...] | Mapping[str, Any]  # and a table, as columns
KINDS = {  # by the types of a value
    frozenset({int}): "whole number",
    frozenset({int, tuple[int, ...]}): "whole numbers",  # one, or one for each condition
    frozenset({float}): "number",
    frozenset({bool}): "logical",
    frozenset({str}): "text",
    frozenset({str, Path}): "path",
    frozenset({str, tuple[str, ...]}): "texts",
    frozenset({str, float, tuple[str | float, ...]}): "numbers or texts",
    frozenset({str, float, tuple[str | float, ...], Mapping[str, Any]}): "numbers, texts or a table",
    frozenset({str, Path, tuple[str | Path, ...]}): "paths",
    frozenset({str, dict[str, str]}): "pairs",
    frozenset({dict[str, str]}): "variables",
    frozenset({Mapping[str, str]}): "named texts",
}


class Field(NamedTuple):
    """An option as its dataclass defines it. kind: of KINDS."""

    name: str
    kind: str
    option: OptionSpec


class Unfit(Exception):
    """A value does not fit its option. words: what would fit."""

    def __init__(self, words: Words, hint: str = "") -> None:
        super().__init__(words)
        self.words, self.hint = words, hint


def checked(field: Field, value: Any) -> Any:
    """The value, converted for its option. Raises Unfit."""
    option = field.option
    if field.kind == "whole numbers" and isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        numbers = value.tolist() if hasattr(value, "tolist") else list(value)
        return tuple(_number(field, one) for one in numbers) if isinstance(numbers, list) else _number(field, numbers)
    if field.kind in ("whole number", "whole numbers", "number"):
        return _number(field, value)
    if field.kind == "logical":
        one = value.item() if type(value).__name__ in ("bool_", "bool") and hasattr(value, "item") else value  # numpy's
        if not isinstance(one, bool):
            raise Unfit(Text(Literal(True), " or ", Literal(False)))
        return one
    if option.choices:
        if value not in option.choices:
            raise Unfit(joined(option.choices), nearest(value, option.choices) if isinstance(value, str) else "")
        return value
    if field.kind == "pairs":
        return _pairs(value)
    if field.kind == "variables":
        return variables(value)
    if field.kind == "named texts":
        if not (isinstance(value, Mapping) and all(isinstance(one, str) for pair in value.items() for one in pair)):
            raise Unfit("texts by their names")
        return dict(value)
    if field.kind in ("numbers or texts", "numbers, texts or a table"):
        return _table(value) if field.kind.endswith("table") and not isinstance(value, str | Real) else _values(value)
    several = field.kind in ("texts", "paths") and isinstance(value, Iterable) and not isinstance(value, (str, Mapping))
    if several and not isinstance(value, Path):
        parts = tuple(value)
        if all(isinstance(one, str) or (field.kind == "paths" and isinstance(one, Path)) for one in parts):
            return _known(option, parts)
    if not isinstance(value, (str, Path) if field.kind in ("path", "paths") else str):
        such = f", such as {Literal(option.default)}" if option.fits and option.default else ""
        raise Unfit(f"a text{such}" if field.kind in ("text", "path") else "a text, or several")
    if option.fits and (problem := option.fits(str(value))):
        raise Unfit(problem)
    return _known(option, value)


def _known(option: OptionSpec, value: Any) -> Any:
    if option.known is None:
        return value
    for one in value.split(",") if isinstance(value, str) else value:
        try:
            if one.strip():
                option.known(one.strip())
        except UsageError as error:
            raise Unfit(f"one that is known: {error.message}", error.hint) from None
    return value


def _values(value: Any) -> Any:
    """Numbers and texts as they are; several as a tuple."""
    several = isinstance(value, Iterable) and not isinstance(value, (str, Mapping))
    parts = tuple(value) if several else (value,)
    if not all(isinstance(one, str | Real) and not isinstance(one, bool) for one in parts):
        raise Unfit("a number or a text, or several")
    parts = tuple(one if isinstance(one, str) else float(one) for one in parts)
    return parts if several else parts[0]


def _table(value: Any) -> Any:
    """A table as columns; the path of one, and other values, as they are."""
    from . import truths

    if isinstance(value, Path):
        return str(value)
    return truths.columns_of(value) if truths.is_table(value) else _values(value)


def _number(field: Field, value: Any) -> int | float:
    option, whole = field.option, field.kind.startswith("whole")
    real = isinstance(value, Real) and not isinstance(value, bool) and _is_finite(value)
    fits = real and (not whole or isinstance(value, Integral) or float(value).is_integer())
    low = option.minimum if option.minimum is not None else option.above
    if not fits or (low is not None and value < low) or value == option.above or value > option.maximum:
        raise Unfit(_in_words(field))
    return int(value) if whole or isinstance(value, Integral) else float(value)


def _is_finite(value: Real) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no double holds
        return False


def _in_words(field: Field) -> str:
    option = field.option
    if field.kind.startswith("whole"):
        each = ", or one for each condition" if field.kind == "whole numbers" else ""
        return f"a whole number from {option.minimum:.0f} to {option.maximum:.0f}{each}"
    if option.minimum is not None:
        return f"a number of {option.unit} from {option.minimum:.0f} to {option.maximum:.0f}"
    at_most = f", at most {option.maximum:.0f}" if option.maximum < math.inf else ""
    return f"a number of {option.unit} above {option.above:.0f}{at_most}"


def _pairs(value: Any) -> Any:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        texts = {
            name: one if isinstance(one, str) else f"{one!r}"
            for name, one in value.items()
            if isinstance(one, str | int | float)
        }
        if len(texts) == len(value):
            return texts
    if not isinstance(value, str) or not all("=" in one for one in value.split(",") if one.strip()):
        raise Unfit("NAME=VALUE, with commas between, or texts with names")
    return value


MOST_NOTE = 10_000  # bytes


def run_name(text: str) -> str:
    """What a name of a run has to be, in words, if it is wrong; else empty."""
    fits = (
        text.strip() and text.isprintable() and len(text) <= 100 and not re.search(r"[/\\]", text) and text != "latest"
    )
    return "" if fits else "a name of at most 100 characters, in one line, without slashes, and not latest"


def note(text: str) -> str:
    """What a note on a run has to be, in words, if it is wrong; else empty."""
    fits = len(text.encode(errors="replace")) <= MOST_NOTE and not re.search("[\ud800-\udfff]", text)
    return "" if fits else f"a text of at most {MOST_NOTE:,} bytes"
