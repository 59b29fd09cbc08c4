"""Finds the user's own code outside of the snapshot: modules that a simulation imports and that have no version.

Modules of Python, of site- and dist-packages and of simferry are not the user's own. Editable installs are.
"""

import ast
import contextlib
import hashlib
import importlib.util
import os
import re
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .job import Job

_INSTALLED = tuple(f"{os.sep}{folder}{os.sep}" for folder in ("site-packages", "dist-packages"))
_PYTHON = tuple({os.path.join(sysconfig.get_path(which), "") for which in ("stdlib", "platstdlib")})
_NOT_THEIRS = {"simferry", "simferry_worker", "__main__", "__mp_main__"}
# names of files that are code, by how they end; as in own.R
CODE = {
    ".r", ".py", ".pyx", ".c", ".cpp", ".cc", ".h", ".hpp", ".f", ".f90", ".f95", ".stan", ".jl", ".sh", ".jags", ".bug", ".m",
}  # fmt: skip
_IMPORTERS = {"import_module", "__import__", "run_module"}


class Own(NamedTuple):
    """name: of a module or an R package, else the file's path. hash: MD5 of the content, because R has no other hash."""

    name: str
    path: str
    hash: str


def is_own(name: str, path: str, code: Path) -> bool:
    """Whether a module is the user's own. code: the folder of the snapshot, whose files do not count."""
    whole = path if os.path.isabs(path) else os.path.abspath(path)
    if re.match(
        f"{re.escape(tempfile.gettempdir())}/tmp[a-z0-9_]{{8}}/", whole
    ):  # a temporary file, written by code that counts itself
        return False
    if name.partition(".")[0] in _NOT_THEIRS or whole.startswith(_PYTHON) or any(part in whole for part in _INSTALLED):
        return False
    return not Path(os.path.realpath(whole)).is_relative_to(os.path.realpath(code))


def hash_of(path: str | Path) -> str:
    """The hash of a file; for a module in a zip file, of the archive. Empty if there is no file."""
    file_path = Path(path)
    while not file_path.exists() and file_path != file_path.parent:
        file_path = file_path.parent
    with contextlib.suppress(OSError):
        if file_path.is_file():
            digest = hashlib.md5(usedforsecurity=False)
            with open(file_path, "rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
            return digest.hexdigest()
    return ""


def locate(name: str, folders: Iterable[str] = ()) -> ModuleSpec | None:
    """The spec of a module, without importing it. folders: are searched in addition to sys.path."""
    with contextlib.suppress(Exception):  # other packages' finders, and modules made by hand, may raise
        parent, _, _ = name.rpartition(".")
        if parent:
            above = locate(parent, folders)
            inside = above.submodule_search_locations if above else None
            return PathFinder.find_spec(name, list(inside)) if inside else None
        found = importlib.util.find_spec(name)
        return found or (PathFinder.find_spec(name, list(folders)) if folders else None)
    return None


def reachable(
    code: Path,
    scripts: Iterable[Path] = (),
    names: Iterable[str] = (),
    folders: Iterable[str] = (),
    package: str = "",
    inside: set[str] | None = None,
) -> dict[str, str]:
    """The user's own modules that may be imported, also in functions and by each other: name -> path.

    package: that the scripts belong to. inside: is given the paths of those in the snapshot.

    They are found in the text: import, import_module("name"), sys.path.append("folder"), and whole paths of files.
    """
    out: dict[str, str] = {}
    seen: set[str] = set()
    known: dict[str, None] = dict.fromkeys(folders)
    todo = list(names)

    def read(path: Path, package: str) -> None:
        if str(path) in seen or path.suffix != ".py":
            return
        seen.add(str(path))
        with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
            found, more, files = _mentioned(ast.parse(path.read_bytes()), package)
            known.update(dict.fromkeys(more))
            todo.extend(found)
            for file in files:
                if is_own("", file, code):
                    out[file] = file
                    read(Path(file), "")

    for script in scripts:
        read(script, package)
    while todo:
        name = todo.pop()
        if not name or name in seen:
            continue
        seen.add(name)
        todo.append(name.rpartition(".")[0])
        spec = locate(name, known)
        if spec is None or not spec.has_location or not spec.origin:
            continue
        own = is_own(name, spec.origin, code)
        if own:
            out[name] = spec.origin
        within = Path(spec.origin).is_relative_to(code)
        if within and inside is not None:
            inside.add(spec.origin)
        if own or within:
            read(Path(spec.origin), name if spec.submodule_search_locations is not None else name.rpartition(".")[0])
    return out


def _mentioned(tree: ast.AST, package: str) -> tuple[set[str], list[str], list[str]]:
    """Names of modules, folders added to sys.path, and absolute paths of Python files. package: the base of relative imports."""
    names: set[str] = set()
    folders, files = [], []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _resolved("." * node.level + (node.module or ""), package)
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if texts and called in _IMPORTERS:
                names.add(_resolved(texts[0], package))
            if texts and ast.unparse(node.func) in ("sys.path.append", "sys.path.insert"):
                folders.append(os.path.expanduser(texts[0]))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(".py"):
            path = os.path.expanduser(node.value)
            if os.path.isabs(path) and os.path.isfile(path):
                files.append(path)
    return {name for name in names if name}, folders, files


def _resolved(name: str, package: str) -> str:
    if not name.startswith("."):
        return name
    with contextlib.suppress(ImportError, ValueError):
        return importlib.util.resolve_name(name, package)
    return ""


def loaded(code: Path) -> dict[str, str]:
    """Own modules that this process has imported: name -> path."""
    out = {}
    for name, module in list(sys.modules.items()):
        with contextlib.suppress(Exception):  # sys.modules may hold any object; vars() would load a lazy module
            path = object.__getattribute__(module, "__dict__").get("__file__")
            if isinstance(path, str) and is_own(name, path, code):
                out[name] = path
    return out


def mentioned_files(script: Path, modules: Iterable[str], project: Path) -> set[str]:
    """Files of code in a project that strings in the script and in modules name, as "stan/model.stan" or ROOT / "R" / "fit.R"."""
    found: set[str] = set()
    for file in [str(script), *modules]:
        with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
            for text in _texts(ast.parse(Path(file).read_bytes())):
                if os.path.splitext(text)[1].lower() in CODE and len(text) < 500:
                    bases = (script.parent, Path(file).parent, project)
                    found |= {os.path.realpath(base / text) for base in bases if (base / text).is_file()}
    return found


def _texts(tree: ast.AST) -> Iterable[str]:
    """Strings, and those that are joined to a path."""
    for node in ast.walk(tree):
        parts: list[ast.AST] = [node]
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            while isinstance(parts[0], ast.BinOp):
                parts[:1] = [parts[0].left, parts[0].right]
        elif isinstance(node, ast.Call):
            parts = [*node.args]
        yield "/".join(one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str))


def loaded_inside() -> list[str]:
    """The paths of all modules that this process has imported."""
    found = []
    for module in list(sys.modules.values()):
        with contextlib.suppress(Exception):
            path = object.__getattribute__(module, "__dict__").get("__file__")
            found += [path] if isinstance(path, str) else []
    return found


def in_snapshot(job: "Job", paths: Iterable[str]) -> list[Own]:
    """Those of the files that came along with a project, under their names relative to the script's folder, without a path.

    paths: in the snapshot, or in the working directory of a process.
    """
    code, scratch = os.path.realpath(job.code), os.path.realpath(job.scratch)
    found = {}
    for path in paths:
        whole = os.path.realpath(path)
        name = whole.removeprefix(f"{code}/")
        if whole.startswith(f"{scratch}/"):
            name = whole.removeprefix(f"{scratch}/").partition("/")[2]
        elif job.output and whole.startswith(f"{os.path.realpath(job.output)}/"):
            name = whole.removeprefix(f"{os.path.realpath(job.output)}/")
        if name.startswith(f"{job.loaded_from}/") and os.path.isfile(os.path.join(code, name)):
            found[name] = hash_of(os.path.join(code, name))
    return [Own(os.path.relpath(name, job.beside), "", hash_) for name, hash_ in sorted(found.items())]


def with_hashes(found: dict[str, str]) -> list[Own]:
    return [Own(name, path, hash_of(path)) for name, path in sorted(found.items())]


class News:
    """Own modules that this process has loaded, and that the run's record does not have with this content; as text.

    The job file has what the record has, a line for each module: hash, name.
    """

    def __init__(self, job: "Job") -> None:
        self.job, self.code, self.known = job, job.root, set(job.own_code.splitlines())
        self.hashed: dict[str, Own] = {}
        self.modules = 0
        self.text = ""

    def look(self, given: dict[str, str] | None = None) -> str:
        """given: the modules that a program has loaded, name -> path; None for those of this process."""
        count = len(sys.modules if given is None else given)
        if count != self.modules:
            self.modules = count
            for name, path in (loaded(self.code) if given is None else given).items():
                if name not in self.hashed and is_own(
                    name, path, self.code
                ):  # hashed as soon as it is found, before it can change
                    self.hashed[name] = Own(name, path, hash_of(path))
            if self.job.loaded_from:
                paths = loaded_inside() if given is None else given.values()
                self.hashed |= {f"./{one.name}": one for one in in_snapshot(self.job, paths)}
            new = [one for one in self.hashed.values() if f"{one.hash} {one.name}" not in self.known]
            self.text = "\n".join("\t".join((one.hash, one.name, one.path)) for one in sorted(new))
        return self.text
