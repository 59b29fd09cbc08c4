"""Arrow's arrays are made and read without pandas, and are what pyarrow makes and reads with it."""

import math
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from simferry.sweep.arrow import as_numpy, doubles, empty, plain_array, whole_numbers


@pytest.mark.parametrize(
    "values",
    [[1, 2], [None, 2**62, -1], [0.5, None, -0.0, math.inf], [True, False, None] * 5, ["", "é", None, "a\nb"], [None], []],
)  # fmt: skip
def test_values_of_python(values):
    made = plain_array(values)
    assert made.equals(pa.array(values)) and made.type == pa.array(values).type
    made.validate(full=True)


def test_numbers_of_numpy_keep_their_bits():
    odd = np.array([math.nan, -0.0, 5e-324, 1.5])
    assert as_numpy(doubles(odd)).tobytes() == odd.tobytes() and doubles(odd).null_count == 0
    assert as_numpy(whole_numbers(np.array([3, -1], dtype="i4"))).tolist() == [3, -1]
    assert doubles(odd[::2]).to_pylist()[1] == 5e-324


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 3], pa.int32()).slice(1),
        pa.chunked_array([pa.array([0.5, 1.5]).slice(1), pa.array([], pa.float64()), pa.array([2.5])]),
        pa.chunked_array([], pa.float64()),
        pa.array([True, False, True]),
        pa.array([1.5, None]),
        pa.array([1, None], pa.int64()),
        pa.array(["a", None]),
    ],
)
def test_values_as_numpy_has_them(column):
    expected = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    found = as_numpy(column)
    assert found.dtype == expected.dtype and str(found.tolist()) == str(expected.tolist())


def test_nulls_become_a_number():
    assert as_numpy(pa.array([1, None, 3], pa.int32()), 7).tolist() == [1, 7, 3]
    assert math.isnan(as_numpy(pa.chunked_array([[0.5, None]]), math.nan)[1])


def test_pandas_is_not_loaded():
    code = (
        "import sys, numpy as np, pyarrow as pa\n"
        "from simferry.sweep.arrow import as_numpy, doubles, empty, plain_array, whole_numbers\n"
        "table = pa.Table.from_arrays([doubles(np.ones(2)), whole_numbers(np.arange(2)), plain_array(['a', None])], ['x', 'k', 's'])\n"
        "as_numpy(table['x']), as_numpy(table['k']), empty(table.schema)\n"
        "sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_empty_table_has_the_columns():
    schema = pa.schema([("x", pa.float64()), ("s", pa.dictionary(pa.int32(), pa.string()))], {b"a": b"b"})
    assert empty(schema).schema.equals(schema, check_metadata=True) and empty(schema).num_rows == 0
