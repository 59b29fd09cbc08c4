"""Values that stand for more than a number or a text, as columns."""

import datetime as dt
import math
import zoneinfo

import numpy as np
import pandas as pd
import pytest
from simferry.worker.blocks import unlisted
from simferry.worker.forms import Formed, column_of, common_levels, exact, is_plain, list_cell, text_of

BERLIN = dt.datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))


def test_integers_keep_their_digits():
    assert column_of([1, 2**31 - 1]).kind == "integer"
    assert column_of([1, 2**53, None]).values.tolist()[:2] == [1.0, 2.0**53]
    for values in ([1, 2**53 + 1], [1.0, 2**60 + 1], [True, None, -(2**63) + 1]):
        column = column_of(values)
        assert column.form == "long" and column.strings() == [None if v is None else str(int(v)) for v in values]
    assert column_of([10**400]).strings() == [str(10**400)]  # no 64 bits hold it
    assert column_of([0.5, 2**60]).values.tolist() == [0.5, 2.0**60]
    assert column_of([0.5, 2**53 + 1]).strings() == ["0.5", "9007199254740993"]
    assert column_of([0.5, True, "a", 20.0]).strings() == ["0.5", "TRUE", "a", "20"]


@pytest.mark.parametrize(
    ("value", "form", "stored", "text"),
    [
        (dt.date(1970, 1, 11), "date", 10, "1970-01-11"),
        (dt.datetime(1970, 1, 1, 0, 0, 1), "time", 1, "1970-01-01 00:00:01"),
        (BERLIN, "time Europe/Berlin", 1782900000.25, "2026-07-01 10:00:00.250000+00:00"),
        (BERLIN.astimezone(dt.timezone(dt.timedelta(hours=-3))), "time -03:00", 1782900000.25, "2026-07-01 10:00:00.250000+00:00"),
        (pd.Timestamp("2026-07-01 10:00:00.25", tz="UTC"), "time UTC", 1782900000.25, "2026-07-01 10:00:00.250000+00:00"),
        (np.datetime64("1969-12-31T23:59:59.5"), "time", -0.5, "1969-12-31 23:59:59.500000"),
        (dt.timedelta(minutes=1, microseconds=1), "seconds", 60.000001, "60.000001"),
        (np.timedelta64(5, "ns"), "seconds", 5e-9, "5e-09"),
        (pd.Timedelta("1 min"), "seconds", 60, "60"),
    ],
)  # fmt: skip
def test_a_value_has_its_form(value, form, stored, text):
    found = exact(value)
    assert is_plain(value) and found == Formed(form, stored) and found.text == text
    assert column_of([value, None]).form == form


def test_long_doubles_are_doubles():
    assert column_of([np.longdouble(1) / 4, 2.0]).values.tolist() == [0.25, 2.0]


def test_what_microseconds_do_not_hold_stays_text():
    assert exact(pd.Timestamp(1)) == "1970-01-01 00:00:00.000000001"
    assert exact(dt.datetime(9999, 1, 1, 0, 0, 0, 1)) == "9999-01-01 00:00:00.000001"
    assert exact(pd.Interval(0, 1)) == "(0, 1]" and exact(np.datetime64("NaT")) is None


def test_columns_of_several_forms():
    day, moment = dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    assert column_of([BERLIN, moment]).form == "time UTC"
    assert column_of([day, "soon"]).strings() == ["2026-01-01", "soon"]
    assert column_of([day, moment]).strings() == ["2026-01-01", "2026-01-01 00:00:00+00:00"]
    assert column_of([dt.timedelta(seconds=2), 3]).values.tolist() == [2, 3]


def test_levels_do_not_depend_on_the_order_of_blocks():
    assert common_levels({("b", "a")}) == ("b", "a")
    one, two = ("b", "a"), ("c",)
    assert common_levels({one, two}) == common_levels({common_levels({two}), common_levels({one})}) == ("a", "b", "c")


def test_ordered_factors_whose_levels_differ_are_not_ordered():
    low, high = (Formed("ordered", "low", levels) for levels in (("low", "mid", "high"), ("low", "high")))
    assert column_of([low, low]).form == "ordered" and column_of([low, high]).form == "factor"


def test_text_of_dates_that_python_has_not():
    assert text_of("date", 1e9) == "1000000000" and text_of("time UTC", math.inf) == "Inf"


@pytest.mark.parametrize(
    ("values", "form", "lengths", "elements"),
    [
        ([[1, 2], None, []], "list integer", [2, -1, 0], [1, 2]),
        ([[1, 2], 0.5, [True]], "list double", [2, 1, 1], [1.0, 2.0, 0.5, 1.0]),
        ([np.array([0.5]), (True,)], "list double", [1, 1], [0.5, 1.0]),
        ([[], []], "list logical", [0, 0], []),
    ],
)
def test_lists(values, form, lengths, elements):
    column = column_of([list_cell(v) for v in values])
    found, inside = unlisted(column)
    assert (column.form, found.tolist(), inside.values.tolist()) == (form, lengths, elements)


def test_lists_of_texts():
    column = column_of([list_cell(["a", None, ""]), list_cell([2**60]), None, list_cell([])])
    lengths, inside = unlisted(column)
    assert lengths.tolist() == [3, 1, -1, 0] and inside.strings() == ["a", None, "", str(2**60)]
