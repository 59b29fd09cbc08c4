"""Tables of pandas, Polars, Arrow, xarray and numpy, and records, as columns of cells.

None of the packages is imported: types are told by their module.
"""

import dataclasses
import types
from collections.abc import Collection
from typing import Any

import numpy as np

from .forms import is_plain, labels

_LONG = 10_000  # cells; longer columns of numbers stay arrays: as a list each cell takes 32 bytes


class TwoOfOneName(Exception):
    """Two columns have the same name."""


def record_of(value: Any) -> Any:
    """A dataclass, a named tuple, an object of attrs or pydantic, a SimpleNamespace or a pandas.Series as a dict; one number of any array
    library as a number; others as they are."""
    value = scalar_of(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):  # those of scipy have private fields too
        return {name: one for name, one in value._asdict().items() if not str(name).startswith("_")}
    if isinstance(fields := getattr(type(value), "__attrs_attrs__", None), tuple):
        return {one.name: getattr(value, one.name) for one in fields}
    if isinstance(fields := getattr(type(value), "__pydantic_fields__", None), dict):
        return {name: getattr(value, name) for name in fields}
    if type(value) is types.SimpleNamespace:
        return dict(vars(value))
    if isinstance(value, np.void) and value.dtype.names:
        return {name: value[name] for name in value.dtype.names}  # item() makes integers of nanoseconds
    if _module(value) == "pandas" and hasattr(value, "to_frame") and hasattr(value, "index"):  # its index has the names
        return dict(zip(names_of(value.index), _pandas(value), strict=True))
    return value


def scalar_of(value: Any) -> Any:
    """An array without dimensions, of any library, as its number. Times keep their nanoseconds."""
    if getattr(value, "ndim", None) == 0 and _module(value) == "xarray":
        value = value.values
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return value[()]
    if (
        getattr(value, "ndim", None) == 0
        and not isinstance(value, np.generic)
        and callable(getattr(value, "item", None))
    ):
        return value.item()
    return value


def columns_of(value: Any) -> dict[str, list[Any]] | None:
    """The columns of a table; None if it is none."""
    module = _module(value)
    if module == "polars":
        value = value.collect() if hasattr(value, "collect") else value  # a LazyFrame
        if hasattr(value, "get_columns"):
            return {column.name: _polars(column) for column in value.get_columns()}
    elif module == "pyarrow" and hasattr(value, "column_names"):
        columns = [_arrow(value.column(i)) for i in range(value.num_columns)]
        return dict(zip(names_of(value.column_names), columns, strict=True))
    elif module == "pyarrow" and hasattr(value, "schema"):  # a RecordBatch of an older version
        columns = [_arrow(value.column(i)) for i in range(value.num_columns)]
        return dict(zip(names_of(value.schema.names), columns, strict=True))
    elif module == "xarray":
        return _xarray(value)
    elif hasattr(value, "columns") and hasattr(value, "itertuples"):  # a pandas.DataFrame
        columns_ = {name: _pandas(value.iloc[:, i]) for i, name in enumerate(names_of(value.columns))}
        return {**index_columns(value.index, columns_), **columns_} if columns_ else columns_
    elif isinstance(value, np.ndarray) and value.dtype.names and value.ndim == 1:
        return {name: cells_of(value[name]) for name in value.dtype.names}
    return None


def listed(value: Any) -> Any:
    """A column of Polars, Arrow or xarray as a list or an array, and a numpy.matrix as an array; others as they are."""
    if isinstance(value, np.matrix):  # each of its columns is a matrix too
        return np.asarray(value)
    module = _module(value)
    if module == "polars" and hasattr(value, "to_list"):
        return value.to_list()
    if module == "pyarrow" and hasattr(value, "to_pylist"):
        return value.to_pylist()
    return value.values if module == "xarray" and getattr(value, "ndim", None) == 1 else value


def index_columns(index: Any, taken: Collection[str]) -> dict[str, list[Any]]:
    """The columns that a pandas index becomes: its levels with a name, and its labels unless they are row numbers.

    The column of labels without a name is called row_name, as in R. taken: names of columns; a number is added to equal names.
    """
    out: dict[str, list[Any]] = {}
    for i, label in enumerate(index.names):
        level = index.get_level_values(i)
        if label is None and (len(level) == 0 or (index.nlevels == 1 and level.dtype.kind in "iu")):
            continue  # row numbers, also those of a subset
        first = name = "row_name" if label is None else str(label)
        number = 0
        while name in taken or name in out:
            number += 1
            name = f"{first}_{number}"
        out[name] = [v if is_plain(v) and type(v).__name__ != "Interval" else str(v) for v in level.tolist()]
    return out


def names_of(names: Any) -> list[str]:
    out = [str(name) for name in names]
    if len(set(out)) < len(out):
        raise TwoOfOneName(next(name for name in out if out.count(name) > 1))
    return out


def _module(value: Any) -> str:
    return str(getattr(type(value), "__module__", "")).partition(".")[0]


def _pandas(column: Any) -> Any:
    """The cells of a pandas column. A category is a level of a factor, unless it is a number."""
    if hasattr(column, "cat"):
        levels = column.cat.categories
        if levels.dtype.kind not in "biufcM":
            return labels(column.cat.codes.tolist(), levels.tolist(), bool(column.cat.ordered))
    if len(column) > _LONG and isinstance(column.dtype, np.dtype) and is_numbers(column.dtype):
        return column.to_numpy()
    return list(column.tolist())


def _polars(column: Any) -> Any:
    if type(column.dtype).__name__ == "Enum":
        codes = [-1 if code is None else code for code in column.to_physical().to_list()]
        return labels(codes, column.dtype.categories.to_list(), True)
    if type(column.dtype).__name__ == "Categorical":
        texts = column.to_list()
        levels = sorted({text for text in texts if text is not None})
        return labels([-1 if text is None else levels.index(text) for text in texts], levels, False)
    if getattr(column.dtype, "time_unit", None) == "ns" and not getattr(column.dtype, "time_zone", None):
        return list(column.to_numpy())  # to_list() cuts nanoseconds off
    if len(column) > _LONG and str(column.dtype) in ("Float64", "Int64", "Int32") and not column.null_count():
        return column.to_numpy()
    return list(column.to_list())


def _arrow(column: Any) -> list[Any]:
    if not hasattr(column.type, "value_type") or not hasattr(column.type, "ordered"):
        return list(column.to_pylist())
    column = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    levels = column.dictionary.to_pylist()
    if not all(isinstance(level, str) for level in levels):
        return list(column.to_pylist())
    return labels([-1 if code is None else code for code in column.indices.to_pylist()], levels, column.type.ordered)


def _xarray(value: Any) -> dict[str, list[Any]] | None:
    """A row for each point of the dimensions, whose coordinates are columns."""
    if hasattr(value, "data_vars"):
        if not value.sizes:
            return {str(name): [scalar_of(one)] for name, one in value.data_vars.items()}
        return columns_of(value.to_dataframe())
    if hasattr(value, "to_dataframe") and getattr(value, "ndim", None):
        return columns_of(value.to_dataframe(name="value" if value.name is None else str(value.name)))
    return None


def cells_of(column: Any) -> Any:
    """A column of a numpy array; times keep their nanoseconds. A long one of numbers or logicals is an array, else it is a list."""
    if len(column) > _LONG and type(column) is np.ndarray and column.ndim == 1 and is_numbers(column.dtype):
        return column
    return list(column) if column.dtype.kind in "mM" or column.ndim > 1 else list(column.tolist())


def is_numbers(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8
