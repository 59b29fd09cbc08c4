"""Simulations that are functions."""

import contextlib
import importlib
import importlib.util
import inspect
import random
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import adopted, below, hooks, streams
from .first_use import RandomAtFirstUse, numpy_at_first_use
from .job import Job
from .sent import load_objects


def load_function(job: Job) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function, from the script in ROOT/input/code or from a pickle, and the constants that it gets in each call."""
    if job.objects:
        return load_objects(str(job.code / job.objects))
    return getattr(load_script(job), job.function), {}


def load_script(job: Job) -> types.ModuleType:
    """The script as a module, loaded from the working directory, so that paths relative to the script are in it."""
    if job.module:
        return importlib.import_module(job.module)
    spec = importlib.util.spec_from_file_location(Path(job.script).stem, Path(Path(job.script).name).resolve())
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
    """The names of a function's arguments, and whether each has a default. `**` is called `...`, as in R."""
    out = []
    for p in inspect.signature(function).parameters.values():
        if p.kind is p.VAR_KEYWORD:
            out.append(("...", True))
        elif p.kind is not p.VAR_POSITIONAL:
            positional = " (by position only)" if p.kind is p.POSITIONAL_ONLY else ""  # it can't be given by name
            out.append((p.name + positional, p.default is not p.empty))
    return out


class FunctionRunner:
    """Calls the function. Each replication has its own stream."""

    def __init__(self, job: Job) -> None:
        self.job = job
        # the script draws the same numbers in every process while it is loaded
        loading = streams.derive(b"load", job.seed)
        streams.loading = loading
        hooks.start(loading)
        hooks.hand_down(loading)
        below.count_processes(
            tempfile.mkdtemp(prefix="processes-", dir=job.scratch), str(job.code.resolve() / "profile.R")
        )
        self.random = RandomAtFirstUse()  # before the script imports functions of that module
        before = adopted.generators()
        self.function, self.constants = load_function(job)
        loaded = adopted.generators()
        adopted.adopt(loaded, before)
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
        self.left = adopted.Left([*loaded, *([self.generator] if self.rng else [])])
        self.row = -1

    def __call__(self, row: int, replication: int) -> Any:
        if row != self.row:
            given = self.job.values(row)
            self.row, self.parameters = row, {**self.constants, **given}
            for name in given.keys() & self.constants.keys():  # the parameter is a name of one of these
                self.parameters[name] = None if given[name] is None else self.constants[name][given[name]]
            self.lists = {n: v for n, v in given.items() if isinstance(v, (list, np.ndarray))}
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
            # another seed: both are Mersenne twisters, and would draw the same numbers
            random._inst.seed(int.from_bytes(b"random" + np.array(words, dtype="<u4").tobytes(), "little"))
        if streams.made:
            streams.renew_made()
        if streams.libraries:
            streams.seed_libraries(self.stream)
        for name, value in self.lists.items():  # what a replication changes in them, others don't see
            self.parameters[name] = value.copy()
        try:
            return self.function(**self.parameters)
        finally:
            self.left.look()
