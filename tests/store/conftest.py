"""What tests of stores share."""

from sweeps import script  # noqa: F401
