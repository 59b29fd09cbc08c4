"""XGBoost, the estimator, also for FrameworkProcessor(estimator_cls=XGBoost)."""

from ..frameworks import XGBoost

__all__ = ["XGBoost"]
