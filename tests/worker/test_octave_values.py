import struct

import numpy as np
import pytest
from common import bits
from simferry.worker import blocks
from simferry.worker.octave_values import decoded, exact, literal
from simferry.worker.rows import Refused

NA = struct.unpack("<d", struct.pack("<Q", 0x7FF840F440000000))[0]  # Octave's


def of(kind: str, dims: tuple[int, ...], content: bytes) -> bytes:
    numbers = struct.pack(f"<{len(dims) + 1}d", len(dims), *dims)
    return struct.pack("<d", len(kind)) + kind.encode() + numbers + content


def test_parameters_are_expressions_that_keep_all_bits():
    assert [literal(v) for v in (20, 0.1, True, "it's", None)] == [
        "20", "hex2num('3fb999999999999a')", "true", "'it''s'", "hex2num('7FF840F440000000')",
    ]  # fmt: skip
    assert literal("é\n") == "text_of_([195 169 10])"
    assert literal([1, 2]) == "[1, 2]" and literal(["a", "b"]) == "{{'a', 'b'}}"


def test_na_is_rs_na_and_no_nan():
    values = [exact(v) for v in (NA, float("nan"), -0.0)]
    assert bits(values) == bits([blocks.NA_DOUBLE, float("nan"), -0.0])
    assert bits(decoded(of("double", (1, 3), struct.pack("<3d", NA, float("nan"), -0.0)))) == bits(values)
    assert bits([decoded(of("single", (1, 1), struct.pack("<I", 0x7FC207A2)))]) == bits(values[:1])


def test_values_have_the_kind_and_shape_that_they_had():
    assert decoded(of("double", (0, 0), b"")) is None
    assert decoded(of("logical", (1, 1), b"\1")) is True
    assert decoded(of("int64", (1, 1), struct.pack("<q", 2**62 + 1))) == 2**62 + 1
    assert np.array_equal(decoded(of("double", (2, 2), struct.pack("<4d", 1, 2, 3, 4))), [[1, 3], [2, 4]])
    with pytest.raises(Refused, match="real"):
        decoded(struct.pack("<d", 7) + b"complex")
