"""What simulations return, as rows of a block's tables."""

import math
import pickle
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from simferry.worker.rows import as_rows, result_tables
from sweeps import write


def test_outputs_named_like_the_ids_do_not_take_their_place():
    (made,) = result_tables([1, 1], [1, 2], [{"condition": 5.0, "replication": 6.0}] * 2)
    assert {n: c.values.tolist() for n, c in made.columns.items()} == {
        "condition": [1, 1], "replication": [1, 2], "condition_result": [5, 5], "replication_result": [6, 6],
    }  # fmt: skip


Point = namedtuple("Point", "x y")


def value_of(kind):
    return {
        "number": 0.1 + 0.2,
        "whole": 7,
        "big": 2**40,
        "logical": True,
        "dict": {"a": 1.5, "b": np.float64(2), "c": np.int32(3), "d": np.bool_(True)},
        "tuple": (1, 2.5),
        "named": Point(1, 2),
        "array": np.array([1.0, 2.0]),
        "scalar": np.array(4.0),
        "matrix": np.array([[1, 2], [3, 4]]),
        "series": pd.Series({"a": 1.0, "b": 2.0}),
        "frame": pd.DataFrame({"a": [1, 2], "x": [0.5, np.nan]}),
        "records": [{"a": 1}, {"a": 2, "x": 3}],
        "ids": {"condition": 7, "replication": 8},
        "missing": {"none": None, "nan": math.nan, "inf": -math.inf, "na": pd.NA},
        "nothing": None,
        "empty": {},
        "nested": {"a": 1, "b": {"c": [1, 2]}},
        "ragged": [1, [2, 3]],
        "bytes": b"raw",
        "complex": 1 + 2j,
    }[kind]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    names = [
        "number",
        "whole",
        "big",
        "logical",
        "dict",
        "tuple",
        "named",
        "array",
        "scalar",
        "matrix",
        "series",
        "frame",
        "records",
    ]
    names += ["ids", "missing", "nothing", "empty", "nested", "ragged", "bytes", "complex"]
    store = tmp_path_factory.mktemp("kinds")
    return sf.run(value_of, sf.grid(kind=names), replications=2, seed=1, store=store)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("number", [{"value": 0.1 + 0.2}]),
        ("whole", [{"value": 7}]),
        ("big", [{"value": 2**40}]),
        ("logical", [{"value": 1}]),  # the column also holds numbers, of other conditions
        ("dict", [{"a": 1.5, "b": 2, "c": 3, "d": True}]),
        ("tuple", [{"value_1": 1, "value_2": 2.5}]),
        ("named", [{"x": 1, "y": 2}]),
        ("array", [{"value_1": 1, "value_2": 2}]),
        ("scalar", [{"value": 4}]),
        ("matrix", [{"value_1": 1, "value_2": 2}, {"value_1": 3, "value_2": 4}]),
        ("series", [{"a": 1, "b": 2}]),
        ("frame", [{"a": 1, "x": 0.5}, {"a": 2, "x": "nan"}]),
        ("ids", [{"condition_result": 7, "replication_result": 8}]),
        ("nothing", []),
        ("empty", []),
        ("nested", [{"a": 1}]),
        ("ragged", []),
    ],
)
def test_values_come_back_as_they_were(kinds, kind, expected):
    own = ("condition", "replication", "kind")
    rows = [row for row in kinds.results_table().to_pylist() if row["kind"] == kind and row["replication"] == 2]
    rows = [{k: v for k, v in row.items() if v is not None and k not in own} for row in rows]
    assert [{k: str(v) if v != v else v for k, v in row.items()} for row in rows] == expected


def test_none_is_na_and_not_nan(kinds):
    row = kinds.results_table().filter(np.array(kinds.results_table()["kind"]) == "missing").slice(0, 1)
    assert math.isnan(row["nan"][0].as_py()) and row["inf"][0].as_py() == -math.inf
    assert [row[name][0].as_py() for name in ("none", "na")] == [None, None]


@pytest.mark.parametrize("kind", ["nested", "ragged", "bytes", "complex"])
def test_what_is_no_table_is_kept_as_pickle(kinds, kind):
    frame = kinds.design()
    (path,) = kinds.artifacts(int(frame[frame["kind"] == kind]["condition"].iloc[0]), 1)
    assert path.name == "value.pkl"
    assert pickle.loads(path.read_bytes()) == value_of(kind)


def test_texts_come_back_as_they_were(go):
    texts = {"a": 'two\nlines, "quoted" \\n ünï 日本', "b": "", "c": None}
    values = go(lambda k: {"text": texts[k]}, sf.grid(k=["a", "b", "c"]), 1).results_table()["text"].to_pylist()
    assert values == list(texts.values())


@pytest.mark.parametrize(
    "code", ["lambda: 1", "open('f', 'w')", "{'f': print}", "(i for i in 'ab')", "__import__('threading').Lock()"]
)
def test_a_value_that_cannot_be_kept_fails_its_replication(tmp_path, go, code):
    script = write(tmp_path, "simulate.py", f"def simulate(n):\n    return ({code}) if n == 2 else n")
    run = go(script, sf.grid(n=[1, 2]), 20)
    assert run.results()["value"].tolist() == [1] * 20 and run.errors()["n"].tolist() == [2] * 20
    assert run.errors()["message"].str.match(r"the simulation returned a .* can't be kept.* return ", case=False).all()
    assert len(run.logs()) == 1  # not tried again


def test_masked_values_are_missing(tmp_path):
    code = """
import numpy as np
def simulate(n):
    return [np.ma.masked, np.ma.array([1.0, 2.0], mask=[1, 1]).mean(), {"value": np.ma.masked}][int(n)]
"""
    run = sf.run(write(tmp_path, "simulate.py", code), {"n": [0, 1, 2]}, replications=2, store=tmp_path / "runs")
    assert run.results()["value"].isna().tolist() == [True] * 6


@pytest.mark.parametrize("value", ["DataFrame([[1, 2]], columns=['a', 'a'])", "Series([1.0, 2.0], index=['a', 'a'])"])
def test_two_values_of_one_name_are_refused(tmp_path, value):
    code = f"import pandas as pd\ndef simulate():\n    return pd.{value}"
    run = sf.run(write(tmp_path, "simulate.py", code), replications=2, store=tmp_path / "runs")
    says = "the simulation returned two values with the name 'a': rename one of them"
    assert run.errors()["message"].tolist() == [says] * 2


FRAME = "pd.DataFrame({'arm': ['b', 'a', 'b'], 'n': [5, 6, 7], 'm': [1.0, 2.0, 4.0]})"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{FRAME}", {"arm": ["b", "a", "b"], "n": [5, 6, 7], "m": [1, 2, 4]}),
        (f"{FRAME}.query('n > 5')[['m']]", {"m": [2, 4]}),
        (f"{FRAME}.groupby('arm').mean()", {"arm": ["a", "b"], "n": [6, 6], "m": [2, 2.5]}),
        (f"{FRAME}.groupby(['arm', 'n']).mean()", {"arm": ["a", "b", "b"], "n": [6, 5, 7], "m": [2, 1, 4]}),
        (f"{FRAME}.groupby('arm').agg(arm=('m', 'size'))", {"arm_1": ["a", "b"], "arm": [1, 2]}),
        (f"{FRAME}[['m']].quantile([0.5, 1])", {"row_name": [0.5, 1], "m": [2, 4]}),
        ("pd.DataFrame({'row_name': [1, 2]}, index=['u', 'v'])", {"row_name_1": ["u", "v"], "row_name": [1, 2]}),
        ("pd.DataFrame({'m': [1, 2]}, index=pd.RangeIndex(2, name='day'))", {"day": [0, 1], "m": [1, 2]}),
        ("pd.Series([1, 2], pd.cut([1, 2], [0, 1, 2])).to_frame('m')", {"row_name": ["(0, 1]", "(1, 2]"], "m": [1, 2]}),
    ],
)  # fmt: skip
def test_what_an_index_tells_becomes_columns(value, expected):
    assert as_rows(eval(value, {"pd": pd})) == expected


CAUGHT = {
    "py": """def simulate(n, k):
    try:
        assert n < 2, "no fit"
        x = 0.1 + 0.2
    except AssertionError as error:
        x = error
    return x if k == 1 else {"x": x, "n": 1.5}
""",
    "R": """simulate <- function(n, k) {
  x <- if (k == 3) tryCatch({ stopifnot("no fit" = n < 2); 1 }, error = identity)
    else try(if (n < 2) 0.1 + 0.2 else stop("no fit"), silent = TRUE)
  if (k == 2) list(x = x, n = 1.5) else x
}
""",
}


@pytest.mark.parametrize("language", CAUGHT)
def test_an_error_that_was_caught_and_returned_is_no_text_among_numbers(tmp_path, go, language):
    kinds = 3 if language == "R" else 2
    run = go(
        write(tmp_path, f"simulate.{language}", CAUGHT[language]), sf.grid(n=[1, 2], k=list(range(1, kinds + 1))), 2
    )
    failed = run.errors()
    assert set(zip(failed["n"], failed["k"], strict=True)) == {(2, k) for k in range(1, kinds + 1) if k != 2}
    assert failed["message"].str.contains("no fit").all() and not failed["message"].str.contains("kept").any()
    with pytest.warns(
        UserWarning, match=r"value 'x' of run \S+ is an? (try-error|AssertionError), .* in 2 replications"
    ):
        rows = run.results()
    two = rows[(rows["n"] == 2) & (rows["k"] == 2)]
    one = rows[(rows["n"] == 1) & (rows["k"] == 2)]
    assert two["x"].isna().all() and two["n_result"].tolist() == [1.5] * 2 and one["x"].tolist() == [0.1 + 0.2] * 2
