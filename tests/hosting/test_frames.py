"""Tables to bodies of requests, answers to arrays and tables: no digit and no value is lost."""

import numpy as np
import pandas as pd
import pytest
from simferry.errors import UsageError
from simferry.hosting.frames import body_of, values_of

FRAME = pd.DataFrame({"x": [0.1 + 0.2, float("nan")], "y": ["a,b", None], "z": [1, 2]})


def test_a_table_is_csv_without_a_header_or_json():
    assert body_of(FRAME, "text/csv") == (b'0.30000000000000004,"a,b",1\n,,2\n', 2)
    assert body_of(FRAME, "text/csv; charset=utf-8", header=True)[0].startswith(b"x,y,z\n")
    assert body_of(FRAME, "application/json")[0] == (
        b'[{"x": 0.30000000000000004, "y": "a,b", "z": 1}, {"x": null, "y": null, "z": 2}]'
    )
    assert body_of(np.array([[1.5, 2]]), "text/csv") == (b"1.5,2.0\n", 1)
    assert body_of([[1, 2], [3, 4]], "text/csv") == (b"1,2\n3,4\n", 2)
    with pytest.raises(UsageError, match="can't be sent as application/x-npy"):
        body_of(FRAME, "application/x-npy")
    with pytest.raises(UsageError, match="no rows"):
        body_of(FRAME[:0], "text/csv")


@pytest.mark.parametrize(
    ("body", "kind", "values"),
    [
        (b"0.30000000000000004\n2\n", "text/csv; charset=utf-8", [0.1 + 0.2, 2]),
        (b"1\n2", "text/csv", [1, 2]),
        (b"1,2\n", "text/csv", [1, 2]),  # all in one line
        (b"p\n1\n2\n", "text/csv", [1, 2]),  # with a header
        (b"setosa\nNone\n", "text/plain", ["setosa", "None"]),
        (b"[1, 2]", "application/json", [1, 2]),
        (b'{"predictions": [0.5, null]}', "application/json", [0.5, float("nan")]),
        (b"1\n\n", "text/csv", [1, float("nan")]),
    ],
)
def test_a_value_a_row_is_an_array(body, kind, values):
    found = values_of(body, kind, 2)
    assert isinstance(found, np.ndarray)
    assert np.array_equal(found, np.array(values), equal_nan=found.dtype.kind == "f")


def test_several_values_a_row_are_a_table():
    assert values_of(b"0.1,0.9\n0.8,0.2\n1,0\n", "text/csv", 3).to_numpy().tolist() == [[0.1, 0.9], [0.8, 0.2], [1, 0]]
    found = values_of(b'{"predictions": [{"label": "a", "p": 0.5}, {"label": "b", "p": 1}]}', "application/json", 2)
    assert found["label"].tolist() == ["a", "b"] and found["p"].tolist() == [0.5, 1]
    assert values_of(b"[[1, 2], [3, 4]]", "application/json", 2).to_numpy().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"\x93NUMPY", "application/x-npy", "can't be read|neither CSV nor JSON"),
        (b"{", "application/json", "can't be read"),
        (b"1,2\n3\n4,5,6\n", "text/csv", "can't be read"),
    ],
)
def test_answers_that_are_none(body, kind, text):
    with pytest.raises(UsageError, match=text):
        values_of(body, kind, 2)


def test_another_number_of_answers_is_said():
    with pytest.warns(UserWarning, match="3 rows had 2 answers"):
        values_of(b"[1, 2]", "application/json", 3)
