"""Version 2's names for SKLearn."""

from . import estimator, processing
from .estimator import SKLearn
from .processing import SKLearnProcessor

__all__ = ["SKLearn", "SKLearnProcessor", "estimator", "processing"]
