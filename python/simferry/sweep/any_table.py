"""Tables of any kind as Arrow's: files, and those of pandas, Polars and Arrow."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import UsageError
from .parameters import read_table


def is_table_file(data: Any) -> bool:
    """Whether it is the path of a CSV or Parquet file, by its ending."""
    return isinstance(data, str | Path) and Path(data).suffix.lower() in (".csv", ".parquet", ".pq")


def as_arrow(data: Any) -> pa.Table:
    """A file's path, a table or columns by name as Arrow's table. Raises UsageError; DesignError if a file can't be read."""
    if isinstance(data, str | Path):
        path = Path(data).expanduser()
        if not path.is_file():
            raise UsageError(f"there is no file {data}")
        return read_table(path, {})
    try:
        is_pandas = type(data).__module__.split(".")[0] == "pandas"
        table = pa.Table.from_pandas(data, preserve_index=False) if is_pandas else pa.table(data)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"a {type(data).__name__} is no table: {error}") from None
    for i, field in enumerate(table.schema):  # Polars' texts, which Arrow can't sort
        if field.type == pa.string_view():
            table = table.set_column(i, field.name, table[field.name].cast(pa.string()))
    return table
