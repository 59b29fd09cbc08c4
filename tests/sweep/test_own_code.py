"""The user's own code outside of the snapshot: edit it, run again, and the old table does not come back."""

import shutil
import subprocess
import sys
import textwrap

import pytest
import simferry as sf
from common import require
from simferry.backends.foreground import Interpreter
from simferry.errors import SimulationError
from simferry.results.collect import read_blocks
from simferry.sweep import own_code
from simferry.sweep.design import Design
from simferry.verbs.check import check
from simferry.worker import own
from sweeps import simferry, write


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A folder on PYTHONPATH, outside of any project."""
    folder = tmp_path / "library"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def run(script, **options):
    """The one value that its replications have, and how many of them were taken over."""
    taken = []
    made = sf.run(
        script, replications=2, seed=1, workers=1, store=script.parent / "runs",
        on_start=lambda run, count, drawn: taken.append(count), **options,
    )  # fmt: skip
    values = made.results()["value"].tolist() if len(made.errors()) == 0 else made.errors()["message"].tolist()
    assert len(set(values)) == 1, values
    return made, (values[0], taken[0])


def names(made):
    return [one["name"] for one in made.record["own_code"]]


# how a simulation in Python may come to code of its own: its text, and what the run knows before it starts
USES = {
    "import at the top": ("import helper\ndef simulate(): return helper.value", ["helper"]),
    "import in the function": ("def simulate():\n    import helper\n    return helper.value", ["helper"]),
    "import of a submodule": (
        "def simulate():\n    from kit.inner import part\n    return part.value", ["kit", "kit.inner", "kit.inner.part"],
    ),
    "through another module": ("import first\ndef simulate(): return first.get()", ["first", "helper"]),
    "by a name that is told": (
        "import importlib\ndef simulate(): return importlib.import_module('helper').value", ["helper"],
    ),
    "by a name that is computed": (
        "import importlib\ndef simulate(): return importlib.import_module('hel' + 'per').value", [],
    ),
    "from a folder that it adds": (
        "import sys\nsys.path.append({extra!r})\ndef simulate():\n    import elsewhere\n    return elsewhere.value", ["elsewhere"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
def test_an_edited_module_is_other_code(tmp_path, library, use):
    text, known = USES[use]
    script = write(tmp_path / "project", "simulate.py", text.format(extra=str(tmp_path / "extra")))
    modules = [library / "helper.py", library / "kit" / "inner" / "part.py", tmp_path / "extra" / "elsewhere.py"]
    write(library, "first.py", "def get():\n    import helper\n    return helper.value\n")
    for folder in ("kit", "kit/inner"):
        write(library / folder, "__init__.py", "")

    def edit(value):
        for path in modules:
            write(path.parent, path.name, f"value = {value}\n")

    edit(1)
    made, first = run(script)
    assert (first, names(made)) == ((1, 0), known)
    assert run(script)[1] == (1, 2)
    edit(2)
    assert run(script)[1] == (2, 0)
    if not known:  # both are there, and neither is the other's
        edit(1)
        assert run(script)[1] == (1, 2)


def test_an_editable_install_is_the_users_and_an_installed_package_is_not(tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    write(site, "installed.py", "value = 1\n")
    write(site, "__editable___kit_finder.py", textwrap.dedent(f"""
        import sys
        from importlib.machinery import PathFinder
        class Finder:
            def find_spec(name, path=None, target=None):
                return PathFinder.find_spec(name, [{str(tmp_path / "src")!r}]) if name == "kit" else None
        sys.meta_path.append(Finder)
    """))  # fmt: skip
    write(tmp_path / "src" / "kit", "__init__.py", "from .part import value\n")
    write(tmp_path / "src" / "kit", "part.py", "value = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    text = "import __editable___kit_finder, installed, numpy, simferry\ndef simulate():\n    import kit\n    return kit.value"
    script = write(tmp_path / "project", "simulate.py", text)
    made, first = run(script)
    assert (first, names(made)) == ((1, 0), ["kit", "kit.part"])
    write(tmp_path / "src" / "kit", "part.py", "value = 2\n")
    assert run(script)[1] == (2, 0)


def test_a_function_object_with_modules_of_its_own(tmp_path, library, monkeypatch):
    monkeypatch.syspath_prepend(library)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    write(library, "own_used.py", "import own_below\ndef get(): return own_below.value\n")
    write(
        library,
        "own_home.py",
        "import own_used\ndef simulate():\n    import own_inside\n    return own_used.get() + own_inside.value\n",
    )
    for name in ("own_below", "own_inside"):
        write(library, f"{name}.py", "value = 1\n")
    import own_home

    def names_and_hash():
        simulation = sf.Simulation(own_home.simulate)
        check(simulation, Design({}), Interpreter())
        return [one.name for one in simulation.own_code], simulation.code_hash()

    known, before = names_and_hash()
    assert known == ["own_below", "own_inside", "own_used"]  # and not own_home, which is sent along
    write(library, "own_inside.py", "value = 2\n")
    assert names_and_hash()[1] != before
    for name in ("own_home", "own_used", "own_below"):
        del sys.modules[name]


def test_whole_python_scripts_and_commands(tmp_path, library):
    write(library, "helper.py", "value = 1\n")
    script = write(tmp_path / "project", "script.py", "import helper\nprint(helper.value, file=open('out.txt', 'w'))\n")
    tool = write(tmp_path / "bin", "tool.sh", "echo 1 > out.txt\n")
    wrapper = write(tmp_path / "project", "run.sh", f"#!/bin/sh\nexec sh '{tool}'\n")
    wrapper.chmod(0o755)
    for target, args, edited in (
        (script, "", library / "helper.py"),
        ("sh", f"{tool} {{replication}}", tool),
        (wrapper, "", tool),
    ):
        edited.write_text(edited.read_text().replace("2", "1"))
        options = {"args": args, "results_file": "out.txt"}
        taken = []
        for _ in range(2):
            for _ in range(2):
                told = {"on_start": lambda run, count, drawn, taken=taken: taken.append(count)}
                made = sf.run(target, replications=1, seed=1, store=tmp_path / "runs", **options, **told)
            edited.write_text(edited.read_text().replace("1", "2"))
        assert taken == [0, 1, 0, 1] and made.results()["value"].tolist() == [2]
        assert names(made) == (["helper"] if target == script else [str(tool)])


# ---- resume and extend ----


def test_a_python_program_that_imports_by_a_computed_name(tmp_path, library):
    text = "import importlib\nvalue = importlib.import_module('hel' + 'per').value\nprint(value, file=open('out.txt', 'w'))\n"
    script = write(tmp_path / "project", "script.py", text)
    wrapper = write(tmp_path / "project", "run.sh", f"#!/bin/sh\nexec {sys.executable} script.py\n")
    wrapper.chmod(0o755)
    for target, include in ((script, []), (wrapper, ["script.py"])):
        options = {"args": "", "results_file": "out.txt", "include": include}
        write(library, "helper.py", "value = 1\n")
        made, first = run(target, **options)
        assert (first, run(target, **options)[1]) == ((1, 0), (1, 2))
        write(library, "helper.py", "value = 2\n")
        with pytest.raises(SimulationError, match="has changed since: helper"):
            made.extend(3)
        assert run(target, **options)[1] == (2, 0)


def test_resume_and_extend_refuse_what_has_changed(tmp_path, library):
    write(library, "helper.py", "value = 1\n")
    write(library, "late.py", "value = 10\n")
    text = "import helper, importlib\ndef simulate(): return helper.value + importlib.import_module('la' + 'te').value"
    script = write(tmp_path / "project", "simulate.py", text)
    made, (value, _) = run(script)
    assert value == 11 and made.extend(3).results()["value"].tolist() == [11] * 3
    write(library, "late.py", "value = 20\n")
    with pytest.raises(
        SimulationError, match=rf"run {made.id} uses outside its snapshot has changed since: late\n.*changed_code=True"
    ):
        made.extend(4)
    write(library, "helper.py", "value = 2\n")
    done = simferry("extend", made.folder, "-n", 4, cwd=tmp_path)
    assert done.returncode == 2 and "has changed since: helper, late" in done.stderr and made.replications == 3
    with pytest.raises(SimulationError, match="helper, late"):
        made.resume()
    done = simferry("extend", made.folder, "-n", 4, "--changed-code", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert made.results()["value"].tolist() == [11, 11, 11, 22]
    assert made.extend(5).results()["value"].tolist() == [
        11,
        11,
        11,
        22,
        22,
    ]  # it was agreed to, and has not changed since
    # what was computed with other code than the run began with is nobody else's
    write(library, "helper.py", "value = 1\n")
    write(library, "late.py", "value = 10\n")
    _, (value, taken) = run(script)
    assert (value, taken) == (11, 2)


def test_what_changes_after_it_was_looked_at(tmp_path, library):
    helper = write(library, "helper.py", "value = 1\n")
    script = write(tmp_path / "project", "simulate.py", USES["import in the function"][0])
    edit = {"on_start": lambda run, taken, drawn: helper.write_text("value = 2\n")}
    with pytest.warns(UserWarning, match="helper changed while run .* was computed"):
        made = sf.run(script, replications=2, seed=1, workers=1, store=tmp_path / "project" / "runs", **edit)
    assert made.results()["value"].tolist() == [2, 2]
    helper.write_text("value = 1\n")
    assert run(script)[1] == (1, 0)


def test_a_run_of_an_earlier_version_goes_on(tmp_path, library):
    import json

    write(library, "helper.py", "value = 1\n")
    made, _ = run(write(tmp_path / "project", "simulate.py", USES["import at the top"][0]))
    record = {key: value for key, value in made.record.items() if key != "own_code"}
    (made.folder / "run.json").write_text(json.dumps(record))
    write(library, "helper.py", "value = 2\n")
    assert sf.open(made.folder).extend(3).results()["value"].tolist() == [1, 1, 2]


# ---- R ----


@pytest.fixture
def r():
    require("r", shutil.which("Rscript") is not None, "Rscript is not on the PATH")


R_USES = {
    "sourced at the top": ("m <- matrix(, 2, 2)\nsource(, file = '{file}')\nsimulate <- function() value", True),
    "sourced in the function": ("simulate <- function() {{ source('{file}', local = TRUE); value }}", True),
    "from a name that is computed": ("simulate <- function() {{ sys.source(paste0('{file}'), environment()); value }}", True),
    "from the environment": ("simulate <- function() {{ source(Sys.getenv('OWN_FILE'), local = TRUE); value }}", False),
}  # fmt: skip


@pytest.mark.parametrize("use", R_USES)
def test_an_edited_r_file_is_other_code(tmp_path, r, monkeypatch, use):
    text, known = R_USES[use]
    file = tmp_path / "elsewhere" / "file.R"
    monkeypatch.setenv("OWN_FILE", str(file))
    script = write(tmp_path / "project", "simulate.R", text.format(file=file))
    write(file.parent, "file.R", "value <- 1\n")
    made, first = run(script)
    assert (first, names(made)) == ((1, 0), [str(file)] if known and "computed" not in use else [])
    assert run(script)[1] == (1, 2)
    write(file.parent, "file.R", "value <- 2\n")
    with pytest.raises(SimulationError, match=f"has changed since: {file}"):
        made.extend(3)
    assert run(script)[1] == (2, 0)


def test_a_whole_r_script_that_sources_another(tmp_path, r):
    file = write(tmp_path / "elsewhere", "file.R", f"source('{tmp_path}/elsewhere/below.R')\n")
    below = write(tmp_path / "elsewhere", "below.R", "value <- 1\n")
    text = f"run <- function() {{ source('{file}'); cat(value, file = 'out.txt') }}\nrun()\n"
    script = write(tmp_path / "project", "script.R", text)
    how = {"args": "", "results_file": "out.txt"}
    made, first = run(script, **how)
    assert (first, names(made)) == ((1, 0), [str(file), str(below)])
    write(below.parent, "below.R", "value <- 2\n")
    with pytest.raises(SimulationError, match=f"has changed since: {below}"):
        made.resume()
    assert run(script, **how)[1] == (2, 0)


def test_an_r_program_whose_text_does_not_name_what_it_loads(tmp_path, r, monkeypatch):
    library = tmp_path / "library"
    library.mkdir()
    monkeypatch.setenv("R_LIBS", str(library))
    install(tmp_path / "ownkit", library, 1)
    file = write(tmp_path / "elsewhere", "file.R", "more <- 0\n")
    text = f"""
        source(file.path({str(file.parent)!r}, "file.R"))
        for (package in paste0("own", "kit")) library(package, character.only = TRUE)
        cat(value() + more, file = "out.txt")
    """
    script = write(tmp_path / "project", "script.R", text)
    how = {"args": "", "results_file": "out.txt"}
    made, first = run(script, **how)
    assert (first, run(script, **how)[1]) == ((1, 0), (1, 2))
    write(file.parent, "file.R", "more <- 1\n")
    with pytest.raises(SimulationError, match=f"has changed since: {file}"):
        made.resume()
    assert run(script, **how)[1] == (2, 0)
    install(tmp_path / "ownkit", library, 2)
    assert run(script, **how)[1] == (3, 0)


@pytest.mark.parametrize("kind", ["function", "script", "python"])
def test_what_is_written_for_the_moment_is_no_code_of_the_users(tmp_path, r, kind):
    text = "file <- tempfile(); cat('value <- 1', file = file); source(file, local = TRUE); unlink(file)"
    name, text, how = {
        "function": ("s.R", f"simulate <- function() {{ {text}; value }}", {}),
        "script": ("s.R", f"{text}; cat(value, file = 'out.txt')", {"args": "", "results_file": "out.txt"}),
        "python": ("s.py", """
import pathlib, sys, tempfile
def simulate():
    with tempfile.TemporaryDirectory() as folder:
        sys.path.insert(0, folder)
        pathlib.Path(folder, "made_up.py").write_text("value = 1")
        import made_up
        return made_up.value
""", {}),
    }[kind]  # fmt: skip
    made, _ = run(write(tmp_path, name, text), **how)
    assert made.extend(3).results()["value"].tolist() == [1, 1, 1]
    assert run(tmp_path / name, **how)[1] == (1, 2)


def install(folder, library, value):
    write(folder, "DESCRIPTION", "Package: ownkit\nVersion: 1.0\nTitle: Kit\nDescription: Kit.\nLicense: none\n")
    write(folder, "NAMESPACE", "export(value)\n")
    write(folder, "R/value.R", f"value <- function() {value}\n")
    command = ["R", "CMD", "INSTALL", "--no-docs", f"--library={library}", str(folder)]
    subprocess.run(command, check=True, capture_output=True)


def test_a_package_that_was_built_here(tmp_path, r, monkeypatch):
    library = tmp_path / "library"
    library.mkdir()
    monkeypatch.setenv("R_LIBS", str(library))
    install(tmp_path / "ownkit", library, 1)
    script = write(tmp_path / "project", "simulate.R", "library(boot)\nsimulate <- function() ownkit::value()")
    made, first = run(script)
    assert (first, names(made)) == ((1, 0), ["ownkit"])
    [recorded] = [own_code.Own(**one) for one in made.record["own_code"]]
    assert own_code.package_hash(library / "ownkit") == recorded.hash  # Python and R agree
    install(tmp_path / "ownkit", library, 1)
    assert run(script)[1] == (1, 2)
    install(tmp_path / "ownkit", library, 2)
    with pytest.raises(SimulationError, match="has changed since: ownkit"):
        made.extend(3)
    assert run(script)[1] == (2, 0)


# ---- what is shown ----


def test_plan_shows_what_the_hash_covers(tmp_path, library):
    for folder in ("kit", "kit/inner"):
        write(library / folder, "__init__.py", "")
    write(library, "helper.py", "value = 1\n")
    text = "import helper, kit.inner\ndef simulate(): return helper.value"
    script = write(tmp_path, "simulate.py", text)
    write(tmp_path, "table.csv", "1\n")
    options = ("-n", 2, "--include", "table.csv", "--no-pilot")
    done = simferry("plan", script, *options, cwd=tmp_path)
    shown = f"helper ({library / 'helper.py'}), kit (2 modules in {library / 'kit'})"
    assert f"code: simulate.py, table.csv, {shown}\n" in done.stdout, done.stderr
    plan = sf.plan(script, replications=2, include=["table.csv"], pilot=False, store=tmp_path / "runs")
    assert [one["name"] for one in plan.code] == ["simulate.py", "table.csv", "helper", "kit", "kit.inner"]


# ---- what is the user's ----


def test_a_block_tells_of_what_its_run_did_not_know(tmp_path, library):
    write(library, "helper.py", "value = 1\n")
    made, _ = run(write(tmp_path / "project", "simulate.py", USES["by a name that is computed"][0]))
    told = [own_code.news_of(block) for _, block in read_blocks(made._folder)]
    assert [[one.name for one in news] for news in told] == [["helper"]]
    assert told[0][0].hash == own.hash_of(library / "helper.py") and told[0][0].path == str(library / "helper.py")
