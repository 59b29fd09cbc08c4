"""TensorFlow, the estimator, also for FrameworkProcessor(estimator_cls=TensorFlow)."""

from ..frameworks import TensorFlow

__all__ = ["TensorFlow"]
