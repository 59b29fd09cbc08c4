"""Ctrl-C while R runs Python in its own process.

reticulate's signal handler tells both R and Python. R is the one to answer: to Python an interrupt that R has answered already
would come again, in whatever it does next. So Python takes notice only where it says that it can be interrupted, and in
`simferry.sagemaker`, which scripts call without the bridge.
"""

import contextlib
import ctypes
import signal
from collections.abc import Iterator
from types import FrameType

_allowed = False


def _interrupt(_: int, frame: FrameType | None) -> None:
    global _allowed
    if _allowed or _in_version_2s_names(frame):
        _allowed = False
        raise KeyboardInterrupt


def _in_version_2s_names(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_globals.get("__name__", "").startswith("simferry.sagemaker"):
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def allowed(whether: bool) -> Iterator[None]:
    """Whether what is done here can be interrupted."""
    global _allowed
    _allowed = whether
    try:
        yield
    finally:
        _allowed = False


def leave_to_r() -> None:
    """Take the place of Python's own answer to SIGINT. The process's handler stays reticulate's, which signal() would replace."""
    process = ctypes.CDLL(None)
    handler = ctypes.create_string_buffer(1024)  # a struct sigaction, which has 152 bytes on Linux, 16 on macOS
    process.sigaction(signal.SIGINT, None, handler)
    signal.signal(signal.SIGINT, _interrupt)
    process.sigaction(signal.SIGINT, handler, None)
