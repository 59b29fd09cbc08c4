"""R functions as Python callables, in this process: `sf.r.function("power.R", "simulate")`. Needs R and rpy2 (extra `r`).

Arguments and values cross as R's own serialisation (serialization/), in one raw vector that is moved by memory view: every bit
survives, NA too. A million rows of two numbers, there and back, take 0.06 s; a column of texts 0.9 s.
What becomes of what stands in values.py.

R has one thread and one state: a process has one R, in its main thread. Processes that joblib's loky (or multiprocessing's
spawn) starts have one each, and load the script themselves.
"""

import bz2
import contextlib
import hashlib
import io
import lzma
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RError, SimferryError, SimulationError, UsageError, nearest
from ..system.processes import ONE_THREAD
from . import serialization
from .values import from_r, to_r

_RPY2 = ("rinterface", "rinterface_lib.callbacks", "rinterface_lib.embedded")
VERSIONS = (
    "With R older than 4.5: pip install 'rpy2>=3.6' 'rpy2-rinterface<3.6.6'. "
    "With R 4.5 or newer: pip install 'rpy2>=3.6' 'rpy2-rinterface>=3.6.6'."
)

__all__ = ["Function", "function", "read_rds"]


class Function:
    """An R function as a Python callable, with the R function's arguments. values.py lists how values are converted.

    script: path of the file that defines it. name: its name there. call: what `function` has loaded; None: it is loaded at the
    first call. It can be pickled: the process that receives it loads the script, from the same path.

    Raises RError with R's message, call and traceback; its warnings are Python's. Ctrl-C raises KeyboardInterrupt.
    """

    def __init__(self, script: str, name: str, call: Any = None) -> None:
        self.script = script
        self.__name__ = name
        self._call = call  # None after unpickling: the script is loaded at the first call, since an error in unpickling would block a pool

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        names = [""] * len(args) + list(kwargs)
        values = []
        for i, value in enumerate((*args, *kwargs.values())):
            try:
                values.append(to_r(value))
            except (TypeError, ValueError) as error:
                which = f"argument {names[i] or i + 1}"
                raise UsageError(f"{self.__name__}(): {which}: {error}") from None
        arguments = serialization.Vector(
            "list", values, {"names": serialization.Vector("string", names)} if kwargs else {}
        )
        call = self._call or _received(self.script, self.__name__)
        try:
            return from_r(_R.here().ask(call, arguments))
        except ValueError as error:
            raise UsageError(f"{self.__name__}() returned what Python has nothing like: {error}") from None

    def __repr__(self) -> str:
        return f"<R function {self.__name__} of {self.script}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.script, self.__name__)


def function(script: str | Path, name: str = "simulate") -> Function:
    """The function of that name in an R script, as a Python callable.

    The script is run at once, in its own folder and in an environment of its own (as `source` would, but for the global
    environment). Call this again when the script has changed. Random numbers come from this R's generator: seed it within
    the function, or use `run`, which gives each replication a stream.

    Raises SimulationError where there is no such script or function, RError where the script stops with an error, and
    SimferryError where R or an rpy2 that works with it is missing.
    """
    path = Path(script).expanduser().resolve()
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.[Rr]")] if path.parent.is_dir() else []
        raise SimulationError(f"there is no script {script}", nearest(path.name, beside))
    r = _R.here()
    loaded = r.ask(r.verbs["load"], {"script": str(path), "function": name}).plain()
    if "unparsable" in loaded:
        raise SimulationError(f"{script} is not R: {loaded['unparsable']}")
    if not loaded["found"]:
        functions = loaded["functions"]
        raise SimulationError(
            f"{script} defines no function {name}",
            nearest(name, functions) or f"It defines: {', '.join(functions) or 'none'}.",
        )
    return Function(str(path), name, r.verbs["callable"](name))


_loaded: dict[tuple[str, str, str], Any] = {}


def _received(script: str, name: str) -> Any:
    """The R function of a `Function` from another process; its script is loaded once, also if every task brings it."""
    try:
        key = script, name, hashlib.sha256(Path(script).read_bytes()).hexdigest()
    except OSError as error:
        raise SimulationError(f"the script {script} can't be read here: {error.strerror}") from None
    if key not in _loaded:
        _loaded[key] = function(script, name)._call
    return _loaded[key]


def read_rds(path: str | Path) -> Any:
    """The object in an .rds file, as Python values; a fitted model is a dict of its parts. path: of the file.

    It is read without R, and nothing in it is run: a file from a stranger is safe to open here. It is not in R: whoever
    wrote a file that `readRDS` opens can have made it run code of theirs there.

    Raises UsageError where it is no .rds file, is cut short, or is of a kind that can't be read here (ASCII, objects of
    packages that keep their vectors in forms of their own).
    """
    data = Path(path).read_bytes()
    try:
        for magic, expand in _COMPRESSIONS.items():
            if data.startswith(magic):
                data = expand(data)
                break
        return from_r(serialization.decode_any(data))
    except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise UsageError(f"{path} can't be read as an .rds file: {error}") from None


def replay(root: Path) -> bool:
    """The worker's replay of the job in a folder, in this process. False where that can have no R."""
    try:
        r = _R.here()
    except SimferryError:
        return False
    with _empty_input():
        r.ask(r.verbs["replay"], str(root))
    return True


@contextlib.contextmanager
def _empty_input() -> Iterator[None]:
    """What reads R's file("stdin") finds its end, as in a run; browser() asks at Python's sys.stdin as before."""
    asking, kept = sys.stdin, None
    with contextlib.suppress(OSError, AttributeError, ValueError):  # a notebook's, or closed
        if asking.fileno() == 0:
            kept = os.dup(0)
            sys.stdin = open(os.dup(0), encoding=asking.encoding, errors=asking.errors)  # noqa: SIM115
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
    try:
        yield
    finally:
        if kept is not None:
            sys.stdin.close()
            sys.stdin = asking
            os.dup2(kept, 0)
            os.close(kept)


def _ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:  # rpy2 prints a traceback, where R has a word for it
        return ""


def _gunzip(data: bytes) -> bytes:
    return zlib.decompress(data, 31)


_COMPRESSIONS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": _gunzip,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\0": lzma.decompress,
}


# ---- the R in this process ----


class _R:
    """The one R of this process."""

    _here: "_R | None" = None

    def __init__(self) -> None:
        self.pid = os.getpid()
        interface = _started()
        self._raw = interface.ByteSexpVector
        self._failed = interface.embedded.RRuntimeError
        self._library = interface.openrlib.rlib
        code = (files(__package__) / "functions.R").read_text(encoding="utf-8")
        verbs = interface.evalr(code)
        self.verbs = dict(zip(verbs.names, verbs, strict=True))

    @classmethod
    def here(cls) -> "_R":
        if threading.current_thread() is not threading.main_thread():
            raise UsageError(
                "R functions can be called from a process's main thread only: R has one thread",
                'To call them in parallel use processes: joblib.Parallel(n_jobs=4, backend="loky").',
            )
        if cls._here is None:
            cls._here = _R()
        if cls._here.pid != os.getpid():
            raise UsageError(
                "this process was forked from one in which R runs; the two would draw the same random numbers",
                'Use joblib.Parallel(backend="loky"), or multiprocessing.get_context("spawn").',
            )
        return cls._here

    def ask(self, verb: Callable[..., Any], request: Any) -> Any:
        """The value that an R function of functions.R answers: a Vector, Other or None."""
        given = self._raw.from_memoryview(memoryview(serialization.encode(request)))
        stop = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if stop:  # Python's own handler would raise within R, where nobody catches it
            signal.signal(signal.SIGINT, self._interrupt)
        try:
            raw = verb(given)
        except self._failed as error:
            raise RError(f"R stopped: {error}") from None
        finally:
            if stop:
                signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._library.R_interrupts_pending:  # Ctrl-C came when R had just returned
            self._library.R_interrupts_pending = 0
            raise KeyboardInterrupt
        decoded: Any = serialization.decode_any(np.asarray(raw).data)
        answer = dict(decoded.items())
        if "interrupted" in answer:
            raise KeyboardInterrupt
        if "warnings" in answer:
            for text in answer["warnings"].elements():
                warnings.warn(text, stacklevel=3)
        if "error" in answer:
            raise RError(**{k: answer[k].plain() or "" for k in ("call", "traceback")}, message=answer["error"].plain())
        return answer["value"]

    def _interrupt(self, *_: Any) -> None:
        self._library.R_interrupts_pending = 1


def _started() -> Any:
    """rpy2.rinterface with R running. Raises SimferryError, saying which versions go together."""
    home = _r_home()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it tries
            with contextlib.redirect_stderr(io.StringIO()):
                modules: list[Any] = [import_module(f"rpy2.{name}") for name in _RPY2]
            rinterface, callbacks, embedded = modules

            if not embedded.isinitialized():
                before = dict(os.environ)
                os.environ.update({**ONE_THREAD, **before})  # as in workers, unless the environment says otherwise
                embedded.set_initoptions(("rpy2", "--quiet", "--no-save", "--no-restore"))
                rinterface.initr(interactive=False, _c_stack_limit=_stack_bytes())
                callbacks.consoleread = _ask
                callbacks.consolewrite_warnerror = lambda text: print(text, end="", file=sys.stderr)
                rinterface.evalr("options(error = expression(NULL))")  # without it an error ends R, as in Rscript
                _put_back(before)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("rpy2"):
            message, cause = "R functions in Python's process need rpy2, which is not installed", None
        else:
            message, cause = f"{_rpy2_version()} does not work with R {_r_version(home)} ({home}): {error}", error
        raise SimferryError(message, VERSIONS) from cause
    return rinterface


def _put_back(before: dict[str, str]) -> None:
    """Of what rpy2 sets in the environment only R's own variables stay: programs started later need their EDITOR and
    LD_LIBRARY_PATH as they were."""
    for name in set(os.environ) | set(before):
        if name.startswith("R_") or name == "PYTHON_SESSION_INITIALIZED":  # by which reticulate knows Python
            continue
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


def _rpy2_version() -> str:
    for name in ("rpy2-rinterface", "rpy2"):  # before 3.6 all of it was one package
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    return "this rpy2"


def _r_home() -> Path:
    given = os.environ.get("R_HOME", "")
    if given and not Path(given, "bin", "R").exists():
        raise SimferryError(f"R_HOME is {given}, and there is no R", "Unset it, or set it to what R RHOME says.")
    if given:
        return Path(given)
    if not shutil.which("R"):
        raise SimferryError(
            "there is no R on the PATH",
            f"Install it (apt-get install r-base-core, or https://cran.r-project.org), then rpy2. {VERSIONS}",
        )
    asked = subprocess.run(["R", "RHOME"], capture_output=True, text=True, timeout=60, check=False)
    return Path(asked.stdout.strip())


def _r_version(home: Path) -> str:
    try:
        lines = (home / "library" / "base" / "DESCRIPTION").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "(of unknown version)"
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("Version:")), "(of unknown version)"
    )


def _stack_bytes() -> int:
    """rpy2 lets R use all of the stack and beyond, which ends in a crash where a function calls itself without end."""
    soft = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return int(0.9 * min(soft if soft != resource.RLIM_INFINITY else 2**26, 2**26))
