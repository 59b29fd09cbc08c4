"""R functions as Python callables, in this process: `sf.r.function("power.R", "simulate")`. Needs R and rpy2 (extra `r`).

Arguments and values are passed as R's own serialisation (serialization/), in one raw vector, through a memory view. All bits are
kept, also NA. A million rows of two numbers, there and back, take 0.06 s; a column of strings takes 0.9 s. values.py lists the
conversions.

R has one thread and one state: a process has one R, in its main thread. Each process that joblib's loky (or multiprocessing's
spawn) starts has its own R, and loads the script itself.
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
from ..system.threads import ONE_THREAD
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

    script: path of the file that defines it. name: its name in the script. call: the loaded function; None loads it at the first
    call. A Function can be pickled: the process that receives it loads the script from the same path.

    Raises RError with R's message, call and traceback, and UsageError if a value can't be converted. R's warnings become Python
    warnings. Ctrl-C raises KeyboardInterrupt.
    """

    def __init__(self, script: str, name: str, call: Any = None) -> None:
        self.script = script
        self.__name__ = name
        self._call = (
            call  # None after unpickling: loading the script there could raise an error, which would block a pool
        )

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
            raise UsageError(f"the value of {self.__name__}() can't be converted to Python: {error}") from None

    def __repr__(self) -> str:
        return f"<R function {self.__name__} of {self.script}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Function, (self.script, self.__name__)


def function(script: str | Path, name: str = "simulate") -> Function:
    """A function of an R script, as a Python callable.

    The script is run at once, in its own folder, as by `source`, but in an environment of its own and not in the global one. Call
    this again after the script has changed. Random numbers come from this R's generator: seed it within the function, or use
    `run`, which gives each replication a stream.

    script: its path. name: of the function in it.

    Raises SimulationError if the script or the function does not exist, RError if the script stops with an error, and
    SimferryError if R, or an rpy2 that works with it, is missing.
    """
    path = Path(script).expanduser().resolve()
    if not path.is_file():
        beside = [p.name for p in path.parent.glob("*.[Rr]")] if path.parent.is_dir() else []
        raise SimulationError(f"there is no script {script}", nearest(path.name, beside))
    r = _R.here()
    loaded = r.ask(r.verbs["load"], {"script": str(path), "function": name}).plain()
    if "unparsable" in loaded:
        raise SimulationError(f"{script} is not valid R: {loaded['unparsable']}")
    if not loaded["found"]:
        functions = loaded["functions"]
        raise SimulationError(
            f"{script} defines no function {name}",
            nearest(name, functions) or f"It defines: {', '.join(functions) or 'none'}.",
        )
    return Function(str(path), name, r.verbs["callable"](name))


_loaded: dict[tuple[str, str, str], Any] = {}


def _received(script: str, name: str) -> Any:
    """The R function of a `Function` from another process. The script is loaded once, even if each task sends the function."""
    try:
        key = script, name, hashlib.sha256(Path(script).read_bytes()).hexdigest()
    except OSError as error:
        raise SimulationError(f"the script {script} can't be read here: {error.strerror}") from None
    if key not in _loaded:
        _loaded[key] = function(script, name)._call
    return _loaded[key]


def read_rds(path: str | Path) -> Any:
    """The object in an .rds file, as Python values (see values.py). A fitted model becomes a dict of its parts.

    The file is read without R, and no code in it is run. It is therefore safe for files from strangers, unlike R's `readRDS`.

    path: of the file.

    Raises UsageError if there is no such file, or it is not an .rds file, is incomplete, or has a form that can't be read (ASCII,
    or vectors in a form of their own, which some packages define).
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        folder = Path(path).absolute().parent
        beside = [one.name for one in folder.glob("*.rds")] if folder.is_dir() else []
        raise UsageError(f"there is no file {path}", nearest(Path(path).name, beside)) from None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from None
    try:
        return from_r(rds_object(data))
    except ValueError as error:
        raise UsageError(f"{path} can't be read as an .rds file: {error}") from None


def rds_object(data: bytes) -> "serialization.Vector | serialization.Other | None":
    """The object in the bytes of an .rds file. Raises ValueError."""
    try:
        for magic, expand in _COMPRESSIONS.items():
            if data.startswith(magic):
                data = expand(data)
                break
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(str(error)) from None
    return serialization.decode_any(data)


def replay(root: Path) -> bool:
    """Run the worker's replay of the job in a folder, in this process. Returns False if the process can't have an R."""
    try:
        r = _R.here()
    except SimferryError:
        return False
    with _empty_input():
        r.ask(r.verbs["replay"], str(root))
    return True


@contextlib.contextmanager
def _empty_input() -> Iterator[None]:
    """R's file("stdin") is empty, as in a run. browser() still reads from Python's sys.stdin."""
    before, kept = sys.stdin, None
    with contextlib.suppress(OSError, AttributeError, ValueError):  # that of a notebook, or closed
        if before.fileno() == 0:
            kept = os.dup(0)
            sys.stdin = open(os.dup(0), encoding=before.encoding, errors=before.errors)  # noqa: SIM115
            with open(os.devnull, "rb") as nothing:
                os.dup2(nothing.fileno(), 0)
    try:
        yield
    finally:
        if kept is not None:
            sys.stdin.close()
            sys.stdin = before
            os.dup2(kept, 0)
            os.close(kept)


def _ask(prompt: str) -> str:
    try:
        return input(prompt)
    except EOFError:  # R takes an empty line for it; rpy2 would print a traceback
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
    """The R of this process."""

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
                "this process was forked from one with a running R; both would draw the same random numbers",
                'Use joblib.Parallel(backend="loky"), or multiprocessing.get_context("spawn").',
            )
        return cls._here

    def ask(self, verb: Callable[..., Any], request: Any) -> Any:
        """Call an R function of functions.R. Returns its value: a Vector, Other or None."""
        given = self._raw.from_memoryview(memoryview(serialization.encode(request)))
        stop = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if stop:  # Python's own handler would raise an exception within R, which nothing catches
            signal.signal(signal.SIGINT, self._interrupt)
        try:
            raw = verb(given)
        except self._failed as error:
            raise RError(f"R stopped: {error}") from None
        finally:
            if stop:
                signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._library.R_interrupts_pending:  # Ctrl-C was pressed just after R returned
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
    """rpy2.rinterface, with R started. Raises SimferryError with the versions that work together."""
    home = _r_home()
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # rpy2 prints what it tries
            with contextlib.redirect_stderr(io.StringIO()):
                modules: list[Any] = [import_module(f"rpy2.{name}") for name in _RPY2]
            rinterface, callbacks, embedded = modules

            if not embedded.isinitialized():
                before = dict(os.environ)
                os.environ.update({**ONE_THREAD, **before})  # as in workers; the user's own settings win
                embedded.set_initoptions(("rpy2", "--quiet", "--no-save", "--no-restore"))
                rinterface.initr(interactive=False, _c_stack_limit=_stack_bytes())
                callbacks.consoleread = _ask
                callbacks.consolewrite_warnerror = lambda text: print(text, end="", file=sys.stderr)
                rinterface.evalr("options(error = expression(NULL))")  # otherwise an error ends R, as in Rscript
                _put_back(before)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("rpy2"):
            message, cause = "R functions in Python need the package rpy2, which is not installed", None
        else:
            message, cause = f"{_rpy2_version()} does not work with R {_r_version(home)} ({home}): {error}", error
        raise SimferryError(message, VERSIONS) from cause
    return rinterface


def _put_back(before: dict[str, str]) -> None:
    """Restore the environment, except R's own variables. rpy2 changes EDITOR and LD_LIBRARY_PATH, which other programs need."""
    for name in set(os.environ) | set(before):
        if name.startswith("R_") or name == "PYTHON_SESSION_INITIALIZED":  # reticulate needs it
            continue
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


def _rpy2_version() -> str:
    for name in ("rpy2-rinterface", "rpy2"):  # before 3.6 it was one package
        with contextlib.suppress(metadata.PackageNotFoundError):
            return f"{name} {metadata.version(name)}"
    return "this rpy2"


def _r_home() -> Path:
    given = os.environ.get("R_HOME", "")
    if given and not Path(given, "bin", "R").exists():
        raise SimferryError(
            f"R_HOME is {given}, and there is no R in it", "Unset it, or set it to the output of: R RHOME"
        )
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
    """The stack size for R. rpy2 sets no limit, so that infinite recursion would crash the process."""
    soft = resource.getrlimit(resource.RLIMIT_STACK)[0]
    return int(0.9 * min(soft if soft != resource.RLIM_INFINITY else 2**26, 2**26))
