"""Simulations that are functions."""

import contextlib
import importlib.util
import inspect
import pickle
import random
import sys
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from . import below, streams
from .first_use import RandomAtFirstUse, numpy_at_first_use
from .job import Job


def load_function(job: Job) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The function, of the script in ROOT/input/code or sent as an object, and the constants that it is given every time."""
    if job.objects:
        with open(job.code / job.objects, "rb") as file:
            return pickle.load(file)  # written by the user who started the run
    return getattr(load_script(job), job.function), {}


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
        streams.start(loading)
        streams.hand_down(loading)
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
            np.random.seed(words)
            # another number: both are Mersenne twisters, and would give the same numbers
            random.seed(int.from_bytes(b"random" + np.array(words, dtype="<u4").tobytes(), "little"))
        if streams.made:
            streams.renew_made()
        return self.function(**self.parameters)

    def text(self) -> None:
        return None
