"""Drivers: processes that compute runs for R, which stays free to be interrupted, and whose signals stay its own.

A driver is this module run as a program: it loads everything, reads an order (a line of JSON) from its standard input, tells
how far it is now and then, answers when it is done (what was warned of, and its error), and waits for the next. It ends
with its input. One may also be told to follow a run's logs.
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


class Told(Exception):
    """An error of another process, as it was described there."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error)
        self.error = error


class Driver:
    """A process that computes a run when it is told to, and then waits for the next. heard: what it told, oldest first."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simferry._rdrivers"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self.heard: list[dict[str, Any]] = []
        self._rest = b""

    def tell(self, order: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.heard = []
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()

    def has_ended(self, seconds_to_wait: float = 0) -> bool:
        """Whether it is done with its run, or has come to an end itself."""
        assert self.process.stdout is not None
        until = time.monotonic() + seconds_to_wait
        while not self._answered():
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            if not ready:
                return False
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                self.process.wait()
                return True
            *lines, self._rest = (self._rest + more).split(b"\n")
            self.heard += map(json.loads, lines)
        return True

    def _answered(self) -> bool:
        return bool(self.heard) and "error" in self.heard[-1]

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self, seconds_to_wait: float) -> bool:
        """Interrupt its run, and let it end. Whether it has stopped."""
        self.process.terminate()
        stopped = self.has_ended(seconds_to_wait)
        self.let_go()
        return stopped

    def let_go(self) -> None:
        """It ends when it has nothing more to do."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()

    def outcome(self, found: Any) -> dict[str, Any]:
        """What it said when it was done with a run: its error, or None, and what was warned of."""
        if self._answered():
            return self.heard[-1]
        how = f"exit code {self.process.wait()}"
        error = WorkerError(
            f"the process that computed run {found.id} ended ({how})", f"simferry resume {found.handle}"
        )
        return {"error": described(error), "warnings": []}


drivers: dict[str, Driver] = {}  # by the address of the run that they compute
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
    driver.tell({"run": found.address, "cwd": os.getcwd(), "environment": dict(os.environ), **told})
    return driver


def main() -> None:
    """A driver: load everything, wait for an order, carry it out, and so on until there are no more."""
    import pandas  # noqa: F401  pyarrow would, at its first array

    for text in sys.stdin:
        order = json.loads(text)
        become(order["environment"])
        forget_aws()
        os.chdir(order["cwd"])
        answer: dict[str, Any] = {"error": None}
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            try:
                _carry_out(order)
            except BaseException as error:
                answer["error"] = described(error)
        answer["warnings"] = [in_r(str(w.message)) for w in warned]
        try:
            print(json.dumps(answer), flush=True)
        except OSError:  # R has ended
            return


def _carry_out(order: dict[str, Any]) -> None:
    from . import verbs

    found = verbs.open(order["run"])
    if order["verb"] == "follow":
        for job, line in found.follow(order["job"]):
            print(json.dumps({"job": job, "line": line}), flush=True)
        return
    with open(found.folder / "jobs" / "driver.log", "ab") as log:
        os.dup2(log.fileno(), 2)
    if order["verb"] == "run":
        found._drive("run", found.replications, False, found._backend(), _tell)
    else:
        getattr(found, order["verb"])(**order["options"], on_progress=_tell)


def _tell(now: Any) -> None:
    """Say how far the run is, unless what was said before has not been heard yet: R may not listen, or have ended."""
    if select.select([], [sys.stdout], [], 0)[1]:
        with contextlib.suppress(OSError):
            print(json.dumps(far(now)), flush=True)


def far(now: Any) -> dict[str, Any]:
    """How far a run is; where jobs cost money also how they stand."""
    from .screen import jobs_said, pace

    waits = f", waiting for {now.note}" if now.note else ""
    said = "" if now.dollars is None and len(now.jobs) <= 20 else f"{jobs_said(now)}{in_r(waits)}"
    far = {"total": now.total, "done": now.done, "failed": now.failed, "state": now.state, "said": said}
    return {**far, "pace": ", ".join(pace(now))}


def become(environment: Mapping[str, str]) -> None:
    """Have these environment variables; where they tell something else of AWS, forget what they told before."""
    if _of_aws(environment) != _of_aws(os.environ):
        forget_aws()
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    for name, value in environment.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _of_aws(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith("AWS_")}


def forget_aws() -> None:
    """Who asks AWS and where: R lives on when the user has logged in, changed the profile, or left the emulator."""
    session = sys.modules.get("simferry.aws.session")
    for kept in (session.session, session.client, session.account) if session else ():
        kept.cache_clear()


# ---- errors and their words, as R users write them ----


def described(error: BaseException) -> dict[str, str]:
    """An error as R gets it."""
    if isinstance(error, Told):
        return error.error
    if isinstance(error, SimferryError):
        return {"code": error.code, "message": in_r(error.message), "hint": in_r(error.hint)}
    if isinstance(error, KeyboardInterrupt):
        return {"code": Interrupted.code, "message": "stopped", "hint": ""}
    if isinstance(error, NotPlain):
        return {"code": "usage", "message": f"an argument is {error}, which can't be used here", "hint": ""}
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("simferry"):
        message = f"the Python package {error.name} is not installed"
        return {"code": "python", "message": message, "hint": in_r("pip install 'simferry[sagemaker]'")}
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
    (re.compile(rf"{_COMMAND} (?!RUN\b|--)(\S+) --budget (\S+)"), r'sim_\1("\2", budget = \3)'),
    (re.compile(rf"{_COMMAND} (?!RUN\b|--)(\S+)"), r'sim_\1("\2")'),
    (re.compile(r"simferry plan \.\.\. --backend sagemaker --refresh-prices"), "sim_plan(..., refresh_prices = TRUE)"),
    (re.compile(r"simferry plan --backend sagemaker --refresh-prices"), "sim_plan(..., refresh_prices = TRUE)"),
    (re.compile(r"simferry list --store (\S+)"), r'sim_list("\1")'),
    (re.compile(r"simferry list\b"), "sim_list()"),
    (re.compile(r"simferry doctor\b"), "simferry_doctor()"),
    (re.compile(r"simferry run --help"), "?sim_run"),
    (re.compile(r"simferry image push (\S+) --to (\S+)"), r'image_push("\1", to = "\2")'),
    (re.compile(r"simferry image (build|push|check) ([\w./:-]*\w)"), r'image_\1("\2")'),
    (re.compile(r"simferry image (build|push|check)\b"), r"image_\1()"),
    (re.compile(r"""pip install ['"]?simferry\[(sagemaker|emulator)\]['"]?"""), r'simferry_install(extras = "\1")'),
    (re.compile(r"pip install (--upgrade )?'?simferry(\[\w+\])?'?"), "simferry_install()"),
    (re.compile(r"AWS_DEFAULT_REGION=([\w-]+)"), r'Sys.setenv(AWS_DEFAULT_REGION = "\1")'),
    (re.compile(r"--function\b"), "function_name"),
    (re.compile(r"--image ([\w./:-]*\w)"), r'sim_docker("\1")'),
    (re.compile(r"e\.g\. -p (\w+)=\.\.\."), r"e.g. \1 = c(...)"),
]  # fmt: skip
# an option of ours, its value (a word of prose has letters alone), and whether another one follows
_OPTION = re.compile(
    r"--(store|args|include|backend|image|jobs|fresh|hosts|workers|cores|role|instance-type|max-runtime|volume|budget|subnets"
    r'|security-groups|kms-key|platform)\b(?: ("[^"]*"|local|docker|sagemaker|[^\s("]*[\d./:-]\S*[\w/]|\d+))?( (?=--))?'
)


def in_r(text: str) -> str:
    for pattern, words in _IN_R:
        text = pattern.sub(words, text)
    return _OPTION.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    name, value = found[1].replace("-", "_"), found[2] or ""
    quoted = value if re.fullmatch(r'[\d.]+|".*"', value) else f'"{value}"'
    return f"{name} = {quoted}{', ' if found[3] else ''}" if value else name + (found[3] or "")


if __name__ == "__main__":
    main()
