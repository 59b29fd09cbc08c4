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
from .first_use import NumpyAtFirstUse, RandomAtFirstUse
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
    """Calls the function. Each replication has its own stream.

    A function with `rng` gets a generator, beside which np.random and random are seeded at their first use. So they are for other
    functions, until a replication uses them: from then on they are seeded before each one, and calls of them take no longer.
    """

    limit, ahead = 1, ()  # as of OctaveRunner: it computes none ahead

    def end(self) -> None:
        """Nothing is left to end."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.rng = False
        self.stream = streams.Replications()
        # the script draws the same numbers in every process while it is loaded
        loading = streams.derive(b"load", job.seed)
        streams.loading = loading
        hooks.start(loading)
        hooks.hand_down(loading)
        below.count_processes(
            tempfile.mkdtemp(prefix="processes-", dir=job.scratch), str(job.code.resolve() / "profile.R")
        )
        # before the script imports functions of these modules, or keeps what they refer to
        random_at_first_use, numpy_at_first_use = RandomAtFirstUse(self.seed_random), NumpyAtFirstUse(self.seed_numpy)
        before = adopted.generators()
        self.function, self.constants = load_function(job)
        loaded = adopted.generators()
        adopted.adopt(loaded, before)
        self.rng = takes_rng(self.function)
        self.words = np.zeros(5, dtype="<u4")  # of the condition's key, and the replication
        self.at_first_use: list[RandomAtFirstUse | NumpyAtFirstUse] = [random_at_first_use]
        self.at_once: list[Callable[[streams.Stream], None]] = []
        if numpy_at_first_use.is_alone():
            self.at_first_use.append(numpy_at_first_use)
        else:
            numpy_at_first_use.remove()
            if self.rng:  # what the script keeps is not np.random's any more
                self.at_first_use.append(NumpyAtFirstUse(self.seed_numpy))
            else:
                self.at_once.append(self.seed_numpy)
        if self.rng:
            sequence = streams.sequence_type()(0)
            sequence.of_replication = True
            self.bits = np.random.Philox(sequence)
            self.generator = np.random.Generator(self.bits)
            # lists: numpy takes four times as long to set the same from arrays
            self.counter = [0, 0, 0, 0]
            self.state: Any = {
                "bit_generator": "Philox", "state": {"counter": self.counter, "key": [0, 0]},
                "buffer": [0, 0, 0, 0], "buffer_pos": 4, "has_uint32": 0, "uinteger": 0,
            }  # fmt: skip
        self.left = adopted.Left([*loaded, *([self.generator] if self.rng else [])])
        self.row = -1

    def begin(self, row: int) -> None:
        """Go to a condition."""
        self.row = row
        given = self.job.values(row)
        self.parameters = {**self.constants, **given}
        for name in given.keys() & self.constants.keys():  # the parameter is a name of one of these
            self.parameters[name] = None if given[name] is None else self.constants[name][given[name]]
        self.lists = {n: v for n, v in given.items() if isinstance(v, (list, np.ndarray))}
        key = self.job.keys[row]
        self.stream.condition = key.tobytes()
        self.words[:4] = key.view("<u4")
        if self.rng:
            self.parameters["rng"] = self.generator
            self.state["state"]["key"] = key.tolist()

    def __call__(self, row: int, replication: int) -> Any:
        if row != self.row:
            self.begin(row)
        streams.wide = stream = self.stream
        stream.at(replication)
        if self.rng:
            self.counter[3] = replication
            self.bits.state = self.state
        else:
            self.seed_at_once()
        for generator in self.at_first_use:
            generator.renew()
        if streams.made:
            streams.renew_made()
        if streams.libraries:
            streams.seed_libraries(stream)
        if self.lists:
            for name, value in self.lists.items():  # what a replication changes in them, others don't see
                self.parameters[name] = value.copy()
        left = self.left
        try:
            return self.function(**self.parameters)
        finally:
            left.replications += 1
            if left.watched or left.replications == left.next:
                left.look()

    def seed_at_once(self) -> None:
        """Seed the process-wide generators that earlier replications used, for a function without `rng`."""
        if self.left.replications:  # what the script drew while it was loaded does not count
            for generator in [one for one in self.at_first_use if one.was_used()]:
                generator.remove()
                self.at_first_use.remove(generator)
                self.at_once.append(generator.seed)
        for seed in self.at_once:
            seed(self.stream)

    def seed_numpy(self, stream: streams.Stream) -> None:
        if self.rng or stream is not self.stream:
            return streams.seed_numpy(np.random.mtrand, stream)
        self.words[4] = self.stream.replication
        np.random.mtrand._rand.seed(self.words)

    def seed_random(self, stream: streams.Stream) -> None:
        if self.rng or stream is not self.stream:
            return streams.seed_random(random, stream)
        # another seed: both are Mersenne twisters, and would draw the same numbers
        words = self.stream.condition + self.stream.replication.to_bytes(4, "little")
        random._inst.seed(int.from_bytes(b"random" + words, "little"))
