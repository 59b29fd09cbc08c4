"""The Python package that a script is a module of."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .own_code import imported_from

_PROJECT = ("pyproject.toml", "setup.py", "setup.cfg")


class Package(NamedTuple):
    """folder: of the package. module: the script's name as a module of it."""

    folder: Path
    module: str


ENTRY = "__main__.py"  # of a package that is run by its name


def package_of(script: Path) -> Package | None:
    """The package that a script imports from, relatively or by a name that Python would not find otherwise; None if it does neither.

    A package's __main__.py is a module of it, whatever it imports.
    A folder is a package if it has an __init__.py, if the script imports a module in it by its name, or if relative imports reach
    up to it.
    """
    whole = made(script.parent, script) if script.name == ENTRY else None
    tree = _parsed(script)
    if tree is None:
        return whole
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    named = dict(_imported(tree))
    tops = [folder for folder in _around(script) if _is_imported(folder, named, script)]
    if levels:
        reached = [script.parent, *script.parent.parents][max(levels) - 1]
        tops += [one for one in (_regular(script), _below_mark(script), reached) if one and one.name.isidentifier()]
    if not tops:
        return whole
    return made(min(tops, key=lambda folder: len(folder.parts)), script)  # the outermost


def holding(script: Path, names: set[str]) -> Package | None:
    """The package of one of these names that a script is in."""
    found = next((folder for folder in _around(script) if folder.name in names), None)
    return made(found, script) if found else None


def made(top: Path, script: Path) -> Package | None:
    inside = script.relative_to(top.parent).with_suffix("").parts
    parts = inside[:-1] if inside[-1] == "__init__" else inside
    return Package(top, ".".join(parts)) if all(part.isidentifier() for part in parts) else None


def _parsed(script: Path) -> ast.Module | None:
    try:
        text = script.read_bytes()
        return ast.parse(text) if re.search(rb"\bimport\b", text) else None
    except (OSError, SyntaxError, ValueError, RecursionError):  # reported by the check
        return None


def _around(script: Path) -> Iterator[Path]:
    for folder in script.parents:
        if not folder.name.isidentifier():
            return
        yield folder


def _imported(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Names of the top-level packages that are imported, each with modules of it that are."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, _, rest = name.partition(".")
            found.setdefault(top, []).append(rest)
    return iter(found.items())


def _is_imported(folder: Path, named: dict[str, list[str]], script: Path) -> bool:
    """Whether a script imports from a folder around it, and a worker would not find that otherwise."""
    name = folder.name
    if name not in named or name in sys.stdlib_module_names:
        return False
    if (script.parent / f"{name}.py").exists() or (script.parent / name).is_dir():  # beside the script
        return False
    modules = [folder.joinpath(*rest.split(".")[:1]) for rest in named[name] if rest]
    there = (folder / "__init__.py").is_file() or any(m.with_suffix(".py").is_file() or m.is_dir() for m in modules)
    return there and not imported_from(name)


def _regular(script: Path) -> Path | None:
    """The outermost of the folders around a script that all have an __init__.py."""
    top = None
    for folder in script.parents:
        if not (folder / "__init__.py").is_file():
            break
        top = folder
    return top


def _below_mark(script: Path) -> Path | None:
    """The outermost folder around a script within a project, or within its folder src."""
    inner = None
    for folder in script.parents:
        if folder.name == "src" or any((folder / mark).is_file() for mark in _PROJECT):
            return inner
        inner = folder
    return None
