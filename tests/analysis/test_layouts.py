"""Tables of measures as text."""

import pyarrow as pa
import pytest
from simferry.analysis.layouts import digits, in_layout
from simferry.analysis.measure_table import MeasureTable

TABLE = MeasureTable(
    pa.table({
        "method": ["a_b", "c|d"], "measure": ["bias", "coverage"], "estimate": [0.016766, 0.943], "mcse": [0.004779, 0.0],
        "replications": [1000, 999], "nominal": pa.array([0.0, None]),
    }), (), [],
)  # fmt: skip


@pytest.mark.parametrize(
    ("estimate", "mcse", "shown"),
    [
        (0.016766, 0.004779, ("0.0168", "0.0048")), (-2.659384, 2.205482, ("-2.7", "2.2")), (1234.5, 321.0, ("1230", "320")),
        (0.943, 0.0, ("0.943", "0")), (0.5, float("nan"), ("0.5", "")), (float("nan"), 1.0, ("", "")), (1.0, 0.0999, ("1.000", "0.100")),
        (1.1759, 1.3e-16, ("1.176", "0")),
    ],
)  # fmt: skip
def test_digits_are_those_that_the_standard_error_supports(estimate, mcse, shown):
    assert digits(estimate, mcse) == shown


def test_layouts():
    assert in_layout(TABLE, "table").splitlines() == [
        "method  measure   estimate    mcse  replications  nominal",
        "a_b     bias        0.0168  0.0048          1000        0",
        "c|d     coverage     0.943       0           999",
    ]
    assert in_layout(TABLE, "markdown").splitlines()[1:] == [
        "| --- | --- | ---: | ---: | ---: | ---: |",
        "| a_b | bias | 0.0168 | 0.0048 | 1000 | 0 |",
        "| c\\|d | coverage | 0.943 | 0 | 999 |  |",
    ]
    assert r"  a\_b & bias & 0.0168 & 0.0048 & 1000 & 0 \\" in in_layout(TABLE, "latex").splitlines()
    assert in_layout(TABLE, "csv").splitlines()[1:] == [
        "a_b,bias,0.016766,0.004779,1000,0.0",
        "c|d,coverage,0.943,0.0,999,",
    ]
