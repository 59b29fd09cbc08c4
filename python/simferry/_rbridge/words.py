"""Errors, and the words of the shell, as R users write them."""

import os
import re
import shlex
import traceback
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import Interrupted, Note, SimferryError
from ..r.serialization import NotPlain


class Told(Exception):
    """An error of another process, as it was described there."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error)
        self.error = error


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


def told_by(warned: Iterable[warnings.WarningMessage]) -> dict[str, list[str]]:
    """What Python warned of, for R: what are warnings there, and what are messages."""
    told: dict[str, list[str]] = {"warnings": [], "notes": []}
    for one in warned:
        told["notes" if issubclass(one.category, Note) else "warnings"].append(in_r(str(one.message)))
    return told


def _summary_by(found: re.Match[str]) -> str:
    names = [f'"{name}"' for name in shlex.split(found[2])[0].split(",")]
    by = names[0] if len(names) == 1 else f"c({', '.join(names)})"
    return f'sim_summary("{found[1]}", by = {by})  keeps'


_COMMAND = r"simferry (status|watch|logs|cancel|resume|extend|results|summary|errors|replay)"
_IN_R: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(rf"{_COMMAND} (?!RUN\b|--)(\S+) --retry-failed"), r'sim_\1("\2", retry_failed = TRUE)'),
    (re.compile(rf"{_COMMAND} (?!RUN\b|--)(\S+) --budget (\S+)"), r'sim_\1("\2", budget = \3)'),
    (re.compile(r"simferry summary (\S+) --by (.+?)  keeps"), _summary_by),
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
    (re.compile(r"--changed-code\b"), "changed_code = TRUE"),
    (re.compile(r"--image ([\w./:-]*\w)"), r'sim_docker("\1")'),
    (re.compile(r"e\.g\. -p (\w+)=\.\.\."), r"e.g. \1 = c(...)"),
]  # fmt: skip
# an option of ours, its value (a word of prose has letters alone), and whether another one follows
_OPTION = re.compile(
    r"--(store|args|include|keep-files|backend|image|jobs|fresh|hosts|workers|cores|role|instance-type|max-runtime|volume|budget|subnets"
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
