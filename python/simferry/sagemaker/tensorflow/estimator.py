"""TensorFlow, for FrameworkProcessor(estimator_cls=TensorFlow)."""

from ..framework import TensorFlow

__all__ = ["TensorFlow"]
