"""Errors and warnings as R gets them."""

import warnings

import pytest
from simferry._rbridge.words import DriverError, described, warnings_and_notes
from simferry.errors import DesignError, Note
from simferry.r.serialization import NotPlain


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DesignError("what", "do this"), {"code": "design", "message": "what", "hint": "do this"}),
        (DriverError({"code": "worker", "message": "m", "hint": "h"}), {"code": "worker", "message": "m", "hint": "h"}),
        (
            NotPlain("a call"),
            {"code": "usage", "message": "an argument is a call, which"},
        ),
        (KeyboardInterrupt(), {"code": "interrupted", "message": "stopped", "hint": ""}),
        (ModuleNotFoundError("x", name="boto3"), {"code": "python", "message": "the Python package boto3 is not"}),
        (FileNotFoundError(2, "No such file", "a.csv"), {"code": "system", "message": "a.csv: No such file"}),
    ],
)
def test_each_error_has_a_code_and_a_message(error, expected):
    found = described(error)
    assert set(found) == {"code", "message", "hint"} and found["code"] == expected["code"]
    assert found["message"].startswith(expected["message"]) and found["hint"].startswith(expected.get("hint", ""))


def test_notes_are_no_warnings():
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
        warnings.warn("by the way", Note, stacklevel=1)
    assert warnings_and_notes(warned) == {"warnings": ["careful"], "notes": ["by the way"]}
