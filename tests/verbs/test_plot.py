"""Figures of runs and tables."""

import pandas as pd
import pytest
from simferry.errors import Note, UsageError
from simferry.verbs.plot import figure_data

TABLE = pd.DataFrame({"condition": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5], "m": ["a"] * 10, "est": range(10), "se": [1.0] * 10})


def test_conditions_are_numbers_and_what_is_left_out_is_a_note():
    assert figure_data(TABLE, "zip", conditions=2.0, estimate="est", truth=3, se="se").panels[
        "condition"
    ].to_pylist() == [2]
    with pytest.warns(Note, match="the first 4 of 5 conditions"):
        figure_data(TABLE, "estimates", estimate="est", methods="")
    for wrong in ("2", [1.5], [], [None]):
        with pytest.raises(UsageError, match="it takes numbers of conditions"):
            figure_data(TABLE, "zip", conditions=wrong, estimate="est")
