"""Tables and figures of measures."""

import pyarrow as pa
from simferry.analysis.measure_table import measure_table
from simferry.analysis.sources import of_table
from simferry.report.grid import grid, measures_figures, measures_table
from simferry.sweep.roles import roles


def test_measures_are_columns_in_the_digits_that_they_support():
    table = pa.table(
        {"condition": [1, 1, 1, 2, 2, 2], "m": ["<a>"] * 6, "est": [1.0, 2, 3, 2, None, 6], "se": [1.0] * 6}
    )
    given = roles({"estimate": "est", "truth": 1, "se": "se", "by": "m"})
    found = measure_table(of_table(table), given, ["bias", "mean", "nonconvergence"])
    one = grid(found)
    assert one.rows == [(1, "<a>"), (2, "<a>")] and one.keys == ["m"] and one.parameters == ()
    text = measures_table(one)
    assert "1.00 (0.58)" in text and "&lt;a&gt;" in text and "<a>" not in text
    figures = measures_figures(one, ["mean"])
    assert "<option>mean</option><option>bias</option>" in figures and "condition 1, &lt;a&gt;" in figures
