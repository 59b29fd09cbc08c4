"""Runs a user's function or script as a training job: with its hyperparameters, a failure file, and the exit code that is right.

The service calls a job Completed if, and only if, its exit code is 0. So whatever goes wrong here ends with another one, and its
reason is in the file output/failure, of which the service shows 1,024 characters.
"""

from __future__ import annotations

import contextlib
import glob
import inspect
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from .environment import ContractError, Environment

SHOWN = 1024  # characters of the failure that the service shows
RESULT = "result.json"  # in output/data: what a function returns
_LAST_LINES = 20


class Stopped(BaseException):
    """The service ends the job (SIGTERM): 120 seconds are left."""


def train(
    program: str | Callable[..., Any],
    root: str = "",
    folder: str = "",
    arguments: Sequence[str] | None = None,
    errors: str = "",
    before: Sequence[str] = (),
) -> NoReturn:
    """Run a program as the training job of this container, and end the process with its exit code.

    program: a function, or the path of a script (.py, .sh, .m) or of another executable. A function gets the hyperparameters that its
        signature names; what it returns, a number or a dict or a list of dicts, goes to output/data/result.json. A script gets
        all as --name value (-n value for a name of one letter), and the SM_ variables in its environment.
    root: the contract's folder, see `Environment`. folder: where a script is started [beside it].
    arguments: of a script, in the place of the hyperparameters.
    errors: a regular expression; a script on whose standard error a line begins with it has failed, also if its exit code is 0.
    before: a command that a script's own is added to.

    A program that writes output/failure has failed, whatever its exit code. So has one that writes output/failure.txt, or into a folder
    output/failure, as programs of MATLAB do: the contract's file is made of it.
    """
    environment = None
    try:
        environment = Environment(root)
        for place in (environment.model_dir, environment.output_data_dir):
            os.makedirs(place, exist_ok=True)
        if callable(program):
            code, reason = _call(program, environment)
        else:
            given = environment.arguments if arguments is None else arguments
            code, reason = _run(program, environment, folder, given, errors, before)
        if said := _said(environment):
            code, reason = code or 1, said
    except (ContractError, OSError, ValueError) as error:
        code, reason = 1, str(error)
    if code:
        write_failure(environment, reason)
    sys.exit(code)


def _call(function: Callable[..., Any], environment: Environment) -> tuple[int, str]:
    """Exit code and reason of a function."""
    os.environ.update(environment.variables())

    def stop(number: int, frame: Any) -> None:
        raise Stopped

    signal.signal(signal.SIGTERM, stop)  # the first process of a container ignores it otherwise
    try:
        given = _chosen(function, environment.hyperparameters)
        value = function(**given)
        if value is not None:
            _write_result(value, environment.output_data_dir)
    except Stopped:
        return 128 + signal.SIGTERM, "the job was stopped (SIGTERM)"
    except SystemExit as error:
        if error.code is None or isinstance(error.code, int):
            code = (error.code or 0) & 255 or int(bool(error.code))
            return code, f"the program ended with exit code {code}"
        print(error.code, file=sys.stderr)
        return 1, str(error.code)
    except BaseException as error:
        traceback.print_exc()
        return 1, f"{type(error).__name__}: {error}\n{''.join(traceback.format_tb(error.__traceback__)[-3:])}"
    return 0, ""


def _chosen(function: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters for a function. Raises ValueError where it takes none of that name, or lacks one."""
    taken = inspect.signature(function).parameters.values()
    names = [one.name for one in taken if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    if not any(one.kind == one.VAR_KEYWORD for one in taken):
        for name in given:
            if name not in names:
                raise ValueError(
                    f"the function takes no hyperparameter {name!r}; it takes {', '.join(names) or 'none'}"
                )
    for one in taken:
        if one.name in names and one.default is one.empty and one.name not in given:
            raise ValueError(f"hyperparameter {one.name!r} of the function has no value")
    return given


def _write_result(value: Any, folder: str) -> None:
    path = os.path.join(folder, RESULT)
    text = json.dumps(plain(value), allow_nan=False)
    with open(f"{path}~", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}~", path)


def plain(value: Any) -> Any:
    """A value that JSON holds with all its digits. Numbers of numpy become Python's; NaN and Inf become texts."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if not isinstance(value, (str, int, float, type(None))) and hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Inf" if value > 0 else "-Inf"
    return value


def _run(
    script: str, environment: Environment, folder: str, arguments: Sequence[str], errors: str, before: Sequence[str]
) -> tuple[int, str]:
    """Exit code and reason of a script or another executable."""
    path = os.path.abspath(script)
    if not os.path.isfile(path):
        return 1, f"there is no program {script} in the image"
    known = {".py": [sys.executable, "-u"], ".sh": ["sh"], ".m": ["octave-cli", "--no-init-file", "--no-history"]}
    start = known.get(os.path.splitext(path)[1].lower(), [])
    if not start and not os.access(path, os.X_OK):
        return 1, f"{script} is neither a script of Python (.py), a shell (.sh) or Octave (.m) nor executable"
    variables = {**environment.variables(), "PYTHONUNBUFFERED": "1"}
    child: subprocess.Popen[bytes] | None = None
    stopped = False

    def stop(number: int, frame: Any) -> None:
        nonlocal stopped
        stopped = True
        if child is not None:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, stop)  # the first process of a container ignores it otherwise
    child = subprocess.Popen(
        [*before, *start, path, *arguments],
        cwd=folder or os.path.dirname(path),
        env={**os.environ, **variables},
        stderr=subprocess.PIPE,
    )
    if stopped:
        child.terminate()
    last: deque[bytes] = deque(maxlen=_LAST_LINES)
    wrong: list[bytes] = []
    copying = threading.Thread(target=_copy, args=(child.stderr, last, errors, wrong), daemon=True)
    copying.start()
    code = child.wait()
    copying.join(5)  # what it left running may still hold its standard error
    words = b"".join(last).decode(errors="replace").strip()
    if code == 0 and not wrong:
        return 0, ""
    if code == 0:
        return 1, f"{os.path.basename(path)} printed an error, and ended with exit code 0: {_end(words)}"
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return code if code > 0 else 128 - code, f"{os.path.basename(path)} ended with {how}: {_end(words)}".rstrip(": ")


def _copy(stream: Any, last: deque[bytes], errors: str, wrong: list[bytes]) -> None:
    """Copy a stream to standard error. last: gets its last lines. wrong: gets those that begin with `errors`."""
    for line in stream:
        last.append(line)
        if errors and re.match(errors.encode(), line):
            wrong.append(line)
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()


def _end(words: str) -> str:
    """The end of what a program printed, where its error is, with room for a few words before it."""
    return words if len(words) <= SHOWN - 100 else "..." + words[-(SHOWN - 100) :]


def _said(environment: Environment) -> str:
    """What a program wrote of its failure; empty if it wrote nothing. An empty folder, which the image may have made, says nothing."""
    for name in ("failure", "failure.txt"):  # the second is what MATLAB's writetable makes of the first
        path = os.path.join(environment.output_dir, name)
        inside = (
            sorted(glob.glob(os.path.join(glob.escape(path), "**"), recursive=True)) if os.path.isdir(path) else [path]
        )
        files = [one for one in inside if os.path.isfile(one)]
        if files:
            text = "\n".join(map(_content, files)).strip()
            return text or f"the program wrote {path}, and nothing in it"
        if os.path.isdir(path):
            shutil.rmtree(path, ignore_errors=True)
    return ""


def _content(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read(4 * SHOWN)


def write_failure(environment: Environment | None, reason: str) -> None:
    """The failure file, and the same text in the log. Nothing here may turn a failure into anything else."""
    print(reason, file=sys.stderr)
    if environment is None:
        return
    if os.path.isdir(environment.failure_file):  # as in images that make one
        shutil.rmtree(environment.failure_file, ignore_errors=True)
    try:
        os.makedirs(environment.output_dir, exist_ok=True)
        with open(environment.failure_file, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(reason)
    except OSError as error:
        with contextlib.suppress(OSError):
            print(f"{environment.failure_file} can't be written: {error.strerror}", file=sys.stderr)
