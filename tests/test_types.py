"""The types that users see: mypy, strict, on a small project of a user's that imports the installed package."""

import inspect
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


_OF_INFRA = (simferry.infra.Infrastructure, simferry.infra.Listing, simferry.infra.Pruned)
READ_ONLY = (simferry.Forecast, simferry.Progress, simferry.Diff, *_OF_INFRA, simferry.infra.rstudio.RStudio)


def public():
    """Each public name that is no module, what classes have, their public methods and properties, and what r has."""
    for name in set(simferry.__all__) - {"__version__", "images", "infra", "r"}:
        value = getattr(simferry, name)
        yield name, value
        if inspect.isclass(value):
            yield from ((f"{name}.{own}", it) for own, it in vars(value).items() if is_documented(own, it))
    yield from ((f"r.{name}", getattr(simferry.r, name)) for name in simferry.r.__all__)
    infra = {name: getattr(simferry.infra, name) for name in simferry.infra.__all__ if name != "rstudio"}
    rstudio = {f"rstudio.{name}": getattr(simferry.infra.rstudio, name) for name in simferry.infra.rstudio.__all__}
    yield from ((f"infra.{name}", value) for name, value in {**infra, **rstudio}.items())


def is_documented(name, value):
    return not name.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))


@pytest.mark.parametrize(("name", "value"), sorted(public()))
def test_docstrings_name_each_argument_and_the_errors(name, value):
    text = value.__doc__
    assert text and not text.startswith(f"{name}(")  # which is what a dataclass has by itself
    if isinstance(value, property) or value in (simferry.Run, simferry.SimferryError):  # nobody makes these
        return
    arguments = set(inspect.signature(value).parameters) - {"self"}
    assert {one for one in arguments if not re.search(rf"\b{one}\b", text)} == set()
    # a dataclass that users only read raises nothing
    assert not arguments or "Raises" in text or value in READ_ONLY
    for unit, arguments_with_it in {
        "second": r"seconds|timeout|deadline|max_runtime",
        "dollar": "budget|dollars",
    }.items():
        if any(re.search(arguments_with_it, one) for one in arguments):
            assert unit in text
