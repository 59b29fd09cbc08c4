"""The command line: it parses arguments, calls the verbs, and prints the results. It has no other logic."""

from . import sweeps, verbs, manage, image, infra, rstudio, serve, endpoint, emulator  # isort: skip  in the order in which help lists their commands
from .app import main

__all__ = ["emulator", "endpoint", "image", "infra", "main", "manage", "rstudio", "serve", "sweeps", "verbs"]
