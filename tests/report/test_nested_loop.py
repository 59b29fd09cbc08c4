"""Nested loop plots."""

import re

import numpy as np
from simferry.report.nested_loop import nested_loop


def test_conditions_are_in_the_order_of_their_parameters():
    svg = nested_loop(
        "bias", {"n": [10, 20, 10, 20], "k": ["x", "x", "y", "y"]}, ["a"], np.array([[1.0], [3], [2], [4]]), 0.0
    )
    steps = re.search(r'class="c0" d="([^"]*)"', svg)[1]
    heights = [int(point.split(" ")[1]) for point in re.findall(r"[ML](\d+ \d+)", steps)]
    assert heights == sorted(heights, reverse=True) and len(set(heights)) == 4  # 1, 2, 3, 4: from below
    assert "n: 10, 20" in svg and "k: x, y" in svg
