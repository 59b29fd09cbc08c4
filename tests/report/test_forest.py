"""Forest plots."""

import numpy as np
from simferry.report.forest import forest


def test_each_condition_and_method_has_its_interval_on_hover():
    svg = forest(
        "bias",
        ["n=1", "n=2"],
        ["a", "<b>"],
        np.array([[0.5, np.nan], [1, 2]]),
        np.array([[0.1, 0.1], [0.1, np.nan]]),
        0.0,
    )
    assert (
        svg.count('class="dot"') == 3 and "n=1, a: 0.5 (MCSE 0.1)" in svg and "<b>" not in svg and "nominal: 0" in svg
    )
