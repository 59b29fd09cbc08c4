"""The only functions that the R package calls.

    call(request) -> answer       both bytearrays, in R's own serialisation (see r/serialization/), so that neither reticulate's nor
                                  numpy's conversions touch a value
    request                       list(verb =, arguments = list(...), environment = c(NAME = "value", ...), session = c(...)): the
                                  environment variables for what is done, and those that R has itself
    answer                        list(ok = TRUE, value =, warnings =, notes =) or
                                  list(ok = FALSE, error = list(code =, message =, hint =), warnings =, notes =)

A run is computed by a process of its own, see drivers.py.
"""

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from ..hints import Face, speaking
from ..r.serialization import Vector, decode, encode
from . import designs, images, interrupts, loops, runs  # noqa: F401  for their verbs
from .arguments import VERBS, Arguments, check_texts
from .drivers import become, forget_aws
from .words import described, warnings_and_notes

# verbs that may take long, and leave nothing half done when they are interrupted
_INTERRUPTIBLE = (
    "design", "plan", "results", "summary", "errors", "warnings", "artifacts", "replay", "doctor", "image_build", "image_check",
    "image_push", "loop_values",
)  # fmt: skip


def call(request: bytearray) -> bytearray:
    """Do what R asks for."""
    with speaking(Face.R), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            asked: Arguments = dict(decode(request).items())  # type: ignore[union-attr]
            verb = asked["verb"].plain()
            environment, session = (
                dict(zip(asked[n].names, asked[n].values, strict=True)) for n in ("environment", "session")
            )
            arguments = dict(asked["arguments"].items())
            check_texts(arguments)
            with _environment(environment, session), interrupts.allowed(verb in _INTERRUPTIBLE):
                value = VERBS[verb](arguments)
                return _answer({"ok": True, "value": value}, warned)
        except BaseException as error:
            forget_aws()  # before it is tried again
            return _answer({"ok": False, "error": described(error)}, warned)


def _answer(answer: dict[str, Any], warned: list[warnings.WarningMessage]) -> bytearray:
    return encode({**answer, **{kind: Vector("string", texts) for kind, texts in warnings_and_notes(warned).items()}})


@contextlib.contextmanager
def _environment(now: Mapping[str, str], session: Mapping[str, str]) -> Iterator[None]:
    """The environment variables, which Python knows as they were when it started; then R's own again, whose process this is."""
    become(now)
    try:
        yield
    finally:
        become(session)
