"""Values of Python in R, and values of R in Python."""

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from common import bits
from r_functions import FRAME
from simferry.errors import UsageError
from simferry.r.serialization import Other
from simferry.worker.blocks import NA_DOUBLE


@pytest.mark.parametrize(
    "value, described, back",
    [
        (1, "double 1 ", 1.0),
        (1.5, "double 1 ", 1.5),
        (True, "logical 1 ", True),
        ("é", "character 1 ", "é"),
        (None, "NULL 0 ", None),
        (pd.NA, "logical 1 ", pd.NA),
        (np.int32(4), "integer 1 ", 4),
        (2 + 1j, "complex 1 ", 2 + 1j),
        (b"ab", "raw 2 ", b"ab"),
        ([1, "a"], "list 2 ", [1.0, "a"]),
        ({"a": 1, "b": None}, "list 2 ", {"a": 1.0, "b": None}),
        (np.datetime64("2026-01-02"), "double 1 Date", pd.Timestamp("2026-01-02").date()),
        (pd.Timestamp("2026-01-02", tz="Europe/Vienna"), "double 1 POSIXct", pd.Timestamp("2026-01-02", tz="Europe/Vienna")),
    ],
)  # fmt: skip
def test_single_values_go_both_ways(r, value, described, back):
    assert r("describe")(value) == described
    found = r("same")(value)
    assert found is back or (type(found) is type(back) and found == back)


@pytest.mark.parametrize(
    "value, described",
    [
        ([1, 2.5], "double 2 "),
        ([True, False], "logical 2 "),
        (["a", None], "character 2 "),
        (np.arange(3), "integer 3 "),
        (np.array([1, 2**40]), "double 2 "),
        (np.ones((2, 3)), "double 6 "),
        (np.array([True, False]), "logical 2 "),
    ],
)
def test_vectors_go_both_ways(r, value, described):
    assert r("describe")(value) == described
    found = r("same")(value)
    assert isinstance(found, np.ndarray) and found.shape == np.shape(value)
    assert found.tolist() == np.asarray(value, dtype=object).tolist()


def test_a_returned_vector_can_be_changed(r):
    found = r("same")(np.zeros(3))
    found[0] = 1
    assert found.tolist() == [1, 0, 0]


def test_na_is_kept_and_is_not_null(r):
    value = r("value")
    assert value("null") is None
    assert all(value(name) is pd.NA for name in ("na", "na_int", "na_text"))
    assert bits(r("same")([1.0, None, float("nan")]))[1] & 0xFFFFFFFF == 1954
    assert bits([r("same")(value("na_double"))])[0] & 0xFFFFFFFF == 1954
    assert value("ints").tolist() == [1, pd.NA, 3] and value("logicals").tolist() == [True, pd.NA]
    assert value("texts").tolist() == ["a", None, "NA", "ü"]
    masked = r("same")(np.ma.MaskedArray([[1, 2], [3, 4]], [[False, True], [False, False]]))
    assert masked.tolist() == [[1, None], [3, 4]]


def test_other_kinds_of_values(r):
    value = r("value")
    twice = value("twice")
    assert isinstance(twice, pd.Series) and twice.tolist() == [1, 2] and twice.index.tolist() == ["a", "a"]
    assert value("table") == {"x": 2, "y": 1}
    assert value("matrix").tolist() == [[1, 3, 5], [2, 4, 6]]
    assert value("list") == [1, "a", None] and value("nested") == {"a": 1.0, "b": {"c": True}}
    assert value("raw") == b"\1\2\3" and value("complex") == 1 + 2j and value("empty").tolist() == []
    assert isinstance(value("closure"), Other) and repr(value("closure")) == "<R function>"
    assert isinstance(value("factor"), pd.Categorical) and value("factor").codes.tolist() == [0, -1, 1]
    assert value("dates")[0].isoformat() == "2026-01-02" and value("dates").isna().tolist() == [False, True]
    assert value("times")[0] == pd.Timestamp("2026-01-02 03:04:05.25", tz="Europe/Vienna")
    assert value("times").isna().tolist() == [False, True]


def test_odd_objects_of_r_come_as_what_they_are(r, tmp_path):
    (tmp_path / "odd.R").write_text(
        """get <- function(kind) switch(kind,
             long = structure(c(4.94065645841247e-324, -0), class = "integer64"),
             factor = addNA(factor(c("a", NA))), day = as.Date(c(0, 1e12), origin = "1970-01-01"),
             time = structure(0, tzone = "nowhere", class = c("POSIXct", "POSIXt")))"""
    )
    get = sf.r.function(tmp_path / "odd.R", "get")
    assert get("long").tolist() == [1, pd.NA]
    assert get("factor").codes.tolist() == [0, -1] and get("day").isna().tolist() == [False, True]
    assert get("time") == pd.Timestamp(0, tz="UTC")


def test_data_frames_come_back_as_they_were(r, tmp_path):
    """Every kind of column, into Python and back into R: identical() to R."""
    (tmp_path / "frames.R").write_text(
        FRAME
        + "make <- function() x\ncheck <- function(y) vapply(names(x), function(n) identical(x[[n]], y[[n]]), NA)\n"
    )
    frame = sf.r.function(tmp_path / "frames.R", "make")()
    assert frame["i"].isna().tolist() == [False, True, False, False, False]
    assert frame["l"].tolist() == [True, pd.NA, False, True, pd.NA]
    assert frame["s"].isna().tolist() == [False, True, False, False, False] and frame["s"][2] == "NA"
    assert bits(frame["d"])[1] == bits([NA_DOUBLE])[0] != bits(frame["d"])[2]
    assert frame["o"].cat.ordered and frame["f"].cat.categories.tolist() == ["v", "u"]
    same = sf.r.function(tmp_path / "frames.R", "check")(frame)
    assert same == dict.fromkeys(frame.columns, True)


def test_pandas_frames_come_back_as_they_were(r):
    frame = pd.DataFrame(
        {"x": [0.5, -0.0], "n": np.array([1, 2], dtype="int32"), "ok": [True, False], "s": ["a", None]},
        index=["p", "q"],
    )
    pd.testing.assert_frame_equal(r("same")(frame), frame)
    twice = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    pd.testing.assert_frame_equal(r("same")(twice), twice)
    assert r("same")(pd.DataFrame({"a": []})).shape == (0, 1)
    assert r("same")(frame.set_index(pd.Index([5, 3]))).index.tolist() == [5, 3]


def test_what_r_has_nothing_like_is_named(r):
    with pytest.raises(UsageError, match=r"same\(\): argument x: R has no type for a Python object"):
        r("same")(x=object())
    with pytest.raises(UsageError, match=r"argument 1: R's numbers can't hold"):
        r("same")(2**60 + 1)
