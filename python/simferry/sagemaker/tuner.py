"""Version 2's tuner, which simferry.sagemaker does not have: the names are here so that the error says what to use."""

from typing import Any

from ..errors import UsageError


class _Range:
    """A hyperparameter's range, as version 2 names it."""

    def __init__(self, *values: Any, **named: Any) -> None:
        self.values, self.named = values, named


class IntegerParameter(_Range): ...


class ContinuousParameter(_Range): ...


class CategoricalParameter(_Range): ...


class HyperparameterTuner:
    """Raises UsageError: simferry.sagemaker has no tuner."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise UsageError(
            "simferry.sagemaker has no HyperparameterTuner",
            "A grid or a random design of hyperparameters is a sweep:  simferry run image:NAME -p rate=0.1,0.01 --metric loss=...  "
            "A command `search`, which chooses the next values by the results so far, is planned.",
        )
