"""Measures of what users hand over: runs, names, files and tables."""

import pandas as pd
import polars
import pyarrow as pa
import pytest
import simferry as sf
from simferry.errors import Note, UsageError

DATA = pd.DataFrame({"rep": [1, 1, 2, 2, 3, 3], "m": ["a", "b"] * 3, "b": [1.0, 2, 2, 4, 3, 9], "s": [1.0] * 6})
GIVEN = {"estimate": "b", "truth": 2, "se": "s", "by": "m", "data_set": "rep"}


def test_tables_of_each_kind_and_files_give_the_same(tmp_path):
    DATA.to_csv(tmp_path / "t.csv", index=False)
    expected = sf.measures(DATA, **GIVEN)
    assert expected[expected["measure"] == "bias"]["estimate"].tolist() == [0.0, 3.0]
    for data in (
        pa.Table.from_pandas(DATA),
        polars.DataFrame(DATA.to_dict("list")),
        tmp_path / "t.csv",
        str(tmp_path / "t.csv"),
    ):
        pd.testing.assert_frame_equal(sf.measures(data, **GIVEN), expected)
    assert sf.contrast(DATA, **GIVEN, measures="bias")["estimate"].tolist() == [3.0]


def test_a_run_may_be_named(tmp_path):
    run = sf.run(lambda n: {"est": float(n), "bias": 0.0}, sf.grid(n=[1, 2]), replications=3, seed=1, store=tmp_path)
    found = sf.measures(run.id, estimate="est", truth="n", store=tmp_path, measures="bias")
    pd.testing.assert_frame_equal(run.measures(estimate="est", truth="n", measures="bias"), found)
    assert found["estimate"].tolist() == [0.0, 0.0] and found["mcse"].tolist() == [0.0, 0.0]
    with pytest.raises(UsageError, match="a run knows its replications"):
        sf.measures(run, estimate="est", data_set="n")


def test_power_and_type1_are_names_of_rejection_and_quantiles_may_be_named():
    for name in ("power", "type1"):
        assert set(sf.measures(DATA, **GIVEN, measures=name)["measure"]) == {"rejection"}
    found = sf.measures(DATA, **GIVEN, quantiles=0.25, measures=["quantile_0.25"])
    assert set(found["measure"]) == {"quantile_0.25"}
    with pytest.raises(UsageError, match=r"there is no file nosuch\.csv$"):
        sf.measures("nosuch.csv", **GIVEN)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"cases": "some"}, "complete or all"), ({"mcse": "delta"}, "jackknife or formula"), ({"quantiles": 2}, "between 0 and 1"),
        ({"winsorize": -1}, "above 0"), ({"winsorize": 3, "dropbig": True}, "not beside dropbig"), ({"measures": [1]}, "takes names"),
    ],
)  # fmt: skip
def test_wrong_options_are_one_error(given, words):
    with pytest.raises(UsageError, match=words):
        sf.measures(DATA, **GIVEN, **given)


def test_what_is_left_out_is_a_note():
    data = DATA.assign(s=[0.0, *[1.0] * 5])
    with pytest.warns(Note, match="not above 0, or infinite count as missing: 1"):
        sf.measures(data, **GIVEN)
