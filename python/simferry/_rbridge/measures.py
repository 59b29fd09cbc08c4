"""Measures and contrasts, of runs and of R's data frames."""

from typing import Any

from .arguments import Arguments, column, plain, verb
from .runs import frame_of, open_run

_RUN = ("run", "store", "table")


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
    """The run, or the data frame as a table, and the options."""
    import pyarrow as pa

    options = plain({name: value for name, value in given.items() if name not in _RUN and value is not None})
    if (table := given.get("table")) is None:
        return open_run(given), options
    return pa.table({name: column(name, vector) for name, vector in table.items()}), options
