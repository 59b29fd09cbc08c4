"""The check before a run: whether the simulation can be loaded and called."""

import ast
import contextlib
import importlib.util
import shutil
import sys
from functools import partial
from pathlib import Path

from . import blocks, own
from .folders import held_open
from .functions import arguments_of, load_script
from .job import Job, facts_here
from .needs import Needs, imported
from .rows import table
from .state import set_variables
from .values import describe


def check(root: Path) -> None:
    job = Job(root)
    job.enter_code()
    set_variables(job.shared_variables)
    facts = {"problem": "", "detail": ""}
    arguments: list[tuple[str, bool]] = []
    functions: list[str] = []
    found: list[own.Own] = []
    try:
        if job.language == "octave":
            from .octave_check import examine

            more, arguments, functions = examine(job)
            facts |= more
        elif job.script and job.language == "python":
            arguments, functions, found = check_python(job, facts)
    except SyntaxError as error:
        facts.update(problem="syntax", detail=f"{Path(job.script).name}, line {error.lineno}: {error.msg}")
    except BaseException as error:
        name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
        if name and absent({name}):
            facts.update(problem="packages", detail=name)
        else:
            facts.update(problem="load", detail=describe(error)[0] + f" (in {describe(error)[1]})")
    if job.ranks and (lacking := [name for name in ("mpirun", "python3") if not shutil.which(name)]):
        facts["lacking"] = ", ".join(lacking)
    facts = facts_here() | facts  # an interpreter of another language has facts of its own
    flags = blocks.numbers("logical", [has_default for _, has_default in arguments])
    tables = [
        table("arguments", {"name": blocks.strings([name for name, _ in arguments]), "has_default": flags}),
        table("functions", {"name": blocks.strings(functions)}),
        table("own", {name: blocks.strings([getattr(one, name) for one in found]) for name in own.Own._fields}),
    ]
    (root / "check").write_bytes(blocks.encode(blocks.Block(facts, tables)))


def check_python(job: Job, facts: dict[str, str]) -> tuple[list[tuple[str, bool]], list[str], list[own.Own]]:
    """Check a script of Python. facts: gets what was found. Returns the function's arguments, the names of all functions, own code."""
    arguments: list[tuple[str, bool]] = []
    functions: list[str] = []
    source = (job.code / job.script).read_bytes()
    tree = ast.parse(source, Path(job.script).name)
    facts["mentioned"] = ", ".join(sorted(imported(ast.walk(tree))))
    beside = partial(tree_beside, job.code / job.beside)
    needs = Needs(tree, job.function if job.kind == "function" else "", beside)
    facts["possible"] = "\n".join(absent(needs.possible))
    is_function = job.kind == "function"
    while_loaded = Needs(tree, "the top level", beside) if is_function else needs
    if absent(while_loaded.needed):
        facts.update(problem="packages", detail="\n".join(absent(needs.needed)))
    elif is_function:
        module = load_script(job)
        facts["open"] = ", ".join(held_open(job.code))
        functions = [
            n for n, f in vars(module).items() if callable(f) and getattr(f, "__module__", "") == module.__name__
        ]
        if callable(getattr(module, job.function, None)):
            arguments = arguments_of(getattr(module, job.function))
        else:
            facts.update(problem="function", detail=job.function)
        # what replications import: now, since the script may have made it possible, or may do so then
        if not facts["problem"] and b"sys.path" not in source and (missing := absent(needs.needed)):
            facts.update(problem="packages", detail="\n".join(missing))
    # after it was loaded, which may have changed sys.path
    inside: set[str] = set()
    package = job.module.rpartition(".")[0]
    reachable = own.reachable(job.root, [job.code / job.script], package=package, inside=inside)
    found = own.with_hashes(reachable | own.loaded(job.root))
    if job.loaded_from:
        inside |= own.mentioned_files(job.code / job.script, inside, job.code / job.loaded_from)
        found += own.in_snapshot(job, [*inside, *own.loaded_inside()])
    return arguments, functions, found


def tree_beside(code: Path, name: str) -> ast.Module | None:
    """A module beside the script, parsed. None if there is none, or it can't be parsed."""
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        return ast.parse((code / f"{name}.py").read_bytes())
    return None


def absent(names: set[str]) -> list[str]:
    """Modules that are not installed."""
    return sorted(name for name in names if name not in sys.modules and importlib.util.find_spec(name) is None)
