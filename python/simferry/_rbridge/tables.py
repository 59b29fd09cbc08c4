"""Tables for R, with the classes that their columns have there, and values that were kept whole."""

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import UsageError
from ..r.serialization import Other, Vector, data_frame
from ..r.serialization.writer import vector
from ..results.columns import is_seconds
from ..results.table import of_conditions, parquet_file
from ..results.table import table as all_results
from .arguments import Arguments, verb
from .runs import open_run

if TYPE_CHECKING:
    from ..results.kept_whole import Kept


def r_table(table: pa.Table) -> Vector:
    """A data frame. Durations are difftimes in seconds. 64-bit integers that no double of R holds are text, with all digits."""
    columns = {}
    for name in table.column_names:
        column = table[name]
        if column.type == pa.int64() and (pc.max(pc.abs(column)).as_py() or 0) > 2**53:
            column = column.cast(pa.string())
        columns[name] = vector(column)
        if is_seconds(table, name):
            columns[name].attributes |= {"class": Vector("string", ["difftime"]), "units": Vector("string", ["secs"])}
    return data_frame(columns, table.num_rows)


@verb
def results(given: Arguments) -> Vector:
    """All results, or those of `conditions` alone."""
    found = open_run(given)
    if (some := given.get("conditions")) is not None:
        wanted = some.plain()
        return r_table(of_conditions(found._folder, wanted if isinstance(wanted, list) else [wanted]))
    table = all_results(found._folder, copies=3)  # R's own, too
    found._warn_of_oddities(table)
    return r_table(table)


@verb
def dataset(given: Arguments) -> Vector:
    """The path of a Parquet file with all results, in order."""
    return Vector("string", [str(parquet_file(open_run(given)._folder))])


@verb
def values(given: Arguments) -> Arguments:
    """table: condition, replication and the parameters. values: a list; file: paths where R has to read the value itself."""
    from ..results.kept_whole import kept_whole, with_ids

    run = open_run(given)
    trust = given["trust"] is not None and given["trust"].plain() is True
    found = list(kept_whole(run._folder, trust))
    files: list[str | None] = [None] * len(found)
    out = []
    for i, one in enumerate(found):
        value = _for_r(one)
        if isinstance(value, Other):
            files[i], value = str(one.path), None
        out.append(value)
    return {
        "table": r_table(with_ids(run._folder, found)),
        "values": Vector("list", out),
        "file": Vector("string", files),
    }


def _for_r(one: "Kept") -> Any:
    """The value for R; an Other where only R itself can read it."""
    if one.is_pickle:
        from ..r.values import to_r

        value = one.unpickled()
        try:
            return to_r(value)
        except TypeError as error:
            raise UsageError(
                f"{one.where} can't be converted to R: {error}", "Read it in Python: run.values()"
            ) from None
    value = one.r_object()
    if not _has_other(value):
        return value
    if not one.trusted:
        raise one.distrusted(
            "holds functions, calls or environments, which only R's readRDS reads, and that can run code"
        )
    return Other("file")


def _has_other(value: Any) -> bool:
    if isinstance(value, Other):
        return True
    if not isinstance(value, Vector):
        return False
    inner = [*(value.values if value.kind == "list" else ()), *value.attributes.values()]
    return any(map(_has_other, inner))
