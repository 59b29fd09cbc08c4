"""Scales and marks."""

import numpy as np
from simferry.report.svg import Scale, escaped, polyline, scale, segments, short


def test_a_scale_has_round_ticks_and_holds_what_is_outside():
    x = Scale(0, 10, 100, 200)
    assert x.at([0, 5, 10, 99]).tolist() == [100, 150, 200, 200] and x.ticks() == [0, 2, 4, 6, 8, 10]
    same = scale([np.array([3.0, np.nan, np.inf])], 0, 1)
    assert same.low < 3 < same.high and scale([], 0, 1).ticks()


def test_segments_are_relative_from_below_and_lines_break_at_missing_values():
    begin, end, y = np.array([10, 5]), np.array([20, 15]), np.array([30, 40])
    assert segments(begin, end, y) == "m5 40h10m-5 -10h10"
    assert polyline(np.array([1.0, 2, 3, 4]), np.array([1, np.nan, 3, 4])) == "M1 1M3 3L4 4"


def test_texts_are_escaped_and_short():
    assert escaped("<a b='\"'>\x00") == "&lt;a b=&#x27;&quot;&#x27;&gt;\ufffd" and len(short("x" * 99)) == 28
