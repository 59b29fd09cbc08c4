"""Errors and warnings in the form in which they are sent to R."""

import os
import traceback
import warnings
from collections.abc import Iterable
from pathlib import Path

from ..errors import Interrupted, Note, SimferryError
from ..hints import Extra, Variable
from ..r.serialization import NotPlain


class DriverError(Exception):
    """An error of a driver process. error: as `described` returned it there."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error)
        self.error = error


def described(error: BaseException) -> dict[str, str]:
    """An error as code, message and hint."""
    if isinstance(error, DriverError):
        return error.error
    if isinstance(error, (SimferryError, Interrupted)):
        return {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, KeyboardInterrupt):
        return {"code": Interrupted.code, "message": "stopped", "hint": ""}
    if isinstance(error, NotPlain):
        return {"code": "usage", "message": f"an argument is {error}, which can't be used here", "hint": ""}
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("simferry"):
        message = f"the Python package {error.name} is not installed"
        return {"code": "python", "message": message, "hint": str(Extra("sagemaker"))}
    if isinstance(error, OSError):
        return {"code": "system", "message": f"{error.filename or 'a file'}: {error.strerror or error}", "hint": ""}
    where = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{Path(where.filename).name}:{where.lineno}"
    shown = "".join(traceback.format_exception(error)) if os.environ.get("SIMFERRY_DEBUG") else ""
    hint = shown or f"{Variable('SIMFERRY_DEBUG', '1')}  shows all of it; please report it."
    return {
        "code": "internal",
        "message": f"a fault of simferry's own: {type(error).__name__}: {error} ({at})",
        "hint": hint,
    }


def warnings_and_notes(warned: Iterable[warnings.WarningMessage]) -> dict[str, list[str]]:
    """The texts of Python's warnings: `warnings` become warnings in R, `notes` become messages."""
    texts: dict[str, list[str]] = {"warnings": [], "notes": []}
    for one in warned:
        texts["notes" if issubclass(one.category, Note) else "warnings"].append(str(one.message))
    return texts
