"""Version 2's names for TensorFlow."""

from . import estimator
from .estimator import TensorFlow

__all__ = ["TensorFlow", "estimator"]
