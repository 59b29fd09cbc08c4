"""Parameters as a simulation in Python gets them."""

import pytest
from hand_made import column
from simferry.worker.job import as_python


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1000.0, 0.5, None], [1000, 0.5, None]),
        ([3, None], [3, None]),
        ([True, None], [True, None]),
        (["ü", None, ""], ["ü", None, ""]),
    ],
)
def test_values_have_pythons_types(values, expected):
    found = as_python(column(values))
    assert found == expected and [type(v) for v in found] == [type(v) for v in expected]
