"""Simulations that are functions."""

import contextlib
import importlib.util
import inspect
import io
import pickle
import random
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import below, hooks, streams
from .first_use import RandomAtFirstUse, numpy_at_first_use
from .job import Job


def load_function(job: Job) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function, of the script in ROOT/input/code or sent as an object, and the constants that it is given every time."""
    if job.objects:
        sent: tuple[Callable[..., Any], dict[str, Any]] = unpickled(
            (job.code / job.objects).read_bytes()  # written by the user who started the run
        )
        return sent
    return getattr(load_script(job), job.function), {}


_SORTED = (str, bytes, int, float, complex, bool, type(None), tuple, frozenset)


# Python's own: the one in C takes no other way to fill a set
_Unpickler: Any = pickle._Unpickler


class _SetsInOrder(_Unpickler):  # type: ignore[misc]  # typeshed has only the class in C
    """A set's order follows from that in which it was filled: a pickle has the sending process's, which is another each time."""

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
    if pickle.ADDITEMS in data or pickle.FROZENSET in data:  # else the fast way
        return _SetsInOrder(io.BytesIO(data)).load()
    return pickle.loads(data)


def load_script(job: Job) -> types.ModuleType:
    """The script as a module, from the working directory: what it does relative to its own place stays there too."""
    spec = importlib.util.spec_from_file_location(Path(job.script).stem, Path(job.script).resolve())
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module


def takes_rng(function: Callable[..., Any]) -> bool:
    with contextlib.suppress(TypeError, ValueError):
        return "rng" in inspect.signature(function).parameters
    return False


def arguments_of(function: Callable[..., Any]) -> list[tuple[str, bool]]:
    """Names of a function's arguments and whether each may be left out; `**` is called `...`, as R has it."""
    out = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            out.append(("...", True))
        elif p.kind is not p.VAR_POSITIONAL:
            out.append((p.name, p.default is not p.empty))
    return out


class FunctionRunner:
    """Calls the function, each replication on its own stream."""

    def __init__(self, job: Job) -> None:
        self.job = job
        # what the script draws when it is loaded is the same in every process
        loading = streams.derive(b"load", job.seed)
        streams.loading = loading
        hooks.start(loading)
        hooks.hand_down(loading)
        below.count_processes(
            tempfile.mkdtemp(prefix="processes-", dir=job.scratch), str(job.code.resolve() / "profile.R")
        )
        self.random = RandomAtFirstUse()  # before the script takes functions of that module for its own
        self.function, self.constants = load_function(job)
        self.rng = takes_rng(self.function)
        self.stream = streams.Replications()
        if self.rng:
            self.numpy = numpy_at_first_use()
            sequence = streams.sequence_type()(0)
            sequence.of_replication = True
            self.bits = np.random.Philox(sequence)
            self.generator = np.random.Generator(self.bits)
            self.state = self.bits.state
        else:
            self.random.remove()
        self.row = -1

    def __call__(self, row: int, replication: int) -> Any:
        if row != self.row:
            self.row, self.parameters = row, {**self.constants, **self.job.values(row)}
            self.key = self.job.keys[row].tobytes()
            if self.rng:
                self.parameters["rng"] = self.generator
                self.state["state"]["key"] = self.job.keys[row]
        streams.wide = self.stream
        self.stream.at(self.key, replication)
        if self.rng:
            state = self.state
            state["state"]["counter"][:] = (0, 0, 0, replication)
            state["buffer_pos"], state["has_uint32"], state["uinteger"] = 4, 0, 0
            self.bits.state = state
            self.random.renew()
            self.numpy.unseeded = True
        else:
            words = [*self.job.keys[row].view("<u4").tolist(), replication]
            np.random.mtrand._rand.seed(words)
            # another number: both are Mersenne twisters, and would give the same numbers
            random._inst.seed(int.from_bytes(b"random" + np.array(words, dtype="<u4").tobytes(), "little"))
        if streams.made:
            streams.renew_made()
        if streams.libraries:
            streams.seed_libraries(self.stream)
        return self.function(**self.parameters)

    def text(self) -> None:
        return None
