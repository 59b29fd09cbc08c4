"""What reaches a terminal. Messages, logs, names and results are written by others: what in them would steer the terminal (move
the cursor, set its title or clipboard, hide a text behind a link, turn the direction of writing) is shown as its number.

Colours, tabs and ends of lines stay. Files, pipes and JSON keep every byte.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

# all controls but tab, newline, carriage return and colours (SGR); C1; embeddings, overrides and isolates of direction; half characters
_STEERING = re.compile(
    r"\x1b(?!\[[0-9;:]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """A text in which nothing steers a terminal."""
    return _STEERING.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


def shown(text: str, stream: TextIO | None = None) -> str:
    """The text as it is to be written to a stream [standard error]: visible on a terminal, else as it is."""
    stream = stream or sys.stderr
    return visible(text) if stream is not None and stream.isatty() else text


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """A text of simferry's own in colours or bold, where it is written to a terminal.

    click takes colours out of all that does not go to one, and so out of the texts of others: it is told to leave them.
    """
    import click

    return click.style(text, **style) if stream is not None and stream.isatty() else text


class Guarded:
    """A terminal's stream, to which only visible text is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(visible(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # by which click would pass this by
            raise AttributeError(name)
        return getattr(self._stream, name)


def unguarded(stream: TextIO) -> TextIO:
    """The stream itself, for what simferry steers the terminal with."""
    return stream._stream if isinstance(stream, Guarded) else stream


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Whatever this process prints meanwhile is visible, where it is printed on a terminal."""
    before = sys.stdout, sys.stderr
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = Guarded(sys.stdout)
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr = Guarded(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
