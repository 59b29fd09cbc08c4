"""Tables and records of other packages, as columns."""

import dataclasses
import datetime as dt
import decimal
import types

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
import scipy.stats
import xarray as xr
from simferry.worker.rows import as_rows
from simferry.worker.values import rows_of


@dataclasses.dataclass
class Point:
    x: float
    name: str


CELLS = np.array([(1, 2.5, "a"), (2, 3.5, "b")], dtype=[("i", int), ("x", float), ("s", "U3")])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Point(1.5, "p"), {"x": [1.5], "name": ["p"]}),
        ([Point(1.5, "p"), Point(2.5, "q")], {"x": [1.5, 2.5], "name": ["p", "q"]}),
        (pl.DataFrame({"a": [1, None], "b": ["u", "v"]}), {"a": [1, None], "b": ["u", "v"]}),
        (pl.DataFrame({"a": [1, 2]}).lazy().filter(pl.col("a") > 1), {"a": [2]}),
        (pl.Series([1, 2]), {"value_1": [1], "value_2": [2]}),
        (pa.table({"a": [1, 2], "b": [None, 0.5]}), {"a": [1, 2], "b": [None, 0.5]}),
        (pa.record_batch({"a": [1, 2]}), {"a": [1, 2]}),
        (pa.array([1, 2]), {"value_1": [1], "value_2": [2]}),
        (xr.DataArray(3.0), {"value": [3.0]}),
        (xr.DataArray([1.0, 2.0], dims="t", name="m", coords={"t": [10, 20]}), {"t": [10, 20], "m": [1.0, 2.0]}),
        (xr.Dataset({"u": ("t", [1, 2]), "v": ("t", [3, 4])}), {"t": [0, 1], "u": [1, 2], "v": [3, 4]}),
        (xr.Dataset({"u": 3.0}), {"u": [3.0]}),
        ({"m": xr.DataArray(3.0), "n": np.array(4)}, {"m": [3.0], "n": [4]}),
        (CELLS, {"i": [1, 2], "x": [2.5, 3.5], "s": ["a", "b"]}),
        (CELLS[0], {"i": [1], "x": [2.5], "s": ["a"]}),
        (np.matrix([[1, 2], [3, 4]]), {"value_1": [1, 3], "value_2": [2, 4]}),
        (types.SimpleNamespace(x=1.5), {"x": [1.5]}),
        (attrs.make_class("Fit", ["x", "_private"])(1.5, 2), {"x": [1.5], "_private": [2]}),
        ([pydantic.create_model("Fit", x=float)(x=2)], {"x": [2.0]}),
        (scipy.stats.ttest_1samp([1.0, 3.0], 2.0), {"statistic": [0.0], "pvalue": [1.0], "df": [1]}),
    ],
)
def test_tables_and_records_are_rows(value, expected):
    assert as_rows(value) == expected


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"m": pd.Categorical(["lo", None], ["lo", "hi"], ordered=True)}),
        pl.DataFrame({"m": ["lo", None]}, schema={"m": pl.Enum(["lo", "hi"])}),
        pa.table({"m": pa.DictionaryArray.from_arrays([0, None], ["lo", "hi"], ordered=True)}),
    ],
)
def test_categories_are_levels(frame):
    cell, missing = as_rows(frame)["m"]
    assert (cell.form, cell.stored, cell.levels, missing) == ("ordered", "lo", ("lo", "hi"), None)


AT = np.datetime64("2026-01-02T03:04:05", "ns")
TIMED = np.array([(AT, np.timedelta64(5, "s"))], dtype=[("at", "M8[ns]"), ("took", "m8[ns]")])


@pytest.mark.parametrize(
    "value",
    [
        TIMED[0],
        TIMED[0:1].reshape(()),
        [TIMED[0]],
        np.array(AT),
        np.array([[AT]]),
        {"at": np.array(AT)},
        xr.DataArray(AT),
        xr.Dataset({"at": AT}),
    ],
)
def test_times_of_nanoseconds_are_no_integers(value):
    made = rows_of(value)
    at = next(iter(made.values()))[0]
    assert (at.form, at.stored) == ("time", 1767323045.0) and all(cell[0].form for cell in made.values())
    assert "took" not in made or made["took"][0].stored == 5


def test_durations_of_polars_keep_their_nanoseconds():
    took = pl.Series([1500, None], dtype=pl.Int64).cast(pl.Duration("ns"))
    made = rows_of(pl.DataFrame({"took": took}))["took"]
    assert made[0].stored == 1.5e-6 and made[1] is None


def test_one_odd_value_is_left_out_and_named():
    odd = {}
    value = {"x": 1, "c": 1 + 2j, "d": decimal.Decimal("1.1"), "o": object(), "deep": [[0], [1]]}
    assert as_rows(value, odd) == {"x": [1]}
    assert odd == {"c": "complex", "d": "decimal.Decimal", "o": "object", "deep": "list"}
    assert as_rows({"c": 1 + 2j}, odd) is None and as_rows(value) is None
    assert as_rows(pd.DataFrame({"x": [1, 2], "c": [1j, 2]}), odd) == {"x": [1, 2]}


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"x": [1, 2], "l": [[0.5, None], np.array([1.0])]}),
        pl.DataFrame({"x": [1, 2], "l": [[0.5, None], [1.0]]}),
        pa.table({"x": [1, 2], "l": [[0.5, None], [1.0]]}),
        [{"x": 1, "l": (0.5, None)}, {"x": 2, "l": [1.0]}],
    ],
)
def test_lists_are_cells(table):
    assert rows_of(table) == {"x": [1, 2], "l": [(0.5, None), (1.0,)]}


def test_lists_of_other_values_are_no_cells():
    assert as_rows({"x": [1j]}) is None and as_rows({"x": [[1], [2]]}) is None and as_rows({"x": np.eye(2)}) is None
    assert as_rows({"x": [dt.date(2026, 1, 1)]}) is None and as_rows([1, [2]]) is None
