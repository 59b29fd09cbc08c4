"""A function object as it was sent: its pickle, and what is known of the functions and classes beside it."""

import contextlib
import functools
import inspect
import io
import os
import pickle
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import streams


def load_objects(file: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function object and the constants. What came along is remembered, for processes that it starts."""
    function, constants = unpickled(Path(file).read_bytes())  # written by the user who started the run
    streams.objects = os.path.abspath(file)
    for thing in (function, type(function), *_globals_of(function).values()):
        if issubclass(type(thing), (types.FunctionType, type)):
            streams.came_along[thing.__module__, thing.__qualname__] = thing
    return function, constants


def _globals_of(function: Any) -> dict[str, Any]:
    while isinstance(function, functools.partial):
        function = function.func
    if isinstance(function, types.MethodType):
        function = function.__func__
    if not isinstance(function, types.FunctionType):
        function = type(function).__call__
    return getattr(inspect.unwrap(function), "__globals__", {})


_SORTED = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset)

# the one written in Python: the one in C does not let us change how sets are filled
_Unpickler: Any = pickle._Unpickler


class _SetsInOrder(_Unpickler):  # type: ignore[misc]  # typeshed has only the class in C
    """Fills sets in sorted order. Their order follows from the order of filling, and that of a pickle differs between processes."""

    def in_order(self, items: list[Any]) -> list[Any]:
        with contextlib.suppress(Exception):  # a repr that raises
            if all(type(item) in _SORTED for item in items):
                return sorted(items, key=lambda item: (type(item).__name__, repr(item)))
        return items

    def load_additems(self) -> None:  # some of a set's items
        items, whole = self.pop_mark(), self.stack[-1]
        items = self.in_order([*whole, *items])
        whole.clear()
        whole.update(items)

    def load_frozenset(self) -> None:
        items = self.pop_mark()
        self.append(frozenset(self.in_order(items)))

    dispatch = dict(_Unpickler.dispatch)  # noqa: RUF012
    dispatch[pickle.ADDITEMS[0]] = load_additems
    dispatch[pickle.FROZENSET[0]] = load_frozenset


def unpickled(data: bytes) -> Any:
    if pickle.ADDITEMS in data or pickle.FROZENSET in data:  # otherwise the faster unpickler does
        return _SetsInOrder(io.BytesIO(data)).load()
    return pickle.loads(data)
