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
    import pyarrow as pa

    options = plain({name: value for name, value in given.items() if name not in _RUN and value is not None})
    if (table := given.get("table")) is None:
        found = open_run(given)
        return frame_of(found, verb(found, **options))
    data = pa.table({name: column(name, vector) for name, vector in table.items()})
    return verb(data, **options)
