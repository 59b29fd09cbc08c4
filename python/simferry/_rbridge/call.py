"""The only functions that the R package calls.

    call(request) -> answer       both bytearrays, in R's own serialisation (see r/serialization/), so that reticulate and numpy
                                  convert no value
    request                       list(verb =, arguments = list(...), environment = c(NAME = "value", ...), session = c(...)).
                                  environment: variables during the call; session: R's own, restored afterwards
    answer                        list(ok = TRUE, value =, warnings =, notes =) or
                                  list(ok = FALSE, error = list(code =, message =, hint =), warnings =, notes =)
    call(request, back)           back: a function of R, from and to such bytes, which the verb may call
    has_ended(run, seconds)       waits for the driver of a run, which has no answer to give

Runs are computed by other processes: see drivers.py.
"""

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..hints import Face, speaking
from ..r.serialization import Vector, decode, encode
from . import designs, endpoint, images, infra, interrupts, loops, manage, measures, report, rstudio, runs, serve  # noqa: F401  for their verbs
from .arguments import VERBS, Arguments, check_texts
from .drivers import become, drivers, forget_aws
from .words import described, warnings_and_notes

# verbs that may take long, and that can be interrupted at any time
_INTERRUPTIBLE = (
    "contrast", "figure_data", "measures", "report",
    "design", "plan", "results", "summary", "errors", "warnings", "artifacts", "values", "diff", "replay", "doctor", "endpoint_delete",
    "endpoint_deploy", "endpoint_describe", "endpoint_invoke", "endpoint_logs", "endpoint_predict", "endpoints", "image_build",
    "image_check",
    "image_push", "infra_delete", "infra_deploy", "infra_next", "infra_rstudio_delete", "infra_rstudio_deploy", "infra_rstudio_open",
    "infra_rstudio_password", "infra_rstudio_show", "infra_rstudio_start", "infra_rstudio_stop", "infra_show", "loop_values",
    "serve", "serve_predict", "transform",
)  # fmt: skip


def call(request: bytearray, back: Callable[[bytearray], bytearray] | None = None) -> bytearray:
    """Execute a request of R."""
    with speaking(Face.R), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            parts: Arguments = dict(decode(request).items())  # type: ignore[union-attr]
            verb = parts["verb"].plain()
            environment, session = (
                dict(zip(parts[n].names, parts[n].values, strict=True)) for n in ("environment", "session")
            )
            arguments = dict(parts["arguments"].items())
            check_texts(arguments)
            if back is not None:
                arguments["back"] = back
            with _environment(environment, session), interrupts.allowed(verb in _INTERRUPTIBLE):
                if verb not in VERBS:  # loads what only those who ask for results need
                    from . import plots, tables  # noqa: F401
                value = VERBS[verb](arguments)
                return _answer({"ok": True, "value": value}, warned)
        except BaseException as error:
            forget_aws()  # the next attempt may have other credentials
            return _answer({"ok": False, "error": described(error)}, warned)


def has_ended(run: str, seconds_to_wait: float) -> bool:
    """Whether the driver of a run has done so, after at most this time."""
    process = drivers.get(run)
    if process is None:
        time.sleep(seconds_to_wait)
        return False
    return process.has_ended(seconds_to_wait)


def _answer(answer: dict[str, Any], warned: list[warnings.WarningMessage]) -> bytearray:
    return encode({**answer, **{kind: Vector("string", texts) for kind, texts in warnings_and_notes(warned).items()}})


@contextlib.contextmanager
def _environment(now: Mapping[str, str], session: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a call, then restore R's own. Python has copied them at its start, and sees no changes in R."""
    become(now)
    try:
        yield
    finally:
        become(session)
