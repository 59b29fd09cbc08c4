"""PyTorch, for FrameworkProcessor(estimator_cls=PyTorch)."""

from ..framework import PyTorch

__all__ = ["PyTorch"]
