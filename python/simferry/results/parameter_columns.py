"""The parameters of conditions as columns of a table, and outputs that have a parameter's name."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pyarrow as pa

from ..sweep.arrow import as_numpy, whole_numbers
from ..sweep.design import Design


def output_names(names: Sequence[str], design: Design, is_left_out: Callable[[str], bool]) -> dict[str, str | None]:
    """New names of outputs that have a parameter's name; None for one that is left out. names: of all columns."""
    out: dict[str, str | None] = {}
    there = list(names)
    for name in design.names:
        if name in there:
            new = None if is_left_out(name) else _free(name, there, design)
            out[name] = new
            there = [new if n == name else n for n in there if n != name or new is not None]  # type: ignore[misc]
    return out


def with_columns(rows: pa.Table, design: Design, names: Mapping[str, str | None]) -> pa.Table:
    """Rows with the parameters of their condition, as columns after `replication`. names: see `output_names`."""
    at = whole_numbers(as_numpy(rows["condition"]) - 1)
    parameters = {name: design.table[name].take(at) for name in design.names}
    if not names:  # of which there may be thousands
        for i, (name, values) in enumerate(parameters.items()):
            rows = rows.add_column(2 + i, name, values)
        return rows
    columns = {names.get(field.name, field.name): i for i, field in enumerate(rows.schema)}
    columns.pop(None, None)
    fields = [rows.schema.field(i).with_name(name) for name, i in columns.items()]
    arrays = [rows.column(i) for i in columns.values()]
    fields[2:2] = [pa.field(name, values.type) for name, values in parameters.items()]
    arrays[2:2] = parameters.values()
    return pa.table(arrays, schema=pa.schema(fields, rows.schema.metadata))


def repeats(name: str, pieces: Iterable[pa.Table], design: Design) -> bool:
    """Whether an output equals the parameter of its name in every row."""
    return all(
        _equal(rows[name], design.table[name].take(whole_numbers(as_numpy(rows["condition"]) - 1))) for rows in pieces
    )


def _equal(output: pa.ChunkedArray, parameter: pa.ChunkedArray) -> bool:
    if output.type == parameter.type:
        return bool(output.equals(parameter))
    if {output.type, parameter.type} == {pa.int32(), pa.float64()}:
        return bool(output.cast(pa.float64()).equals(parameter.cast(pa.float64())))
    return False


def _free(name: str, there: Sequence[str], design: Design) -> str:
    """A new name for an output that has a parameter's name."""
    name += "_result"
    while name in there or name in design.types:
        name += "_result"
    return name
