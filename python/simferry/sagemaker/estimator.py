"""Version 2's module of estimators."""

from .frameworks import Framework
from .training import Estimator, EstimatorBase

__all__ = ["Estimator", "EstimatorBase", "Framework"]
