"""XGBoost, for FrameworkProcessor(estimator_cls=XGBoost)."""

from ..framework import XGBoost

__all__ = ["XGBoost"]
