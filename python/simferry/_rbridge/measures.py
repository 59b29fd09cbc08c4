"""Measures and contrasts, of runs and of R's data frames."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..analysis.own_measures import Functions, NoNumber
from ..errors import RError
from ..r.serialization import Vector, decode, encode
from .arguments import Arguments, column, plain, verb
from .runs import frame_of, open_run

if TYPE_CHECKING:
    import pyarrow as pa

_RUN = ("run", "store", "table")


class _OfR(Functions):
    """Functions of R. ask: R's, from and to bytes of its serialisation; it keeps the rows."""

    def __init__(self, names: list[str], ask: Callable[[bytearray], bytearray]) -> None:
        self.names, self._ask = names, ask

    def take(self, rows: "pa.Table") -> None:
        from .tables import r_table

        self._asked({"rows": r_table(rows)})

    def value(self, name: str, at: np.ndarray | None) -> float:
        found = self._asked({"name": name, "at": None if at is None else at + 1})
        if "interrupted" in found:
            raise KeyboardInterrupt
        if "error" in found:
            raise RError(found["error"])
        if "shown" in found:
            raise NoNumber(found["shown"])
        return np.nan if found["value"] is None else float(found["value"])

    def _asked(self, what: Arguments) -> Arguments:
        try:
            answer = decode(self._ask(encode(what)))
        except RuntimeError:  # R's side handles errors: nothing else ends it
            raise KeyboardInterrupt from None
        return dict(zip(answer.names, map(Vector.plain, answer.values), strict=True))  # type: ignore[union-attr]


@verb
def measures(given: Arguments) -> Any:
    from ..verbs import measures

    return _asked(given, measures.measures)


@verb
def contrast(given: Arguments) -> Any:
    from ..verbs import measures

    return _asked(given, measures.contrast)


def _asked(given: Arguments, verb: Any) -> Any:
    data, options = data_of(given)
    frame = verb(data, **options)
    return frame if given.get("table") is not None else frame_of(data, frame)


def data_of(given: Arguments) -> tuple[Any, dict[str, Any]]:
    """The run, or the data frame as a table, and the options. given: `own` has names of functions of R, which `back` calls."""
    import pyarrow as pa

    back, own = given.pop("back", None), given.pop("own", None)
    options = plain({name: value for name, value in given.items() if name not in _RUN and value is not None})
    if own is not None:
        options["own"] = _OfR(own.elements(), back)
    if (table := given.get("table")) is None:
        return open_run(given), options
    return pa.table({name: column(name, vector) for name, vector in table.items()}), options
