"""Drivers: processes that compute runs for R, which stays free to be interrupted, and whose signals stay its own.

A driver is this module run as a program: it loads everything, reads an order (a line of JSON) from its standard input,
answers with another when it is done (what was warned of, and its error), and waits for the next. It ends with its input.
"""

import atexit
import contextlib
import json
import os
import re
import select
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import Interrupted, SimferryError, WorkerError
from .rdata import NotPlain


class Driver:
    """A process that computes a run when it is told to, and then waits for the next."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simferry._rdrivers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._said = b""

    def tell(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self._said = b""
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def has_ended(self, seconds_to_wait: float = 0) -> bool:
        """Whether it is done with its run, or has come to an end itself."""
        assert self.process.stdout is not None
        until = time.monotonic() + seconds_to_wait
        while not self._said.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            if not ready:
                return False
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                self.process.wait()
                return True
            self._said += more
        return True

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, seconds_to_wait: float) -> None:
        """Interrupt its run, and let it end."""
        self.process.terminate()
        self.has_ended(seconds_to_wait)
        self.let_go()

    def let_go(self) -> None:
        """It ends when it has nothing more to do."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def outcome(self, found: Any) -> dict[str, Any]:
        """What it said when it was done with a run: its error, or None, and what was warned of."""
        try:
            return dict(json.loads(self._said))
        except ValueError:
            how = f"exit code {self.process.wait()}"
            error = WorkerError(
                f"the process that computed run {found.id} ended ({how})", f"simferry resume {found.id}"
            )
            return {"error": described(error), "warnings": []}


drivers: dict[str, Driver] = {}  # by the folder of the run that they compute
_spare: list[Driver] = []  # one that has loaded all that it needs, and waits


def keep_spare(used: Driver | None = None) -> None:
    """Have a driver ready for the next run: starting one takes the better part of a second."""
    if _spare or (used is not None and not used.alive):
        if used is not None:
            used.let_go()
        used = None
    if not _spare:
        _spare.append(used or Driver())


@atexit.register
def _let_go() -> None:
    for driver in _spare:
        driver.process.kill()
        driver.process.wait()
        driver.let_go()
    for driver in drivers.values():  # one that still computes goes on without us
        driver.let_go()
        with contextlib.suppress(subprocess.TimeoutExpired):
            driver.process.wait(0.5)


def order(found: Any, told: dict[str, Any]) -> Driver:
    """Hand a run to a driver."""
    driver = _spare.pop() if _spare else Driver()
    if not driver.alive:
        driver.let_go()
        driver = Driver()
    driver.tell({"folder": str(found.folder), "cwd": os.getcwd(), "environment": dict(os.environ), **told})
    return driver


def main() -> None:
    """A driver: load everything, wait for an order, carry it out, and so on until there are no more."""
    import pandas  # noqa: F401  pyarrow would, at its first array

    from . import verbs

    for text in sys.stdin:
        order = json.loads(text)
        become(order["environment"])
        os.chdir(order["cwd"])
        answer: dict[str, Any] = {"error": None}
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            try:
                found = verbs.open(order["folder"])
                with open(found.folder / "jobs" / "driver.log", "ab") as log:
                    os.dup2(log.fileno(), 2)
                if "reason" in order:
                    found._drive(order["reason"], found.replications, False, {}, None)
                else:
                    getattr(found, order["verb"])(**order["options"])
            except BaseException as error:
                answer["error"] = described(error)
        answer["warnings"] = [in_r(str(w.message)) for w in warned]
        try:
            print(json.dumps(answer), flush=True)
        except OSError:  # R has ended
            return


def become(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


# ---- errors and their words, as R users write them ----


def described(error: BaseException) -> dict[str, str]:
    """An error as R gets it."""
    if isinstance(error, SimferryError):
        return {"code": error.code, "message": in_r(error.message), "hint": in_r(error.hint)}
    if isinstance(error, KeyboardInterrupt):
        return {"code": Interrupted.code, "message": "stopped", "hint": ""}
    if isinstance(error, NotPlain):
        return {"code": "usage", "message": f"an argument is {error}, which can't be used here", "hint": ""}
    if isinstance(error, OSError):
        return {"code": "system", "message": f"{error.filename or 'a file'}: {error.strerror or error}", "hint": ""}
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    shown = "".join(traceback.format_exception(error)) if os.environ.get("SIMFERRY_DEBUG") else ""
    hint = shown or 'Sys.setenv(SIMFERRY_DEBUG = "1")  shows all of it; please report it.'
    return {
        "code": "internal",
        "message": f"a fault of simferry's own: {type(error).__name__}: {error} ({place})",
        "hint": hint,
    }


_COMMAND = r"simferry (status|watch|logs|cancel|resume|extend|results|summary|errors|replay)"
_IN_R: list[tuple[re.Pattern[str], str]] = [
    (re.compile(rf"{_COMMAND} (?!RUN\b|--)(\S+) --retry-failed"), r'sim_\1("\2", retry_failed = TRUE)'),
    (re.compile(rf"{_COMMAND} (?!RUN\b|--)(\S+)"), r'sim_\1("\2")'),
    (re.compile(r"simferry list\b"), "sim_list()"),
    (re.compile(r"simferry doctor\b"), "simferry_doctor()"),
    (re.compile(r"simferry run --help"), "?sim_run"),
    (re.compile(r"simferry image (build|push|check) ([\w./:-]*\w)"), r'image_\1("\2")'),
    (re.compile(r"simferry image (build|push|check)\b"), r"image_\1()"),
    (re.compile(r"pip install (--upgrade )?'?simferry(\[\w+\])?'?"), "simferry_install()"),
    (re.compile(r"--function\b"), "function_name"),
    (re.compile(r"--image ([\w./:-]*\w)"), r'sim_docker("\1")'),
    (re.compile(r'--(store|args|include|backend|image|jobs) ("[^"]*"|[^\s(]\S*)'), r"\1 = \2"),
    (re.compile(r"--(store|args|include|backend|image|jobs|fresh)\b"), r"\1"),
    (re.compile(r"e\.g\. -p (\w+)=\.\.\."), r"e.g. \1 = c(...)"),
]  # fmt: skip


def in_r(text: str) -> str:
    for pattern, words in _IN_R:
        text = pattern.sub(words, text)
    return text


if __name__ == "__main__":
    main()
