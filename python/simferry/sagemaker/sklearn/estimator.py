"""SKLearn, for FrameworkProcessor(estimator_cls=SKLearn)."""

from ..framework import SKLearn

__all__ = ["SKLearn"]
