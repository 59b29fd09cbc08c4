"""The command line: it parses arguments, calls the verbs, and prints the results. It has no other logic."""

# in the order in which help lists their commands
from . import sweeps, verbs, measures, report, manage, image, infra, rstudio, serve, endpoint, emulator  # isort: skip
from .app import main

__all__ = [
    "emulator",
    "endpoint",
    "image",
    "infra",
    "main",
    "manage",
    "measures",
    "report",
    "rstudio",
    "serve",
    "sweeps",
    "verbs",
]
