"""Version 2's module of hyperparameters' ranges."""

from .tuner import CategoricalParameter, ContinuousParameter, IntegerParameter

__all__ = ["CategoricalParameter", "ContinuousParameter", "IntegerParameter"]
