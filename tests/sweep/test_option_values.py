"""What an option's value has to be. Each option of each backend, wrong in each way: test_options.py."""

import numpy as np
import pytest
from simferry.sweep.option_values import Field, OptionSpec, Unfit, checked


def test_values_are_converted_or_refused_in_words():
    whole = Field("jobs", "whole number", OptionSpec("jobs", minimum=1, maximum=9))
    assert checked(whole, 2.0) == 2 and checked(whole, np.int64(3)) == 3
    with pytest.raises(Unfit) as error:
        checked(whole, 0)
    assert error.value.words == "a whole number from 1 to 9"
    assert checked(Field("project", "logical", OptionSpec("project")), np.True_) is True
