"""The project itself: one version, light imports, a documented command line."""

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import simferry
from simferry import errors

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


def test_every_error_is_drawn_in_the_tree_and_has_a_code():
    """Each line: where it hangs, its name, its meaning, and the exit code where it is not that of what it hangs on."""
    for module in pkgutil.walk_packages(simferry.__path__, "simferry."):
        if not re.search(r"__main__|\.worker\.", module.name):  # jobs' own code, which knows no simferry
            importlib.import_module(module.name)
    kinds, drawn = [errors.SimferryError], {}
    for kind in kinds:  # it grows
        kinds += kind.__subclasses__()
    above: list[str] = []
    for branch, name, exit_code in re.findall(r"^    ([ │├└─]*)(\w+) +.*?(?:exit code (\d))?$", errors.__doc__, re.M):
        above[len(branch) // 4 :] = [name]
        drawn[name] = (above[-2] if len(above) > 1 else "Exception", exit_code)
    ours = [kind for kind in kinds if kind.__module__.startswith("simferry.")]
    assert {kind.__name__: kind.__bases__[0].__name__ for kind in ours} == {n: above for n, (above, _) in drawn.items()}
    for kind in ours:
        told = drawn[kind.__name__][1]
        assert kind.exit_code == (int(told) if told else kind.__bases__[0].exit_code), kind
    here = [kind for kind in ours if kind.__module__ == "simferry.errors"]
    assert len({kind.code for kind in here}) == len(here)


def test_errors_survive_pickling():
    import pickle

    error = pickle.loads(pickle.dumps(errors.DesignError("what", "do this")))
    assert (type(error), error.message, error.hint, str(error)) == (
        errors.DesignError,
        "what",
        "do this",
        "what\ndo this",
    )
    error.__setstate__({"message": "what", "hint": "do this", "retryable": True})  # as earlier versions kept them
    assert (error.message, error.retryable) == ("what", True)


def test_the_module_is_the_command(tmp_path):
    command = [sys.executable, "-m", "simferry", "list", "--json", "--store", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
