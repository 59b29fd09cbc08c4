"""Converts R's vectors, lists and data frames to Python values, and back.

| R                                     | Python                                                                        |
|---------------------------------------|-------------------------------------------------------------------------------|
| NULL                                  | None                                                                          |
| one number, logical or string         | float, int, bool, str; an NA pandas.NA, of a double the NaN that R's NA is      |
| several                               | numpy array; of objects for strings; pandas array for integers and logicals with NA |
| vector with names                     | dict (pandas.Series if names are empty or repeated)                           |
| matrix, array                         | numpy array of that shape, masked where integers or logicals are NA           |
| list                                  | list; with names a dict                                                       |
| data frame                            | pandas.DataFrame                                                              |
| integer64 of bit64                    | int, numpy array of int64, pandas array with NA                               |
| factor, Date, POSIXct                 | pandas.Categorical, dates of Arrow, datetimes with a zone                     |
| difftime                              | pandas.Timedelta, an array of them, a column of timedelta64                   |
| raw                                   | bytes                                                                         |
| call, function, environment, S4       | `Other`, with the kind of the object                                          |

To R: a Python int becomes a double, like whole numbers of a design; numpy's integers become R's integers. A list of numbers, logicals
or strings becomes a vector, with NA for None. A pandas.Series with text labels becomes a vector with names, a dict a list with names.
"""

import contextlib
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from ..worker.blocks import NA_DOUBLE, NA_INTEGER
from ..worker.forms import durations
from .serialization import Other, Vector, vector

_SECONDS = {"secs": 1, "mins": 60, "hours": 3600, "days": 86400, "weeks": 604800}  # of R's units
_EXACT = 2**53  # doubles hold all whole numbers up to this one

# ---- from R ----


def from_r(value: Vector | Other | None) -> Any:
    """The Python value. Raises ValueError for a damaged object."""
    if value is None or isinstance(value, Other):
        return value
    if "data.frame" in value.classes:
        return _frame(value)
    names = value.names
    shape = _shape(value)
    if len(shape) > 1:
        return _shaped(value, shape)
    if len(shape) == 1:  # as table() returns
        labels = value.attributes.get("dimnames")
        names = labels.values[0].plain() if isinstance(labels, Vector) and labels.values[0] is not None else []
        names = [names] if isinstance(names, str) else names
    if value.kind == "list":
        elements = [from_r(v) for v in value.values]
        return _named(names, elements, None) if names else elements
    if names:
        return _named(names, scalars(value), value)
    if value.kind == "raw":
        return value.values.tobytes()
    return scalars(value)[0] if len(value) == 1 else _column(value)


def _named(names: list[str], elements: list[Any], whole: Vector | None) -> Any:
    if len(names) != len(elements):
        raise ValueError(f"{len(elements)} values with {len(names)} names")
    if "" not in names and len(set(names)) == len(names):
        return dict(zip(names, elements, strict=True))
    return pd.Series(_objects(elements) if whole is None else _column(whole), index=names)


def _shape(value: Vector) -> list[int]:
    found = value.attributes.get("dim")
    return found.values.tolist() if isinstance(found, Vector) and found.kind == "integer" else []


def _shaped(value: Vector, shape: list[int]) -> np.ndarray:
    if "integer64" in value.classes:
        return _objects(scalars(value)).reshape(shape, order="F")
    if value.kind in ("list", "string"):
        objects = _objects([from_r(v) for v in value.values] if value.kind == "list" else value.values)
        return objects.reshape(shape, order="F")
    values: np.ndarray = value.values.astype(bool) if value.kind == "logical" else value.values.copy()
    missing = value.missing()
    if value.kind in ("integer", "logical") and missing.any():
        return np.ma.MaskedArray(values, missing).reshape(shape, order="F")
    return values.reshape(shape, order="F")


def scalars(value: Vector) -> list[Any]:
    """The single values of a vector, without names."""
    if value.kind in ("double", "complex", "raw") and not value.classes:
        return list(value.values.tolist())
    if not value.classes:
        return [pd.NA if v is None else v for v in value.elements()]
    column = _column(value)
    if isinstance(column, np.ndarray) and column.dtype.kind == "m":
        return list(pd.Series(column))
    return [v.item() if isinstance(v, np.generic) else v for v in column]


def _column(value: Vector) -> Any:
    """A vector as a column of a data frame."""
    classes = value.classes
    if value.kind == "list":
        return _objects([from_r(v) for v in value.values])
    if value.kind == "string":
        return _objects(value.values)
    missing = value.missing()
    if "factor" in classes and value.kind == "integer":
        levels = value.texts("levels")
        known = np.array([False, *(level is not None for level in levels)])  # NA can be a level
        code = np.where(known, np.cumsum(known), 0) - 1
        codes = code[np.where(missing, 0, value.values)]
        there = pd.Index([level for level in levels if level is not None])
        return pd.Categorical.from_codes(codes, there, ordered="ordered" in classes)
    if ("Date" in classes or "POSIXct" in classes) and value.kind in ("double", "integer"):
        numbers = value.values.astype("<f8")
        missing = missing | ~(abs(numbers) < (4e6 if "Date" in classes else 9e12))  # others have no date in Python
        numbers[missing] = 0
        if "Date" in classes:
            days = pa.array(np.floor(numbers).astype("i4"), pa.int32(), mask=missing).cast(pa.date32())
            return pd.array(days, dtype=pd.ArrowDtype(pa.date32()))
        ticks = np.round(numbers * 1e6).astype("i8").view("M8[us]")
        ticks[missing] = np.datetime64("NaT")
        zone = next((z for z in value.texts("tzone") if z), "UTC")
        times = pd.DatetimeIndex(ticks).tz_localize("UTC")
        with contextlib.suppress(Exception):  # a zone that is not known here
            times = times.tz_convert(zone)
        return times.array
    if "integer64" in classes and value.kind == "double":  # of bit64: integers in the bits of doubles
        whole = value.values.astype("<f8").view("<i8")
        missing = whole == np.iinfo("i8").min
        return pd.array(pa.array(whole, mask=missing), dtype=pd.ArrowDtype(pa.int64())) if missing.any() else whole
    unit = _SECONDS.get(next(iter(value.texts("units")), None) or "")
    if "difftime" in classes and value.kind in ("double", "integer") and unit:
        return durations(np.where(missing, np.nan, value.values.astype("<f8") * unit))
    if value.kind in ("integer", "logical") and missing.any():
        kind = pa.int32() if value.kind == "integer" else pa.bool_()
        return pd.array(pa.array(value.elements(), kind), dtype=pd.ArrowDtype(kind))
    return value.values.astype(bool) if value.kind == "logical" else value.values.copy()


def _objects(values: Sequence[Any]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):  # one by one: numpy would make a matrix of arrays
        out[i] = value
    return out


def _frame(value: Vector) -> pd.DataFrame:
    labels = value.attributes.get("row.names")
    index: Any = None
    if isinstance(labels, Vector) and len(labels):
        if labels.kind == "integer" and len(labels) == 2 and labels.values[0] == NA_INTEGER:
            index = range(abs(int(labels.values[1])))
        else:
            index = labels.values
            if labels.kind == "integer" and (index == np.arange(1, len(index) + 1)).all():
                index = range(len(index))
    rows = len(index) if index is not None else 0
    columns = {i: _frame_column(v, rows) for i, v in enumerate(value.values)}
    frame = pd.DataFrame(columns, index=index if index is not None else range(0))
    frame.columns = pd.Index(value.names or [str(i + 1) for i in columns])
    return frame


def _frame_column(value: Any, rows: int) -> Any:
    if not isinstance(value, Vector):
        return _objects([value] * rows)
    if "data.frame" in value.classes:
        return _objects(_frame(value).to_dict("records"))
    if len(shape := _shape(value)) > 1:
        return _objects(list(_shaped(value, shape)))
    if value.kind == "string":
        try:
            return pa.array(value.values, pa.string()).to_pandas().array
        except UnicodeEncodeError:  # bytes that are not UTF-8
            return _column(value)
    return _column(value)


# ---- to R ----


def to_r(value: Any) -> Any:
    """A value for `encode`. Raises TypeError if R has no such value."""
    if value is None or isinstance(value, (Vector, bool, np.generic, str, bytes, bytearray)):
        if isinstance(value, np.datetime64):
            return _ndarray(np.array([value]))
        return None if value is None else vector(value)
    if value is pd.NA or value is pd.NaT or value is np.ma.masked:
        return Vector("logical", np.array([NA_INTEGER], dtype="<i4"))
    if isinstance(value, int):
        return vector(_double(value))
    if isinstance(value, Mapping):
        return _list(list(value.values()), [str(name) for name in value])
    if isinstance(value, (list, tuple)):
        return _sequence(value)
    if isinstance(value, (datetime.date, datetime.datetime, datetime.timedelta)):
        return vector(pd.Series([value]))
    if isinstance(value, np.ndarray):
        return _ndarray(value)
    if isinstance(value, pd.DataFrame):
        return _from_frame(value)
    if isinstance(value, (pd.Index, pd.api.extensions.ExtensionArray)):
        return vector(pd.Series(value))
    if isinstance(value, pd.Series):
        made = _ndarray(value.to_numpy()) if value.dtype == object else vector(value)
        if len(value) and all(isinstance(label, str) for label in value.index):
            made.attributes["names"] = Vector("string", list(value.index))
        return made
    return vector(value)


def _double(value: int) -> float:
    if abs(value) > _EXACT:
        raise TypeError(f"R's numbers can't hold {value:,} exactly: pass it as a float or a string")
    return float(value)


def _list(values: list[Any], names: list[str]) -> Vector:
    return Vector("list", [to_r(v) for v in values], {"names": Vector("string", names)} if names else {})


def _sequence(values: Sequence[Any]) -> Vector:
    known = [v for v in values if not (v is None or v is pd.NA)]
    if not values or any(isinstance(v, (list, tuple, dict)) for v in known):
        return _list(list(values), [])
    if all(isinstance(v, (bool, np.bool_)) for v in known):
        return Vector("logical", np.array([NA_INTEGER if v is None or v is pd.NA else v for v in values], dtype="<i4"))
    if all(isinstance(v, (int, float, np.integer, np.floating)) and not isinstance(v, bool) for v in known):
        numbers = np.empty(len(values), dtype="<f8")
        numbers[:] = [0.0 if v is None or v is pd.NA else _double(v) if isinstance(v, int) else v for v in values]
        numbers[[v is None or v is pd.NA for v in values]] = NA_DOUBLE
        return Vector("double", numbers)
    if all(isinstance(v, str) for v in known):
        return Vector("string", [None if v is pd.NA else v for v in values])
    return _list(list(values), [])


def _ndarray(values: np.ndarray) -> Any:
    if values.ndim == 0:
        return to_r(values.item())
    flat = values.flatten(order="F")
    if values.dtype.kind in "OUT":
        made: Any = _sequence(flat.tolist())
    elif values.dtype.kind == "M":
        made = vector(pa.chunked_array([pa.array(flat)]))
    else:
        missing = np.ma.getmaskarray(flat)
        made = vector(np.ma.getdata(flat))
        if missing.any():
            made.values = np.where(missing, NA_DOUBLE if made.kind == "double" else NA_INTEGER, made.values)
    if values.ndim > 1:
        made.attributes["dim"] = Vector("integer", np.array(values.shape, dtype="<i4"))
    return made


def _from_frame(frame: pd.DataFrame) -> Vector:
    columns = [vector(frame.iloc[:, i]) for i in range(frame.shape[1])]
    for column in columns:
        if column.kind == "list":
            column.values = [to_r(v) for v in column.values]
    index = frame.index
    rows: Vector = Vector("integer", np.array([NA_INTEGER, -len(frame)], dtype="<i4"))
    if index.nlevels == 1 and index.is_unique and not index.hasnans and len(frame):
        if index.dtype.kind in "iu":
            if not index.equals(pd.RangeIndex(len(frame))) and abs(index.to_numpy()).max() < 2**31:
                rows = Vector("integer", index.to_numpy().astype("<i4"))
        elif all(isinstance(label, str) for label in index):
            rows = Vector("string", list(index))
    names = Vector("string", [str(name) for name in frame.columns])
    return Vector("list", columns, {"names": names, "class": Vector("string", ["data.frame"]), "row.names": rows})
