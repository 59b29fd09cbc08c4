"""What a Python function is, as a hash: its compiled code and all that it refers to, without file names and line numbers.

A pickle won't do: it changes with the line and the process. Two functions with one fingerprint compute the same.
"""

import hashlib
import inspect
import pickle
import sys
import types
from typing import Any


def fingerprint(function: Any) -> str:
    """SHA-256 over a function (or any callable), its defaults, closure, and the globals that it uses."""
    digest = hashlib.sha256()
    seen: set[int] = set()

    def add(*texts: str | bytes) -> None:
        for text in texts:
            data = text.encode() if isinstance(text, str) else text
            digest.update(len(data).to_bytes(8, "big") + data)

    def code(c: types.CodeType) -> None:
        add("code", c.co_code, *c.co_names, *c.co_varnames, *c.co_freevars, str(c.co_flags), str(c.co_argcount))
        for constant in c.co_consts:
            code(constant) if isinstance(constant, types.CodeType) else add(repr(constant))

    def value(x: Any) -> None:
        if id(x) in seen:
            return
        seen.add(id(x))
        if isinstance(x, types.ModuleType):
            add("module", x.__name__, str(getattr(x, "__version__", "")))
        elif inspect.isbuiltin(x) or _installed(x):
            top = sys.modules.get(x.__module__.partition(".")[0]) if x.__module__ else None
            add("installed", str(x.__module__), x.__qualname__, str(getattr(top, "__version__", "")))
        elif isinstance(x, types.FunctionType):
            code(x.__code__)
            for part in (x.__defaults__, x.__kwdefaults__):
                value(part)
            for cell in x.__closure__ or ():
                value(cell.cell_contents)
            for name in sorted(_names(x.__code__)):
                if name in x.__globals__:
                    add("global", name)
                    value(x.__globals__[name])
        elif isinstance(x, types.MethodType):
            value(x.__func__)
            value(x.__self__)
        elif inspect.isclass(x):
            add("class", x.__qualname__)
            for name, member in sorted(vars(x).items()):
                if isinstance(member, (types.FunctionType, classmethod, staticmethod)):
                    add(name)
                    value(getattr(member, "__func__", member))
        elif isinstance(x, (list, tuple, dict, set, frozenset)):
            add(type(x).__name__, str(len(x)))
            items = x.items() if isinstance(x, dict) else sorted(x, key=repr) if isinstance(x, (set, frozenset)) else x
            for item in items:
                value(item)
        else:
            try:
                add(type(x).__qualname__, pickle.dumps(x, protocol=4))
            except Exception:
                add(type(x).__qualname__)
                value(type(x))
                for name, member in sorted(getattr(x, "__dict__", {}).items()):
                    add(name)
                    value(member)

    value(function)
    return digest.hexdigest()


def _names(code: types.CodeType) -> set[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _installed(x: Any) -> bool:
    """Whether it comes with Python or an installed package, whose version stands for it."""
    if not (inspect.isclass(x) or inspect.isroutine(x)):
        return False
    module = sys.modules.get(getattr(x, "__module__", None) or "")
    if module is None or module.__name__ == "__main__":
        return False
    path = getattr(module, "__file__", None)
    return path is None or "site-packages" in path or module.__name__.partition(".")[0] in sys.stdlib_module_names
