"""Bodies of requests, as version 2 makes them."""

import io

import numpy as np
import pandas as pd
import pytest
from simferry.errors import UsageError
from simferry.sagemaker import serializers


@pytest.mark.parametrize(
    ("data", "body"),
    [
        ("1,2", "1,2"),
        (b"1,2", b"1,2"),
        (io.StringIO("3,4"), "3,4"),
        ([1.5, "a"], "1.5,a"),
        ([[1, 2], [3, 4]], "1,2\n3,4"),
        (((1, 2),), "1,2"),
        (np.array([[0.1, 2], [3, 4]]), "0.1,2.0\n3.0,4.0"),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), "1,x\n2,y"),
        (5, "5"),
    ],
)
def test_csv(data, body):
    made = serializers.CSVSerializer()
    assert made.serialize(data) == made(data if not hasattr(data, "seek") else io.StringIO("3,4")) == body
    assert made.CONTENT_TYPE == made.content_type == "text/csv"


def test_the_others():
    assert (
        serializers.JSONSerializer().serialize({"a": np.array([1.5]), "b": (1, "x")}) == '{"a": [1.5], "b": [1, "x"]}'
    )
    assert serializers.JSONSerializer().serialize(pd.DataFrame({"a": [1]})) == '[{"a": 1}]'
    assert serializers.JSONLinesSerializer().serialize([{"a": 1}, [2]]) == '{"a": 1}\n[2]'
    array = np.load(io.BytesIO(serializers.NumpySerializer(dtype="float32").serialize([[1, 2]])))
    assert array.dtype == "float32" and array.tolist() == [[1, 2]]
    assert serializers.IdentitySerializer("text/plain").serialize(b"x") == b"x"
    for made, data, words in (
        (serializers.IdentitySerializer(), [1], "the data are a list"),
        (serializers.CSVSerializer(), [], "there are no data to send"),
        (serializers.NumpySerializer(), [], "there are no data to send"),
    ):
        with pytest.raises(UsageError, match=words):
            made.serialize(data)
