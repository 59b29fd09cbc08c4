"""A hash of a Python function: of its compiled code and everything that it refers to, without file names and line numbers.

A hash of its pickle would not do: a pickle changes with line numbers and between processes, and holds classes and functions
by name only. Two functions with the same fingerprint compute the same.
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

    modules: a set; the names of the user's modules that it refers to, and of all modules that it imports, are added.
    """
    digest = _Digest(modules)
    digest.value(function)
    return digest.sha.hexdigest()


class _Digest:
    """A hash of objects and everything that they refer to, each object once."""

    def __init__(self, modules: set[str] | None) -> None:
        self.sha = hashlib.sha256()
        self.modules = modules
        self.seen: dict[int, tuple[int, Any]] = {}  # by id; keeping the object keeps its id unique

    def add(self, *texts: str | bytes) -> None:
        for text in texts:
            data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
            self.sha.update(len(data).to_bytes(8, "big") + data)

    def value(self, x: Any) -> None:
        if isinstance(x, _ATOMS):
            self.add(type(x).__qualname__, repr(x))
            return
        if id(x) in self.seen:
            self.add("again", str(self.seen[id(x)][0]))
            return
        self.seen[id(x)] = (len(self.seen), x)
        home = x if isinstance(x, types.ModuleType) else _module_of(x)
        if self.modules is not None and home is not None and _is_own(home):
            self.modules.add(home.__name__)
        if isinstance(x, types.CodeType):
            self.code(x)
        elif isinstance(x, types.ModuleType):
            self.module(x)
        elif _installed(x):
            self.installed(x)
        elif isinstance(x, types.FunctionType):
            self.function(x)
        elif isinstance(x, (types.MethodType, classmethod, staticmethod, property)):
            self.method(x)
        elif inspect.isclass(x):
            self.class_(x)
        elif type(x) in (list, tuple, dict, set, frozenset):
            self.items(x)
        elif hasattr(x, "__wrapped__"):  # a function in functools.cache or numba.jit
            self.add("wrapped", type(x).__qualname__)
            self.value(x.__wrapped__)
        else:
            self.reduced(x)

    def code(self, c: types.CodeType) -> None:
        if self.modules is not None:
            self.modules.update(_imports(c))
        self.add("code", c.co_code, getattr(c, "co_exceptiontable", b""), str(c.co_flags))
        self.add(*map(str, (c.co_argcount, c.co_posonlyargcount, c.co_kwonlyargcount)))
        for names in (c.co_names, c.co_varnames, c.co_freevars, c.co_cellvars):
            self.add(str(len(names)), *names)
        for constant in c.co_consts:
            self.value(constant)

    def installed(self, x: Any) -> None:
        top = sys.modules.get(x.__module__.partition(".")[0]) if x.__module__ else None
        self.add("installed", str(x.__module__), x.__qualname__, str(getattr(top, "__version__", "")))
        owner = getattr(x, "__self__", None)  # rng.normal belongs to a generator
        if owner is not None and not isinstance(owner, types.ModuleType):
            self.value(owner)

    def function(self, x: types.FunctionType) -> None:
        self.code(x.__code__)
        for part in (x.__defaults__, x.__kwdefaults__, {k: v for k, v in vars(x).items() if k != "__wrapped__"}):
            self.value(part)
        for cell in x.__closure__ or ():
            self.add("cell")
            try:
                self.value(cell.cell_contents)
            except ValueError:  # not filled yet
                self.add("empty")
        for name in sorted(_names(x.__code__)):
            if name in x.__globals__:
                self.add("global", name)
                self.value(x.__globals__[name])

    def method(self, x: Any) -> None:
        if isinstance(x, types.MethodType):
            self.value(x.__func__)
            self.value(x.__self__)
        elif isinstance(x, property):
            self.add("property")
            self.value((x.fget, x.fset, x.fdel))
        else:
            self.add(type(x).__qualname__)
            self.value(x.__func__)

    def class_(self, x: Any) -> None:
        self.add("class", x.__qualname__)
        self.value(x.__bases__)
        for name, member in sorted(vars(x).items()):
            if name not in _NO_CODE:
                self.add(name)
                self.value(member)

    def items(self, x: Any) -> None:
        self.add(type(x).__qualname__, str(len(x)))
        if type(x) is dict:
            for key, item in x.items():
                self.value(key)
                self.value(item)
            return
        for item in x if type(x) in (list, tuple) else sorted(x, key=repr):
            self.value(item)

    def reduced(self, x: Any) -> None:
        """Any other object: the parts from which copying would rebuild it."""
        self.add(type(x).__module__, type(x).__qualname__)
        try:
            parts = x.__reduce_ex__(4)
        except Exception:  # it can't be copied
            self.value(type(x))
            self.value(getattr(x, "__dict__", None))
            return
        if isinstance(parts, str):
            self.add(parts)
            return
        for part in parts:
            self.value(list(part) if hasattr(part, "__next__") else part)

    def module(self, x: types.ModuleType) -> None:
        self.add("module", x.__name__, str(getattr(x, "__version__", "")))
        if not _is_own(x):
            return
        self.add(Path(x.__file__ or "").read_bytes())
        for _, member in sorted(vars(x).items()):  # the user's other modules that it uses
            home = member if isinstance(member, types.ModuleType) else _module_of(member)
            if home is not None and _is_own(home):
                self.value(home)


def _imports(code: types.CodeType) -> set[str]:
    """Names that code may import: those in import statements, and all its strings if it calls import_module()."""
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
    """Whether a module is the user's file, and not part of Python or of an installed package, which its version identifies."""
    path = getattr(module, "__file__", None)
    return isinstance(path, str) and path.endswith(".py") and is_own(module.__name__, path, Path("/nowhere"))


def _installed(x: Any) -> bool:
    """Whether an object is a function or class of Python or of an installed package."""
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
