"""Version 2's names for SKLearn."""

from . import estimator
from .estimator import SKLearn

__all__ = ["SKLearn", "estimator"]
