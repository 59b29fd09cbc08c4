"""The figures of single estimates."""

import numpy as np
import pyarrow as pa
from simferry.analysis.cells import Cells
from simferry.analysis.sources import of_table
from simferry.report.raw import raw_figures
from simferry.sweep.roles import roles


def test_each_figure_says_what_it_shows():
    draws = np.random.default_rng(3).normal(size=(40, 2))
    table = pa.table(
        {"set": np.repeat(np.arange(40), 2), "m": ["a", "b"] * 40, "est": draws.ravel(), "se": np.ones(80)}
    )
    text = raw_figures(
        Cells(of_table(table, "set"), roles({"estimate": "est", "truth": 0, "se": "se", "by": "m"}), True)
    )
    outside = int((np.abs(draws) > 1.959964).sum())
    assert f"Drawn are 80 of 80 intervals: {outside} of the {outside} that do not cover" in text
    assert "Drawn are 80 of 80 estimates" in text and "40 of 40 pairs" in text and text.count("<svg") == 5
