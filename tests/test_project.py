"""The project itself: one version, light imports, a documented command line."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import simferry

ROOT = Path(__file__).parents[1]
HEAVY = ("pandas", "pyarrow", "scipy", "joblib", "rich", "pydantic", "numpy", "boto3")


def test_the_version_stands_in_one_place():
    manifest = (ROOT / "DESCRIPTION").read_text()
    assert re.search(r"^Version: (.+)$", manifest, re.M)[1] == simferry.__version__
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project and not re.search(r"^version =", project, re.M)
    written = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "python").rglob("*.py")
        if re.search(r"__version__ = ", path.read_text(encoding="utf-8"))
    ]
    assert written == ["python/simferry/_version.py"]


def test_the_changelog_tells_of_this_version():
    assert re.search(rf"^## {re.escape(simferry.__version__)}", (ROOT / "CHANGELOG.md").read_text(), re.M)


def imported_by(*arguments):
    code = f"""
import sys
sys.argv = ["simferry", *{list(arguments)}]
try:
    import simferry
    if sys.argv[1:]:
        from simferry.cli import main
        main()
finally:
    print("imported:", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.partition("imported: ")[2].split())


@pytest.mark.parametrize("arguments", [(), ("--help",), ("run", "--help"), ("--version",)])
def test_importing_simferry_and_asking_for_help_load_nothing_heavy(arguments):
    modules = imported_by(*arguments)
    assert "simferry" in modules and not {name.partition(".")[0] for name in modules} & set(HEAVY)
    assert ("simferry.sweep.options" in modules) == ("run" in arguments)  # nor what only a command's own help shows


def test_the_public_names_are_there():
    for name in simferry.__all__:
        assert getattr(simferry, name) is not None
    assert set(dir(simferry)) == set(simferry.__all__)
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        simferry.runn  # noqa: B018


def commands():
    from simferry.cli import main

    return main.commands


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_is_in_the_readme_and_has_an_example(name):
    assert f"simferry {name}" in (ROOT / "README.md").read_text()
    assert "Example:" in commands()[name].help and f"simferry {name}" in commands()[name].help


def test_the_module_is_the_command(tmp_path):
    command = [sys.executable, "-m", "simferry", "list", "--json", "--store", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
