"""SKLearn, the estimator, also for FrameworkProcessor(estimator_cls=SKLearn)."""

from ..frameworks import SKLearn

__all__ = ["SKLearn"]
