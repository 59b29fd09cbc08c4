"""Version 2's names for XGBoost."""

from . import estimator
from .estimator import XGBoost

__all__ = ["XGBoost", "estimator"]
