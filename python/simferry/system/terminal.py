"""Makes text safe for a terminal. Others write messages, logs, names and results: characters in them that control the terminal
(move the cursor, set its title or clipboard, hide text behind a link, change the direction of writing) are shown as escapes.

Colours, tabs and ends of lines stay. Files, pipes and JSON keep every byte.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

# all controls but tab, newline, carriage return and colours (SGR); C1; embeddings, overrides and isolates of direction; lone surrogates
_CONTROLS = re.compile(
    r"\x1b(?!\[[0-9;:]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    """The text with escapes for all characters that control a terminal."""
    return _CONTROLS.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", text)


def shown(text: str, stream: TextIO | None = None) -> str:
    """The text to write to a stream [standard error]: `visible` if that is a terminal, else unchanged."""
    stream = stream or sys.stderr
    return visible(text) if stream is not None and stream.isatty() else text


def styled(text: str, stream: TextIO, **style: Any) -> str:
    """One of simferry's own texts in colours or bold, if the stream is a terminal.

    Callers give click.echo `color=True`: otherwise click removes colours from the texts of others in files and pipes.
    """
    import click

    return click.style(text, **style) if stream is not None and stream.isatty() else text


class Guarded:
    """A terminal's stream that makes all text `visible`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(visible(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # click would bypass this class through it
            raise AttributeError(name)
        return getattr(self._stream, name)


def unguarded(stream: TextIO) -> TextIO:
    """The stream itself, for simferry's own control characters."""
    return stream._stream if isinstance(stream, Guarded) else stream


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Within the block, all that this process prints on a terminal is made `visible`."""
    before = sys.stdout, sys.stderr
    if sys.stdout is not None and sys.stdout.isatty():
        sys.stdout = Guarded(sys.stdout)
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr = Guarded(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
