"""Answers of endpoints, as version 2 reads them."""

import io

import numpy as np
import pytest
from simferry.sagemaker import deserializers, serializers


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("Bytes", b"x", b"x"),
        ("String", b"x", "x"),
        ("CSV", b'1,a\n2,"b,c"\n', [["1", "a"], ["2", "b,c"]]),
        ("JSON", b'{"a": [1]}', {"a": [1]}),
        ("JSONLines", b'1\n{"a": 2}\n', [1, {"a": 2}]),
    ],
)
def test_values(kind, body, value):
    made = getattr(deserializers, f"{kind}Deserializer")()
    assert made.deserialize(io.BytesIO(body), "any/type") == made(io.BytesIO(body), "any/type") == value


def test_arrays_and_tables_and_nothing_is_unpickled():
    sent = serializers.NumpySerializer().serialize([[1.0, 2.0]])
    read = deserializers.NumpyDeserializer()
    assert read.deserialize(io.BytesIO(sent), "application/x-npy").tolist() == [[1, 2]]
    assert read.deserialize(io.BytesIO(b"1,2"), "text/csv").tolist() == [1, 2]
    assert read.deserialize(io.BytesIO(b"[1, 2]"), "application/json").tolist() == [1, 2]
    packed = io.BytesIO()
    np.save(packed, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        deserializers.NumpyDeserializer(allow_pickle=True).deserialize(
            io.BytesIO(packed.getvalue()), "application/x-npy"
        )
    assert deserializers.PandasDeserializer().deserialize(io.BytesIO(b"a,b\n1,2"), "text/csv").to_dict("list") == {
        "a": [1],
        "b": [2],
    }
    stream = io.BytesIO(b"x")
    assert deserializers.StreamDeserializer().deserialize(stream, "text/csv") == (stream, "text/csv")
    assert deserializers.JSONDeserializer(accept="a/b").ACCEPT == ("a/b",)
