"""The types that users see: mypy, strict, on a small project of a user's that imports the installed package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import simferry

PROJECT = Path(__file__).parent / "users_project"


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What mypy says of each file: the number of a line and the code of its error."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PROJECT, folder, dirs_exist_ok=True)
    files = sorted(path.name for path in folder.glob("*.py"))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode < 2, done.stdout + done.stderr
    errors = re.findall(r"^(\w+\.py):(\d+): error: (.*)  \[([\w-]+)\]$", done.stdout, re.M)
    assert len(errors) == len(re.findall(": error:", done.stdout)), done.stdout
    return {name: {int(line): (code, text) for of, line, text, code in errors if of == name} for name in files}


def test_each_public_name_has_the_type_that_its_users_expect(said):
    assert said["right.py"] == {}
    text = (PROJECT / "right.py").read_text()
    assert [name for name in simferry.__all__ if f"sf.{name}" not in text] == []


def test_mistakes_are_errors(said):
    lines = (PROJECT / "wrong.py").read_text().splitlines()
    wrong = {number: line.rpartition("# ")[2] for number, line in enumerate(lines, 1) if "  # " in line}
    assert {number: code for number, (code, _) in said["wrong.py"].items()} == wrong
