"""Version 2's names for PyTorch."""

from . import estimator
from .estimator import PyTorch

__all__ = ["PyTorch", "estimator"]
