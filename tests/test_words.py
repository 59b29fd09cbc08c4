"""Durations in words."""

import pytest
from simferry import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.9, "9.9 s"), (12, "12 s"), (119, "119 s"), (180, "3 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds, said):
    assert words.duration(seconds) == said
