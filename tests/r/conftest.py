"""What tests of R in this process share."""

from r_functions import r  # noqa: F401
