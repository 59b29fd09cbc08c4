"""SKLearnProcessor, where version 2 has it."""

from ..framework import SKLearnProcessor

__all__ = ["SKLearnProcessor"]
