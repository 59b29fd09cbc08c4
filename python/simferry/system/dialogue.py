"""How verbs that cost or delete something speak to a user: lines of a report, and questions."""

import sys
from collections.abc import Callable

from ..errors import UsageError
from ..hints import Option

Tell = Callable[[str], None]
Confirm = Callable[[str], bool]  # asks a question


def print_line(text: str) -> None:
    print(text, file=sys.stderr)


def ask(question: str) -> bool:
    """Ask on the terminal. Raises UsageError if there is none."""
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(
            "nothing is done: there is no terminal on which to ask", Option("yes", True) + "  does not ask."
        )
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
