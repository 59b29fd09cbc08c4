"""PyTorch, the estimator, also for FrameworkProcessor(estimator_cls=PyTorch)."""

from ..frameworks import PyTorch

__all__ = ["PyTorch"]
