"""Version 1's names for images."""

from . import amazon_estimator

__all__ = ["amazon_estimator"]
