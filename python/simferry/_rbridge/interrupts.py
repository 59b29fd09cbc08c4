"""Ctrl-C while R runs Python in its own process.

reticulate's signal handler passes an interrupt to both R and Python. R handles it; Python would raise it again in its next call.
Python therefore ignores interrupts, except in verbs that can be interrupted, and in `simferry.sagemaker`, which scripts call without
the bridge.
"""

import contextlib
import ctypes
import signal
from collections.abc import Iterator
from types import FrameType

_allowed = False


def _interrupt(_: int, frame: FrameType | None) -> None:
    global _allowed
    if _allowed or _in_sagemaker_module(frame):
        _allowed = False
        raise KeyboardInterrupt


def _in_sagemaker_module(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_globals.get("__name__", "").startswith("simferry.sagemaker"):
        frame = frame.f_back
    return frame is not None


@contextlib.contextmanager
def allowed(whether: bool) -> Iterator[None]:
    """Whether the code in this context can be interrupted."""
    global _allowed
    _allowed = whether
    try:
        yield
    finally:
        _allowed = False


def leave_to_r() -> None:
    """Replace Python's handler of SIGINT, but keep the handler of the process, which is reticulate's; signal() would replace both."""
    process = ctypes.CDLL(None)
    handler = ctypes.create_string_buffer(1024)  # a struct sigaction, which has 152 bytes on Linux, 16 on macOS
    process.sigaction(signal.SIGINT, None, handler)
    signal.signal(signal.SIGINT, _interrupt)
    process.sigaction(signal.SIGINT, handler, None)
