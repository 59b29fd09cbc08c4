"""Version 2's tuner is not here, and says so."""

import pytest
from simferry.errors import UsageError
from simferry.sagemaker.tuner import ContinuousParameter, HyperparameterTuner


def test_the_error_says_what_there_is():
    ranges = {"rate": ContinuousParameter(0, 1)}
    with pytest.raises(UsageError, match="has no HyperparameterTuner") as caught:
        HyperparameterTuner("estimator", "loss", ranges)
    assert "simferry run image:NAME" in caught.value.hint and "`search`, which" in caught.value.hint
