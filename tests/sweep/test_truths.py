"""Truths as a table: which column holds them, and for which condition."""

import pandas as pd
import pyarrow as pa
import pytest
import simferry as sf
from simferry.errors import UsageError
from simferry.sweep.truths import Truths, columns_of

KNOWN = {"condition": False, "n": False, "code": True, "method": True}


def test_a_table_of_any_kind_becomes_columns(tmp_path):
    frame = pd.DataFrame({"n": [10, 20], "truth": [0.5, 1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    for given in (frame, pa.Table.from_pandas(frame), {"n": [10, 20], "truth": [0.5, 1]}, tmp_path / "t.csv"):
        assert columns_of(given) == {"n": [10, 20], "truth": [0.5, 1.0]}
    assert columns_of({"n": 10, "truth": 1}) == {"n": [10], "truth": [1]}


@pytest.mark.parametrize(
    ("columns", "keys", "found"),
    [
        ({"n": [10, 20], "truth": [1, 2]}, ["n"], {(10.0,): 1, (20.0,): 2}),
        ({"method": ["a"], "x": [1], "n": [10]}, ["method", "n"], {("a", 10): 1}),  # the one that is left
        ({"code": [7], "truth": [1]}, ["code"], {("7",): 1}),  # a text, which a CSV file makes a number
        ({"truth": [1]}, [], {(): 1}),
    ],
)
def test_one_column_holds_the_truths_and_the_others_tell_them_apart(columns, keys, found):
    assert Truths(columns).keyed(KNOWN) == (keys, found)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"n": [10, 10], "truth": [1, 2]}, "two truths, where n is 10"), ({"truth": [1, 2]}, "Columns that tell them apart can be"),
        ({"nn": [10], "truth": [1]}, "a column 'nn', by which nothing"), ({"a": [1], "b": [2]}, "which one holds the truths"),
        ({"n": [10]}, "which one holds the truths"), ({"n": [10], "truth": ["x"]}, "holds 'x' as truth; finite numbers"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_one_error(columns, words):
    with pytest.raises(UsageError, match=words):
        Truths(columns).keyed(KNOWN)


def test_missing_values_and_empty_tables_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no value of n in row 2"):
        columns_of({"n": [10, None], "truth": [1, 2]})
    with pytest.raises(UsageError, match="has no rows"):
        columns_of(pd.DataFrame({"truth": []}))
    with pytest.raises(UsageError, match=r"there is no file .*nosuch\.csv"):
        columns_of(tmp_path / "nosuch.csv")


def test_a_sweep_keeps_the_content_and_a_sweep_file_names_the_file_beside_it(tmp_path):
    (tmp_path / "truths.csv").write_text("n,method,truth\n10,a,1\n20,a,2\n")
    (tmp_path / "s.py").write_text("def simulate(n): return {'est': n}\n")
    (tmp_path / "sweep.toml").write_text(
        '[simulation]\nscript = "s.py"\n[design.grid]\nn = [10, 20]\n[run]\nreplications = 2\n'
        '[measures]\nestimate = "est"\ntruth = "truths.csv"\n'
    )
    sweep = sf.read_sweep(tmp_path / "sweep.toml")
    assert sweep.measures.truth == {"n": [10, 20], "method": ["a", "a"], "truth": [1, 2]}
    sweep.write(tmp_path / "again.toml")
    (tmp_path / "truths.csv").unlink()
    assert sf.read_sweep(tmp_path / "again.toml") == sweep
    with pytest.raises(UsageError, match="condition 2 has no truth in the table, where n is 30"):
        sweep.replace(design=sf.grid(n=[10, 30]))
