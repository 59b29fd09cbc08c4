"""Function objects as they are sent to the workers: pickled, with their own module's code."""

import functools
import io
import sys
import types
from collections import ChainMap
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from ..errors import SimulationError
from ..worker.own import is_own


def pickled(function: Callable[..., Any], constants: dict[str, Any]) -> bytes:
    """A function and its constants. Raises SimulationError where they can't be pickled."""
    import cloudpickle

    own = sys.modules.get(sent_along(function))
    if own:
        cloudpickle.register_pickle_by_value(own)

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
        dispatch_table: ClassVar[Any] = ChainMap({types.CodeType: _code}, cloudpickle.Pickler.dispatch_table)

    file = io.BytesIO()
    try:
        Pickler(file).dump((function, constants))
        return file.getvalue()
    except Exception as error:
        path, name = getattr(getattr(function, "__code__", None), "co_filename", ""), getattr(function, "__name__", "")
        of_script = path.endswith(".py") and name == getattr(function, "__qualname__", "") and name.isidentifier()
        call = f"simferry.run({path!r}, function={name!r})"
        instead = f" Or have each worker load the script and make its own: {call}" if of_script else ""
        raise SimulationError(
            f"function {getattr(function, '__name__', function)} can't be sent to the workers: {error}",
            "It refers to something that exists in this process only, such as an open file or a connection." + instead,
        ) from None
    finally:
        if own:
            cloudpickle.unregister_pickle_by_value(own)


def _code(code: types.CodeType) -> Any:
    """Pickle code with the name of its file, which tracebacks show and numba's cache needs; cloudpickle leaves it out since 3.1."""
    import cloudpickle

    make, args = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return make, tuple(code.co_filename if type(a) is str and a == "<dynamic-code>" else a for a in args)


def sent_along(function: Callable[..., Any]) -> str:
    """The name of the function's module if that is the user's own: its code is pickled too, as another machine may not have it.
    Else empty."""
    inner: Any = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__module__", None) or ""
    path = getattr(sys.modules.get(name), "__file__", None) or ""
    return name if path and is_own(name, path, Path("/nowhere")) else ""
