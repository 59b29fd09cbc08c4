"""Values and errors of replications, converted at once to plain types.

Methods of the user's classes may raise or end the process. After the conversion none of them runs when a block is written.
"""

import contextlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .forms import exact
from .rows import LONGEST_TEXT, MOST_BYTES, Refused, an, as_rows
from .scripts import Reported, ScriptFailed

MOST = 100_000  # characters of a message
MOST_CAUSES = 10


class Rows(dict[str, Any]):
    """Columns of equal length. Their values are str, int, float, bool, None, Formed or ListCell, of exactly these types;
    long columns of numbers are arrays.

    odd: what was left out, as no column holds it: the kind of value by its name.
    """

    odd: dict[str, str]


def rows_of(value: Any) -> Rows | None:
    """The rows of a value; None if it is not a table. Raises Refused if it can't be kept, or is an exception."""
    odd: dict[str, str] = {}
    try:
        if isinstance(value, BaseException):  # which the simulation caught
            raise Refused(message_of(value))
        columns = as_rows(value, odd)
        if columns is None:
            return None
        rows = Rows()
        rows.odd = {str.__str__(name): str.__str__(kind) for name, kind in odd.items()}
        for name, column in columns.items():
            rows[str.__str__(name)] = _kept(column) if isinstance(column, np.ndarray) else [exact(v) for v in column]
        if len({len(column) for column in rows.values()}) > 1:
            raise Refused(f"the simulation returned {kind_phrase(value)} whose columns are of different lengths")
        lists = (column for column in rows.values() if type(column) is list)
        if any(type(v) is str and len(v) > LONGEST_TEXT for column in lists for v in column):
            raise Refused("the simulation returned a text of more than 500 million characters: write it to a file")
    except Refused:
        raise
    except Exception as error:
        raise cannot_be_kept(value, error) from None
    return rows


def _kept(column: np.ndarray) -> np.ndarray:
    """A copy of an array, which the simulation may change. One that is larger than a block is written at once."""
    return column if column.nbytes > MOST_BYTES else column.copy()


def cannot_be_kept(value: Any, error: BaseException) -> Refused:
    return Refused(
        f"the simulation returned {kind_phrase(value)}, which can't be kept: {message_of(error)}. "
        "Return numbers, a dict, a tuple or a data frame"
    )


def kind_phrase(value: Any) -> str:
    return an(_text_of(lambda: type(value).__name__, "value"))


def message_of(error: BaseException, category: type | None = None) -> str:
    kind = _text_of(lambda: (category or type(error)).__name__, "exception")
    return cut(f"{kind}: {_text_of(lambda: str(error), '(no text: its __str__ raises)')}")


def shown(value: Any) -> str:
    return _text_of(lambda: repr(value), f"({kind_phrase(value)} whose __repr__ raises)")


def describe(error: BaseException) -> tuple[str, str, str]:
    """Message, call and traceback of a failed replication, without the worker's own frames."""
    if type(error) in (ScriptFailed, Refused):
        return cut(str(error)), "", ""
    if type(error) is Reported:
        message, where, way = error.args
        return cut(message), where, cut(way)
    call = ""
    with contextlib.suppress(BaseException):  # methods of the user's exception may raise
        frames = _frames(error)
        call = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    return message_of(error), call, cut(_with_causes(error))


def _with_causes(error: BaseException) -> str:
    """The traceback of an error after those of the errors that led to it, as Python prints it: of tasks too, in other processes."""
    text, seen = _alone(error), {id(error)}
    while len(seen) < MOST_CAUSES:
        cause, before, hidden = (
            vars(BaseException)[name].__get__(error) for name in ("__cause__", "__context__", "__suppress_context__")
        )
        earlier = before if cause is None and not hidden else cause
        if earlier is None or id(earlier) in seen:
            break
        link = "During handling of the above exception, another exception occurred"
        if cause is not None:
            link = "The above exception was the direct cause of the following exception"
        text = f"{_alone(earlier)}\n{link}:\n\n{text}"
        seen.add(id(earlier))
        error = earlier
    return text


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    # where the worker was loaded from, and where it is now (main.py)
    own = {Path(_frames.__code__.co_filename).parent, Path(__file__).parent}
    found = traceback.extract_tb(vars(BaseException)["__traceback__"].__get__(error))
    return [f for f in found if Path(f.filename).parent not in own]


def _alone(error: BaseException) -> str:
    """Frames and last line of an error, then of the errors in its group."""
    text = ""
    with contextlib.suppress(BaseException):
        text = "".join(traceback.format_list(_frames(error)[-30:]))
    text += _text_of(lambda: "".join(traceback.format_exception_only(error)), f"{message_of(error)}\n")
    with contextlib.suppress(BaseException):
        for one in getattr(error, "exceptions", ())[:MOST_CAUSES] if type(error).__name__.endswith("Group") else ():
            text += "".join(f"  | {line}\n" for line in _alone(one).splitlines())
    return text


def cut(text: str) -> str:
    return text if len(text) <= MOST else f"{text[:MOST]} ... ({len(text):,} characters in all)"


def _text_of(say: Callable[[], Any], otherwise: str) -> str:
    """The text that a function of the user's class returns; `otherwise` if it raises or returns no text."""
    with contextlib.suppress(BaseException):
        return str.__str__(say())
    return otherwise
