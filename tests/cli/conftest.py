"""What tests of the command line share."""

from command_line import folder  # noqa: F401
