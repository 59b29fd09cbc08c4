"""What a Python function is, as a hash: its compiled code and all that it refers to, without file names and line numbers.

A pickle won't do: it changes with the line and the process, and it names classes and functions without their code. Two
functions with one fingerprint compute the same.
"""

import dis
import hashlib
import inspect
import sys
import types
from pathlib import Path
from typing import Any

from ..worker.own import is_own

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
_NO_CODE = {
    "__dict__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__qualname__",
    "__firstlineno__",
    "__static_attributes__",
}


def fingerprint(function: Any, modules: set[str] | None = None) -> str:
    """SHA-256 over a function (or any callable), its defaults, closure, and the globals that it uses.

    modules: to which the names of modules are added that it refers to (the user's own) or imports (any).
    """
    digest = hashlib.sha256()
    seen: dict[int, tuple[int, Any]] = {}  # by id, which stays an object's own as long as it is kept here

    def add(*texts: str | bytes) -> None:
        for text in texts:
            data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            digest.update(len(data).to_bytes(8, "big") + data)

    def uses(home: types.ModuleType | None) -> None:
        if modules is not None and home is not None and _is_own(home):
            modules.add(home.__name__)

    def code(c: types.CodeType) -> None:
        if modules is not None:
            modules.update(_imports(c))
        add("code", c.co_code, getattr(c, "co_exceptiontable", b""), str(c.co_flags))
        add(*map(str, (c.co_argcount, c.co_posonlyargcount, c.co_kwonlyargcount)))
        for names in (c.co_names, c.co_varnames, c.co_freevars, c.co_cellvars):
            add(str(len(names)), *names)
        for constant in c.co_consts:
            value(constant)

    def value(x: Any) -> None:
        if isinstance(x, _ATOMS):
            add(type(x).__qualname__, repr(x))
            return
        if id(x) in seen:
            add("again", str(seen[id(x)][0]))
            return
        seen[id(x)] = (len(seen), x)
        uses(x if isinstance(x, types.ModuleType) else _module_of(x))
        if isinstance(x, types.CodeType):
            code(x)
        elif isinstance(x, types.ModuleType):
            module(x)
        elif _installed(x):
            top = sys.modules.get(x.__module__.partition(".")[0]) if x.__module__ else None
            add("installed", str(x.__module__), x.__qualname__, str(getattr(top, "__version__", "")))
            owner = getattr(x, "__self__", None)  # rng.normal is its generator's
            if owner is not None and not isinstance(owner, types.ModuleType):
                value(owner)
        elif isinstance(x, types.FunctionType):
            code(x.__code__)
            for part in (x.__defaults__, x.__kwdefaults__, {k: v for k, v in vars(x).items() if k != "__wrapped__"}):
                value(part)
            for cell in x.__closure__ or ():
                add("cell")
                try:
                    value(cell.cell_contents)
                except ValueError:  # not filled yet
                    add("empty")
            for name in sorted(_names(x.__code__)):
                if name in x.__globals__:
                    add("global", name)
                    value(x.__globals__[name])
        elif isinstance(x, types.MethodType):
            value(x.__func__)
            value(x.__self__)
        elif isinstance(x, (classmethod, staticmethod)):
            add(type(x).__qualname__)
            value(x.__func__)
        elif isinstance(x, property):
            add("property")
            value((x.fget, x.fset, x.fdel))
        elif inspect.isclass(x):
            add("class", x.__qualname__)
            value(x.__bases__)
            for name, member in sorted(vars(x).items()):
                if name not in _NO_CODE:
                    add(name)
                    value(member)
        elif type(x) in (list, tuple):
            add(type(x).__qualname__, str(len(x)))
            for item in x:
                value(item)
        elif type(x) is dict:
            add("dict", str(len(x)))
            for key, item in x.items():
                value(key)
                value(item)
        elif type(x) in (set, frozenset):
            add(type(x).__qualname__, str(len(x)))
            for item in sorted(x, key=repr):
                value(item)
        elif hasattr(x, "__wrapped__"):  # what functools.cache and numba's compilers make of a function
            add("wrapped", type(x).__qualname__)
            value(x.__wrapped__)
        else:
            reduced(x)

    def reduced(x: Any) -> None:
        """Any other object: what it would be made anew from."""
        add(type(x).__module__, type(x).__qualname__)
        try:
            parts = x.__reduce_ex__(4)
        except Exception:  # it can't be copied
            value(type(x))
            value(getattr(x, "__dict__", None))
            return
        if isinstance(parts, str):
            add(parts)
            return
        for part in parts:
            value(list(part) if hasattr(part, "__next__") else part)

    def module(x: types.ModuleType) -> None:
        add("module", x.__name__, str(getattr(x, "__version__", "")))
        if not _is_own(x):
            return
        add(Path(x.__file__ or "").read_bytes())
        for _, member in sorted(vars(x).items()):  # the user's other modules that it uses
            home = member if isinstance(member, types.ModuleType) else _module_of(member)
            if home is not None and _is_own(home):
                value(home)

    value(function)
    return digest.hexdigest()


def _imports(code: types.CodeType) -> set[str]:
    """Names that code may import: what import says, and where it calls import_module(), its texts."""
    found = {i.argval for i in dis.get_instructions(code) if i.opname == "IMPORT_NAME"}
    listed = [names for names in code.co_consts if isinstance(names, tuple)]  # from package import these
    found |= {f"{name}.{part}" for name in found for names in listed for part in names if isinstance(part, str)}
    if {"import_module", "__import__"} & set(code.co_names):
        found |= {text for text in code.co_consts if isinstance(text, str) and text.replace(".", "").isidentifier()}
    return found


def _names(code: types.CodeType) -> set[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _module_of(x: Any) -> types.ModuleType | None:
    name = getattr(x, "__module__", None) if inspect.isclass(x) or inspect.isroutine(x) else None
    return sys.modules.get(name) if isinstance(name, str) else None


def _is_own(module: types.ModuleType) -> bool:
    """Whether a module is a file of the user's, and neither Python's nor an installed package's, whose version stands for it."""
    path = getattr(module, "__file__", None)
    return isinstance(path, str) and path.endswith(".py") and is_own(module.__name__, path, Path("/nowhere"))


def _installed(x: Any) -> bool:
    """Whether it is a function or a class that comes with Python or an installed package."""
    if (
        isinstance(x, types.MethodType)
        or not (inspect.isclass(x) or inspect.isroutine(x))
        or isinstance(x, (classmethod, staticmethod))
    ):
        return False
    if inspect.isbuiltin(x):
        return True
    home = _module_of(x)
    return home is not None and home.__name__ != "__main__" and not _is_own(home)
