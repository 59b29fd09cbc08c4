"""Values that a number, a logical or a text does not hold as it is: dates, times, durations, levels of a factor.

`exact` turns each value into one of Python's own types, or a Formed, so that no method of a user's class runs later; `column_of`
makes columns of them (blocks.FORMS lists what a column may stand for).
"""

import contextlib
import datetime
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import blocks

MISSING = ("NAType", "NaTType", "MaskedConstant")
# of the standard library and of pandas, by name: importing it takes long
_KINDS = ("Timestamp", "Timedelta", "date", "datetime", "timedelta", "time", "Interval", "Period")
_EXACT = (float, int, bool, str, type(None))
_LEAST, _MOST = -(2**63) + 1, 2**63 - 1  # -2^63 is the NA of R's integer64
_EPOCH = datetime.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Formed:
    """A value with a form. stored: what its column holds. levels: of a factor."""

    form: str
    stored: float | str
    levels: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a column of texts holds."""
        return text_of(self.form, self.stored)


class ListCell(tuple[Any, ...]):
    """A cell that is a list. Its elements are of Python's own types."""

    __slots__ = ()


def list_cell(value: Any) -> Any:
    """A list, a tuple or an array of one dimension as a ListCell, if it holds numbers, logicals and texts; others as they are."""
    if type(value) not in (list, tuple) and not (
        isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biufOUT"
    ):
        return value
    elements = value.tolist() if isinstance(value, np.ndarray) else value
    if not all(is_plain(v) and type(v) is not ListCell for v in elements):
        return value
    cell = ListCell(exact(v) for v in elements)
    return value if any(type(v) is Formed for v in cell) else cell


def text_of(form: str, stored: Any) -> str:
    """A stored value as text: dates and times as in ISO 8601, those with a zone in UTC; seconds as a number."""
    kind, _, zone = form.partition(" ")
    if kind in ("date", "time") and math.isfinite(stored):
        with contextlib.suppress(OverflowError):
            moment = moment_of(stored * 86400 if kind == "date" else stored)
            return str(moment.date()) if kind == "date" else f"{moment}{'+00:00' if zone else ''}"
    return blocks.as_text(stored)


def moment_of(seconds: float) -> datetime.datetime:
    """The time so many seconds after 1970, to the microsecond. Raises OverflowError."""
    whole = math.floor(seconds)
    return _EPOCH + datetime.timedelta(seconds=whole, microseconds=round((seconds - whole) * 1e6))


def common_form(forms: set[str], levels: set[tuple[str, ...]]) -> str:
    """The form of a column whose values have these forms and levels; empty if there is none. Times in several zones are in UTC.

    Ordered factors whose levels differ have no common order.
    """
    if forms == {"ordered"} and len(levels) > 1:
        return "factor"
    if len(forms) == 1:
        return next(iter(forms))
    if all(form.startswith("time ") for form in forms):
        return "time UTC"
    if forms <= {"factor", "ordered"}:
        return "factor"
    return ""


def common_levels(sets: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The levels of all: as they are where all agree, else sorted, so that they don't depend on the order of blocks."""
    different = set(sets)
    return next(iter(different)) if len(different) == 1 else tuple(sorted(set().union(*different)))


def is_plain(value: Any) -> bool:
    """Whether a cell of a table holds it."""
    if isinstance(value, (bool, int, float, str, np.number, np.bool_, np.datetime64)):
        return not isinstance(value, np.complexfloating)
    return value is None or type(value).__name__ in (*MISSING, *_KINDS) or type(value) in (Formed, ListCell)


def exact(value: Any) -> Any:
    """A cell as a Formed, or as one of Python's own types."""
    if type(value) in _EXACT or type(value) in (Formed, ListCell):
        return value
    if isinstance(value, (np.datetime64, np.timedelta64)):
        value = _of_numpy(value)
        if value is None or type(value) is Formed:
            return value
    if isinstance(value, np.generic):
        value = float(value) if isinstance(value, np.longdouble) else value.item()  # whose item() is one again
    kind = type(value)
    if kind.__name__ in MISSING:
        return None
    for own in (bool, int, float, str):
        if issubclass(kind, own):
            return _OWN[own](value)
    if issubclass(kind, datetime.datetime):
        return _moment(value)
    if issubclass(kind, datetime.date):
        return Formed("date", float(datetime.date.toordinal(value) - _EPOCH.toordinal()))
    if issubclass(kind, datetime.timedelta):
        return Formed("seconds", float.__float__(value.total_seconds()))
    return str.__str__(str(value))


_OWN: dict[type, Callable[[Any], Any]] = {
    bool: bool, int: int.__int__, float: float.__float__, str: str.__str__,
}  # fmt: skip


def _of_numpy(value: Any) -> Any:
    """A date, a time or a duration of numpy, with its nanoseconds."""
    if np.isnat(value):
        return None
    if isinstance(value, np.timedelta64):
        with contextlib.suppress(TypeError):  # years and months have no length
            return Formed("seconds", float(value / np.timedelta64(1, "s")))
        return str(value)
    finer = value.astype("M8[us]")
    return finer.item() if finer == value else str(value)


def _moment(value: Any) -> Any:
    """A time, to the microsecond. One that a double of seconds does not hold that well stays text."""
    moment = datetime.datetime(*datetime.datetime.timetuple(value)[:6], value.microsecond)
    zone, offset = value.tzinfo, value.utcoffset()
    if offset is not None:
        moment -= offset
    seconds = (moment - _EPOCH) / datetime.timedelta(seconds=1)
    if moment_of(seconds) != moment or getattr(value, "nanosecond", None):
        return str.__str__(str(value))
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # of zoneinfo, of pytz
    if offset is not None and not isinstance(name, str):
        minutes = offset // datetime.timedelta(minutes=1)
        name = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}" if minutes else "UTC"
    return Formed(f"time {name}" if name else "time", seconds)


def labels(codes: Any, levels: Any, ordered: bool) -> list[Formed | None]:
    """The values of a factor. codes: from 0; negative ones are missing. levels: texts, or values that are named by their text."""
    texts = tuple(str.__str__(str(level)) for level in levels)
    form = "ordered" if ordered else "factor"
    each = [Formed(form, text, texts) for text in texts]
    return [each[code] if code >= 0 else None for code in codes]


def column_of(values: Any) -> blocks.Column:
    """Cells as one column of the first kind that holds them all: logical, integer, double, string, or of their common form.

    Beside lists other cells are lists of one.
    """
    if isinstance(values, np.ndarray):  # long, of numbers or logicals
        if values.dtype.kind == "f":
            return blocks.numbers("double", values)
        if values.dtype.kind == "b":
            return blocks.numbers("logical", values)
        if values.min() > -(2**31) and values.max() < 2**31:
            return blocks.numbers("integer", values)
        return column_of(values.tolist())
    if all(type(v) is float or type(v) is np.float64 for v in values):  # the common case, fast
        return blocks.numbers("double", values)
    values = [v if type(v) in _EXACT else exact(v) for v in values]
    kinds = {type(v) for v in values if v is not None}
    if ListCell in kinds:
        return _lists([v if v is None or type(v) is ListCell else ListCell((v,)) for v in values])
    if kinds <= {bool}:
        return blocks.numbers("logical", [blocks.NA_INTEGER if v is None else v for v in values])
    if kinds <= {bool, int} and all(v is None or -(2**31) < v < 2**31 for v in values):
        return blocks.numbers("integer", [blocks.NA_INTEGER if v is None else v for v in values])
    if int in kinds and kinds <= {bool, int, float} and is_long(values):
        column = blocks.strings([None if v is None else str(int(v)) for v in values])
        column.form = "long"
        return column
    if kinds == {Formed}:
        levels = {v.levels for v in values if v is not None}
        form = common_form({v.form for v in values if v is not None}, levels)
        if form:
            stored = [None if v is None else v.stored for v in values]
            text = blocks.FORMS[form.partition(" ")[0]] == "string"
            column = blocks.strings(stored) if text else blocks.numbers("double", _doubles(stored))
            column.form = form
            column.levels = common_levels(levels)
            return column
    if Formed in kinds:
        seconds = all(type(v) is not Formed or v.form == "seconds" for v in values)
        return column_of([(v.stored if seconds else v.text) if type(v) is Formed else v for v in values])
    if kinds <= {bool, int, float} and not any(type(v) is int and not _is_double(v) for v in values):
        return blocks.numbers("double", _doubles(values))
    return blocks.strings([None if v is None else blocks.as_text(v) for v in values])


def _lists(cells: list[ListCell | None]) -> blocks.Column:
    inside = [v.text if type(v) is Formed else v for cell in cells for v in cell or ()]
    elements = column_of(inside) if inside else blocks.numbers("logical", [])
    # the digits of long ones are texts
    return blocks.lists([-1 if cell is None else len(cell) for cell in cells], elements)


def is_long(values: list[Any]) -> bool:
    """Whether numbers are whole, all fit 64 bits, and some are beyond 2^53."""
    known = [v for v in values if v is not None]
    if not any(type(v) is int and abs(v) > 2**53 for v in known):
        return False
    return all(
        _LEAST <= v <= _MOST if type(v) is int else v == int(v) and abs(v) <= 2**53 if math.isfinite(v) else False
        for v in known
    )


def _doubles(values: list[Any]) -> np.ndarray:
    out = np.array([0.0 if v is None else v for v in values], dtype="<f8")
    out[[v is None for v in values]] = blocks.NA_DOUBLE
    return out


def _is_double(value: int) -> bool:
    """Whether a double holds it exactly. Other integers are kept as text."""
    with contextlib.suppress(OverflowError):
        return float(value) == value
    return False


def durations(seconds: np.ndarray) -> np.ndarray:
    """Seconds as timedelta64, NaN as NaT; infinite ones, and those of more than 290,000 years, stay numbers."""
    there = ~np.isnan(seconds)
    most = abs(seconds[there]).max(initial=0)
    if most >= 9e12:
        return seconds
    unit, ticks = (10**9, np.dtype("m8[ns]")) if most < 9e9 else (10**6, np.dtype("m8[us]"))
    whole = np.floor(seconds[there])
    out = np.full(len(seconds), np.timedelta64("NaT"), dtype=ticks)
    out[there] = (whole.astype("i8") * unit + np.round((seconds[there] - whole) * unit).astype("i8")).view(ticks)
    return out
