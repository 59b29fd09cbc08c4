"""The command line: it parses arguments, calls the verbs, and prints. No logic lives here."""

from . import sweeps, verbs, image, emulator  # isort: skip  in the order in which help lists their commands
from .app import main

__all__ = ["emulator", "image", "main", "sweeps", "verbs"]
