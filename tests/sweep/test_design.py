"""Designs: how conditions are made, typed and checked."""

import datetime as dt
import math
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simferry as sf
from common import require
from hand_made import rows
from simferry.errors import DesignError, Note, UsageError

# ---- how they are made ----


def test_grid_is_every_combination_the_last_parameter_fastest():
    design = sf.grid(n=[10, 20], method=["t", "w"])
    assert rows(design) == [(10, "t"), (10, "w"), (20, "t"), (20, "w")]
    assert len(design) == 4 and design.names == ["n", "method"]


def test_grid_takes_single_values_ranges_and_arrays():
    assert rows(sf.grid(n=range(2), x=np.array([0.5, 1.0]), label="a", one=np.array(3))) == [
        (0, 0.5, "a", 3), (0, 1.0, "a", 3), (1, 0.5, "a", 3), (1, 1.0, "a", 3),
    ]  # fmt: skip


def test_names_that_are_no_python_names_come_in_a_dict():
    assert sf.grid({"x.length": [1, 2], "types": [3]}, n=4).names == ["x.length", "types", "n"]


def test_zipped_takes_values_together_and_repeats_single_ones():
    assert rows(sf.zipped(n=[10, 20, 30], effect=[0, 0.5, 1], method="t")) == [
        (10, 0, "t"), (20, 0.5, "t"), (30, 1, "t"),
    ]  # fmt: skip


def test_no_parameters_are_one_condition():
    design = sf.grid()
    assert len(design) == 1 and design.condition(0) == {} and design.types == {}


def test_table_reads_csv_with_strings_newlines_and_na(tmp_path):
    path = tmp_path / "design.csv"
    path.write_text(
        'n,method,exact,when,x\n10,"t,\n""test""",TRUE,2020-01-05T10:00,0.1\n20,NA,FALSE,,NA\n30,"NA",NA,"",Inf\n'
    )
    design = sf.table(path)
    assert design.types == {"n": "number", "method": "string", "exact": "logical", "when": "string", "x": "number"}
    assert rows(design) == [
        (10, 't,\n"test"', True, "2020-01-05T10:00", 0.1),
        (20, None, False, None, None),
        (30, "NA", None, "", math.inf),
    ]


def test_a_csv_columns_type_is_that_of_all_of_its_rows(tmp_path):
    path = tmp_path / "design.csv"
    path.write_text(
        "n,x\n" + "".join(f"{i},1\n" for i in range(200_000)) + "200000,0.5\n"
    )  # over a megabyte of whole numbers
    design = sf.table(path)
    assert design.types == {"n": "number", "x": "number"} and design.condition(200_000) == {"n": 200_000, "x": 0.5}


def test_a_csv_column_declared_string_keeps_its_zeros(tmp_path):
    path = tmp_path / "design.csv"
    path.write_text("id,n\n007,1\n010,2\n")
    assert rows(sf.table(path, types={"id": "string"})) == [("007", 1), ("010", 2)]


def test_table_reads_parquet_frames_arrow_and_dicts(tmp_path):
    frame = pd.DataFrame({"n": [10, 20], "method": ["t", None], "exact": [True, False]})
    pq.write_table(pa.Table.from_pandas(frame), tmp_path / "design.parquet")
    expected = [(10, "t", True), (20, None, False)]
    sources = (tmp_path / "design.parquet", frame, pa.Table.from_pandas(frame, preserve_index=False))
    for source in (*sources, {"n": [10, 20], "method": ["t", None], "exact": [True, False]}):
        assert rows(sf.table(source)) == expected


def test_categories_and_missing_values_of_pandas_are_understood():
    frame = pd.DataFrame({"m": pd.Categorical(["a", "b"]), "n": pd.array([1, None], dtype="Int64"), "x": [0.5, np.nan]})
    design = sf.table(frame)
    assert rows(design) == [("a", 1, 0.5), ("b", None, None)]  # pandas' NaN says that there is none
    assert rows(sf.grid(n=[1, pd.NA])) == [(1,), (None,)]


# ---- types ----


def test_typing_is_by_value():
    design = sf.grid(whole=[20, 20.5], one=np.int32(1), logical=True, text="20", nothing=[None])
    assert design.types == {
        "whole": "number", "one": "number", "logical": "logical", "text": "string", "nothing": "number",
    }  # fmt: skip


def test_a_whole_number_arrives_in_python_as_int():
    condition = sf.grid(a=20.0, b=0.5, c=float(2**53), d=-0.0, e=math.inf, f=None).condition(0)
    assert condition == {"a": 20, "b": 0.5, "c": 2.0**53, "d": 0, "e": math.inf, "f": None}
    assert [type(v) for v in condition.values()] == [int, float, float, int, float, type(None)]


def test_integers_are_declared_or_come_as_integer_columns_of_a_table():
    assert sf.grid(n=[10, 20], types={"n": "integer"}).types == {"n": "integer"}
    assert sf.table(pa.table({"n": pa.array([1, 2], pa.int16())})).types == {"n": "integer"}
    assert sf.table(pa.table({"n": pa.array([1, 2], pa.int64())})).types == {"n": "number"}


@pytest.mark.parametrize(
    "values, kind, expected",
    [
        ([1, 0], "logical", [True, False]),
        (["1", "2.5"], "number", [1, 2.5]),
        ([True, False], "number", [1, 0]),
        ([20.0, 0.5], "string", ["20", "0.5"]),
        ([1, None], "integer", [1, None]),
    ],
)
def test_declared_types_convert_what_can_be_converted_exactly(values, kind, expected):
    assert sf.grid(x=values, types={"x": kind}).table["x"].to_pylist() == expected


@pytest.mark.parametrize(
    ("made", "kind", "received"),
    [
        (lambda: sf.grid(b=[[1, 2.5], (3,), []]), "number list", [[1, 2.5], [3], []]),
        (lambda: sf.grid(b=[[1, None], None]), "number list", [[1, None], None]),
        (lambda: sf.grid(b=[["a", "b,c"]]), "string list", [["a", "b,c"]]),
        (lambda: sf.grid(b=[[True, False]]), "logical list", [[True, False]]),
        (lambda: sf.grid(b=[[1, 2]], types={"b": "integer"}), "integer list", [[1, 2]]),
        (lambda: sf.grid(b=[np.array([1.0, 2.5])]), "number array", [np.array([1.0, 2.5])]),
        (lambda: sf.grid(b=np.array([[1, 2], [3, 4]])), "integer array", [np.array([1, 2]), np.array([3, 4])]),
        (lambda: sf.grid(b=["[1, 2]", "[3]"], types={"b": "number array"}), "number array", [np.array([1.0, 2.0]), np.array([3.0])]),
        (lambda: sf.table(pd.DataFrame({"b": [[1, 2], [3]]})), "number list", [[1, 2], [3]]),
        (lambda: sf.table(pd.DataFrame({"b": [np.array([True])]})), "logical array", [np.array([True])]),
        (lambda: sf.table(pl.DataFrame({"b": [[1, 2], [3]]})), "number list", [[1, 2], [3]]),
        (lambda: sf.table(pa.table({"b": pa.array([["a"], None], pa.large_list(pa.large_string()))})), "string list", [["a"], None]),
        (lambda: sf.table({"b": [[1, 2], [3]]}), "number list", [[1, 2], [3]]),
        (lambda: sf.random(1, b=[[1, 2]]), "number list", [[1, 2]]),
    ],
)  # fmt: skip
def test_values_may_be_lists(made, kind, received):
    design = made()
    found = [design.condition(row)["b"] for row in range(len(design))]
    assert design.types == {"b": kind}
    for one, other in zip(found, received, strict=True):
        assert type(one) is type(other) and getattr(one, "dtype", "") == getattr(other, "dtype", "")
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    assert eval(repr(design), {"sf": sf}) == design and design != sf.grid(b=[[7, 8]])


def test_dates_and_times_are_texts_as_in_tables():
    for values in (
        [dt.date(2026, 1, 2), None],
        [dt.datetime(2026, 1, 2, 3, 4, 5)],
        [np.datetime64("2026-01-02T03:04", "ns")],
    ):
        tabled = sf.table(
            pa.table(
                {
                    "d": pa.array(
                        pd.Series(values, dtype=object).map(
                            lambda v: pd.Timestamp(v).to_pydatetime() if hasattr(v, "item") else v
                        )
                    )
                }
            )
        )
        assert sf.grid(d=values) == tabled and tabled.types == {"d": "string"}


# ---- bad designs ----


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sf.grid(n=[10, 20, 10.0]), 'conditions 1 and 3 of the design are equal: {"n":10}'),
        (lambda: sf.grid(x=[0.3, 0.1 + 0.2]), 'conditions 1 and 2 of the design are equal: {"x":0.3}'),
        (lambda: sf.grid(x=[0.0, -0.0]), "conditions 1 and 2"),
        (lambda: sf.grid(n=[]), "parameter n has no values, so the design has no rows"),
        (lambda: sf.zipped(n=[]), "the design has no rows"),
        (lambda: sf.table({"n": []}), "the design has no rows"),
        (lambda: sf.table(pd.DataFrame({"n": []})), "the design has no rows"),
        (lambda: sf.random(0, n=(1, 2)), "size is 0; it has to be a whole number from 1 to 2147483647"),
        (lambda: sf.random("3", n=(1, 2)), 'size is "3"; it has to be a whole number'),
        (lambda: sf.sobol(4, n=(1, 2), seed=-1), "seed is -1; it has to be a whole number from 0 to 9007199254740992"),
        (lambda: sf.random(2, {"n": (1, 2)}, n=(1, 3)), "parameter n is given twice"),
        (lambda: sf.grid(replication=[1, 2]), "a parameter can't be named 'replication'"),
        (lambda: sf.grid(condition=[1, 2]), "a parameter can't be named 'condition'"),
        (lambda: sf.grid({" ": [1]}), "a parameter has no name"),
        (lambda: sf.grid({1: [1]}), "a parameter's name is a string, not 1"),
        (lambda: sf.grid({"n": [1]}, n=[2]), "parameter n is given twice"),
        (lambda: sf.zipped(n=[1, 2], m=[1, 2, 3]), "the design's columns have different lengths (n: 2, m: 3)"),
        (lambda: sf.grid(n=[1, "a"]), "parameter n mixes numbers and strings"),
        (lambda: sf.grid(n=[True, 1]), "parameter n mixes logicals and numbers"),
        (lambda: sf.grid(n=np.array([1, "a"], dtype=object)), "parameter n mixes numbers and strings"),
        (lambda: sf.grid(n=[[1, 2], 3]), "parameter n mixes lists and other values, such as 3"),
        (lambda: sf.grid(n=[[1, "a"]]), "parameter n mixes numbers and strings"),
        (lambda: sf.grid(n=[[[1]], [[2]]]), "parameter n holds lists of lists"),
        (lambda: sf.grid(n=[np.eye(2)]), "parameter n holds an array of 2 dimensions"),
        (lambda: sf.grid(n=[np.array([2**40])]), "parameter n holds an array with an integer of 2^31 or more"),
        (lambda: sf.grid(n=[[1, None]], types={"n": "logical array"}), "arrays of logicals have no NA"),
        (lambda: sf.grid(n=["1, 2"], types={"n": "number list"}), "parameter n mixes lists and other values"),
        (lambda: sf.grid(n=[[1, 2], [1.0, 2.0]]), 'conditions 1 and 2 of the design are equal: {"n":[1,2]}'),
        (lambda: sf.grid(n=[dt.timedelta(hours=1)]), "parameter n holds a timedelta"),
        (lambda: sf.grid(n=[np.timedelta64(5, "ns")]), "parameter n holds a timedelta"),
        (lambda: sf.grid(n=[1j]), "parameter n holds a complex"),
        (lambda: sf.grid(n=2**53 + 1), "parameter n: 9007199254740993 is above 2^53"),
        (lambda: sf.grid(n=[2**53 + 1, 0.5]), "parameter n: 9007199254740993 is above 2^53"),
        (lambda: sf.grid(n=2**80), "parameter n holds a whole number above 2^53"),
        (lambda: sf.grid(s="\udc80"), "parameter s holds a string that is not Unicode text"),
        (lambda: sf.grid(s="a\0b"), "parameter s holds a string with a NUL character"),
        (
            lambda: sf.grid(n=0.5, types={"n": "integer"}),
            "parameter n is declared integer, but not all of its values are",
        ),
        (lambda: sf.grid(n=2**31, types={"n": "integer"}), "(whole, and below 2^31)"),
        (lambda: sf.grid(n=-(2**31), types={"n": "integer"}), "(whole, and below 2^31)"),
        (
            lambda: sf.grid(n="a", types={"n": "number"}),
            "parameter n is declared number, but not all of its values are",
        ),
        (
            lambda: sf.grid(n=2.5, types={"n": "logical"}),
            "parameter n is declared logical, but not all of its values are",
        ),
        (lambda: sf.grid(num=1, types={"nun": "integer"}), "types: there is no parameter 'nun' in the design"),
        (lambda: sf.grid(n=1, types={"n": "int"}), "types: 'int' (for n) is not a type"),
        (lambda: sf.grid(n=1, types={"n": ["number"]}), "types: ['number'] (for n) is not a type"),
        (lambda: sf.random(5, n=10), "parameter n: 10 is neither a range nor a choice"),
        (lambda: sf.random(5, n=(2, 1)), "the range (2, 1) does not go up"),
        (lambda: sf.random(5, m=[]), "parameter m has no values to choose from"),
        (lambda: sf.random(5), "no parameters to draw"),
        (lambda: sf.table("nowhere.csv"), "there is no file nowhere.csv"),
        (lambda: sf.table(5), "table() can't read an int"),
        (lambda: sf.table(pa.Table.from_arrays([pa.array([1])] * 2, ["n", "n"])), "two columns named 'n'"),
    ],
)
def test_bad_designs_say_what_is_wrong(make, message):
    with pytest.raises(DesignError) as error:
        make()
    assert message in error.value.message


def test_the_nearest_name_is_offered():
    with pytest.raises(DesignError, match="Did you mean num_people"):
        sf.grid(num_people=1, types={"num_poeple": "integer"})


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_named(content, tmp_path):
    path = tmp_path / "design.csv"
    path.write_bytes(content)
    with pytest.raises(DesignError, match=r"design\.csv"):
        sf.table(path)


def test_two_equal_rows_of_a_table_are_both_named():
    with pytest.raises(DesignError, match=r"conditions 2 and 4 .* are equal"):
        sf.table({"n": [1, 2, 3, 2], "m": ["a", "b", "c", "b"]})


def test_conftest_require_skips_or_fails(monkeypatch):
    monkeypatch.setenv("SIMFERRY_REQUIRE", "docker,r")
    with pytest.raises(pytest.fail.Exception, match="no engine"):
        require("docker", False, "no engine")
    with pytest.raises(pytest.skip.Exception, match="no key"):
        require("aws", False, "no key")
    require("r", True, "never seen")


def test_a_dict_of_single_values_is_one_condition():
    assert sf.table({"n": 10, "method": "wilcox"}).condition(0) == {"n": 10, "method": "wilcox"}
    assert len(sf.table({"n": 10, "method": "wilcox"})) == 1
    assert sf.table({"n": [10, 20], "method": "wilcox"}).to_pandas()["method"].tolist() == ["wilcox"] * 2


@pytest.mark.parametrize("make", [sf.grid, sf.zipped, lambda values: sf.random(2, values)])
def test_values_without_a_name_are_refused(make):
    with pytest.raises(DesignError, match=r"have names.*not as a list"):
        make([1, 2])


def test_a_dict_as_a_design_goes_row_by_row_and_says_so(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(n, m): return n\n")
    with pytest.warns(
        Note, match=r"row by row: 2 conditions. sf.grid\(\*\*d\) makes all 4 combinations; sf.table\(d\)"
    ):
        sweep = sf.Sweep(tmp_path / "s.py", {"n": [1, 2], "m": [3, 4]})
    assert sweep.design == sf.zipped(n=[1, 2], m=[3, 4])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for meant in ({"n": [1, 2], "m": 3}, {"n": [1, 1], "m": [1, 2]}, sf.table({"n": [1, 2], "m": [3, 4]})):
            sf.Sweep(tmp_path / "s.py", meant)


def test_mistyped_arguments_get_their_near_match(tmp_path):
    (tmp_path / "s.py").write_text("def simulate(): return 1\n")
    for wrong, right in (("replicatons", "replications"), ("result_file", "results_file"), ("detatch", "detach")):
        with pytest.raises(UsageError, match=f"Did you mean .*{right}"):
            sf.run(tmp_path / "s.py", **{wrong: 3})
