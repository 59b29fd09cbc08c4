"""Random numbers of a Python process: which stream it draws from, and what draws from it without a seed of its own.

A stream is a key. A child's key is a keyed hash (BLAKE2b) of its parent's, of a purpose and of a number that counts up, so
that a process, a task and a task within a task have numbers that nobody else has, for any number of workers. From a stream
come the state of `random`, the state of `np.random`, and the entropy of all that numpy makes without an argument:
default_rng(), SeedSequence(), RandomState(), bit generators and np.random.seed() ask one function, which is replaced.
random.Random(), SystemRandom, secrets, uuid and tempfile ask the system, and are left alone.

`random`, `numpy` and what starts tasks (tasks.py) are changed when they are imported, and not before: this module imports
only what an interpreter has at its start. See docs/decisions/python-task-streams.md.
"""

import itertools
import os
import sys
from _blake2 import blake2b
from _thread import _local
from collections.abc import Callable
from typing import Any

from .below import PARENT, PROCESSES

# in the environment: the key of a process's stream, and that of the processes which work for it
STREAM, HELPERS = "SIMFERRY_PYTHON_STREAM", "SIMFERRY_PYTHON_HELPERS"
HOOK = os.path.join("simferry_worker", "startup")


class Stream:
    """A key, and how many children it has had for each purpose.

    task: of a task, or a replication: what is made in it ends with it. label: tells generators made here from others' ones.
    """

    def __init__(self, key: bytes, task: bool = False, label: str = "") -> None:
        self.key, self.task, self.label = key, task, label
        self.counts: dict[str, itertools.count[int]] = {}

    def number(self, purpose: str) -> int:
        return next(self.counts.get(purpose) or self.counts.setdefault(purpose, itertools.count()))

    def next(self, purpose: str) -> bytes:
        """The key of the next child for a purpose."""
        return derive(self.key, f"{purpose} {self.number(purpose)}")


class Replications(Stream):
    """The stream of a function's replications, one after the other; a key is made when somebody asks for it."""

    def __init__(self) -> None:
        super().__init__(b"", task=True)

    def at(self, condition: bytes, replication: int) -> None:
        self.condition, self.replication, self.known = condition, replication, b""
        if self.counts:
            self.counts.clear()

    @property
    def key(self) -> bytes:
        self.known = self.known or derive(self.condition, f"replication {self.replication}")
        return self.known

    @key.setter
    def key(self, value: bytes) -> None:
        self.known = value


def derive(key: bytes, what: str, bits: int = 256) -> bytes:
    """A key, or so many bits for another use, that follow from a key and from what they are for."""
    parts = (blake2b(f"{what} {i}".encode(), key=key, person=b"simferry").digest() for i in range(-(-bits // 512)))
    return b"".join(parts)[: -(-bits // 8)]


def words(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


wide: Stream | None = None  # what the process-wide generators draw from, and threads that are no task
loading = b""  # the key from which a function's script draws while it is loaded
helper = False  # whether this process works for the one that started it: a worker of a pool, say
seeded: Callable[[str, Any], None] | None = None  # is told of the seeds that a replication's own code sets, and by what
_here = _local()  # stream: of the task that runs in this thread; starting: of the process that this thread starts
_fork = b""
made: list[tuple[Any, str]] = []  # (generator, its name) of default_rng() outside tasks, and copies of them
_most = 64
libraries: list[Any] = []  # those with generators of their own that are loaded (libraries.py)


def current() -> Stream | None:
    return getattr(_here, "stream", None) or wide


def start(key: bytes, works_for_its_parent: bool = False) -> None:
    """This process draws from the stream of this key, from now on: the hook of its start (startup/sitecustomize.py)."""
    global helper, loading
    helper = works_for_its_parent
    if helper:
        loading = key
    install()
    begin(Stream(key))


def begin(stream: Stream) -> None:
    global wide
    wide = stream
    seed_globals()
    renew_made()


def seed_globals() -> None:
    """Sets the process-wide generators, those of them that are loaded."""
    for name in ("random", "numpy.random.mtrand"):
        if wide and name in sys.modules:
            _SEEDERS[name](sys.modules[name], wide)
    if wide and libraries:
        seed_libraries(wide)


def seed_random(module: Any, stream: Stream) -> None:
    module._inst.seed(int.from_bytes(derive(stream.key, "random"), "little"))


def seed_numpy(module: Any, stream: Stream) -> None:
    if rand := getattr(module, "_rand", None):  # else it is being imported
        seed = words(derive(stream.key, "np.random"))
        try:
            rand.seed(seed)
        except TypeError:  # the script has set another generator than the Mersenne twister
            module.set_bit_generator(type(rand._bit_generator)(seed))


def seed_libraries(stream: Stream, of_thread: bool = False) -> None:
    """of_thread: only those generators that each thread has for itself."""
    for library in libraries:
        if library.of_thread or not of_thread:
            library.seed(derive(stream.key, library.name))


_SEEDERS = {"random": seed_random, "numpy.random.mtrand": seed_numpy}


def saved_globals() -> dict[str, Any]:
    """The state of the process-wide generators, and of those that default_rng() made outside tasks."""
    out: dict[str, Any] = {"made": [(generator.bit_generator, generator.bit_generator.state) for generator, _ in made]}
    out["libraries"] = [(library, library.state()) for library in libraries]
    if "random" in sys.modules:
        out["random"] = sys.modules["random"]._inst.getstate()
    if rand := getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None):
        out["numpy.random.mtrand"] = rand.get_state(legacy=False)
    return out


def restore_globals(saved: dict[str, Any]) -> None:
    if len(saved) < 4 or len(saved["libraries"]) < len(libraries):
        seed_globals()  # what was loaded meanwhile begins as it would have
    if "random" in saved:
        sys.modules["random"]._inst.setstate(saved["random"])
    if state := saved.get("numpy.random.mtrand"):
        sys.modules["numpy.random.mtrand"]._rand.set_state(state)
    for library, state in saved["libraries"]:
        library.set_state(state)
    for bits, state in saved["made"]:
        bits.state = state


def renew_made() -> None:
    """What default_rng() has made outside tasks starts anew in each task and each replication of a function."""
    for generator, name in made if wide else ():
        bits = generator.bit_generator
        bits.state = type(bits)(int.from_bytes(derive(wide.key, f"shared {name}"), "little")).state  # type: ignore[union-attr]


def remember(generator: Any, name: str) -> None:
    global _most
    if len(made) >= _most:  # nobody else refers to what was thrown away
        made[:] = [entry for entry in made if sys.getrefcount(entry[0]) > 2]
        _most = max(64, 2 * len(made))
    made.append((generator, name))


def marked(number: int) -> int:
    """96 bits of a number, and 32 that follow from them: so the copies of a generator made without an argument are known."""
    high = number >> 32
    return high << 32 | int.from_bytes(derive(b"made without an argument", str(high), 32), "little")


def entropy(bits: int) -> int:
    """In the place of secrets.randbits, where numpy asks for it."""
    frame: Any = sys._getframe(1)
    if frame.f_code is _of_seed:
        frame = frame.f_back
    return entropy_for(frame.f_globals.get("__name__", ""), bits)


def entropy_for(module: str, bits: int) -> int:
    """The next number for what a module makes: counted by module, so that what others make when they are imported shifts none."""
    stream = current()
    # numpy's own: what it makes when it is imported, and what is unpickled or copied, which gets its state afterwards
    if stream is None or module.startswith("numpy."):
        data = os.urandom(-(-bits // 8))
    else:
        data = derive(stream.next(f"generator {of_main(module)}"), "entropy", bits)
    return int.from_bytes(data, "little") >> (-bits % 8)


def told(function: str, seed: Any) -> None:
    """Whoever calls what calls this gives a seed of its own; what is installed does so for its own purposes."""
    if seeded and isinstance(current(), Replications):
        file = sys._getframe(2).f_globals.get("__file__") or ""
        if not any(f"{os.sep}{folder}{os.sep}" in file for folder in ("site-packages", "dist-packages")):
            seeded(function, seed)


def of_main(module: str) -> str:
    return "__main__" if module == "__mp_main__" else module  # a worker's name for the script


# ---- forks ----


def _before_fork() -> None:
    global _fork
    if stream := current():
        _fork = getattr(_here, "starting", None) or stream.next("fork")


def _after_fork() -> None:
    if wide and helper:  # a fork server: its children take their streams from their tasks
        seed_globals()
    elif wide:
        _here.__dict__.clear()
        begin(Stream(_fork, label="fork "))


# ---- what is changed when it is imported ----


def _change_random(module: Any) -> None:
    original = module._inst.seed

    def seed(a: Any = None, version: int = 2) -> None:
        stream = current()
        if a is not None:
            told("random", a)
        elif stream:
            a = int.from_bytes(stream.next("random.seed"), "little")
        original(a, version)

    takes_the_place(seed, original, "random")
    module.seed = seed
    if hasattr(os, "register_at_fork"):  # after the module's own, which takes a seed from the system
        os.register_at_fork(after_in_child=lambda: seed_random(module, wide) if wide else None)
    if wide:
        seed_random(module, wide)


def _change_bit_generator(module: Any) -> None:
    module.randbits = entropy


_of_seed: Any = None  # the code that stands before np.random.seed(): it is no caller


def _change_mtrand(module: Any) -> None:
    global _of_seed
    original = module.seed

    def seed(seed: Any = None) -> None:
        if seed is not None:
            told("np.random", seed)
        original(seed)

    _of_seed = seed.__code__
    takes_the_place(seed, original, "numpy.random.mtrand")
    module.seed = seed
    if hasattr(package := sys.modules["numpy.random"], "seed"):
        package.seed = seed  # type: ignore[attr-defined]
    if wide:
        seed_numpy(module, wide)


def _change_generator(module: Any) -> None:
    original = module.default_rng
    kind = sequence_type()

    def default_rng(seed: Any = None) -> Any:
        stream = current()
        if not stream or not (seed is None or isinstance(seed, int)):
            return original(seed)
        if seed is not None:
            told("default_rng", seed)
        shared = seed is None and stream is wide and not stream.task  # tasks may use it too
        module = sys._getframe(1).f_globals.get("__name__", "")
        number = seed
        if seed is None:
            number = marked(entropy_for(module, 128)) if shared else entropy_for(module, 128)
        sequence = kind(number)
        sequence.made_in = stream
        generator = original(sequence)
        if shared:
            own = f"{stream.label} {of_main(module)} "
            remember(generator, f"{own}{stream.number(f'shared {own}')}" if stream.label else f"{number}")
        return generator

    takes_the_place(default_rng, original, "numpy.random._generator")
    module.default_rng = default_rng
    if hasattr(package := sys.modules["numpy.random"], "default_rng"):
        package.default_rng = default_rng  # type: ignore[attr-defined]


def _change_pickle(module: Any) -> None:
    original = module.__generator_ctor

    def __generator_ctor(*args: Any, **kwargs: Any) -> Any:
        generator = original(*args, **kwargs)
        sequence: Any = getattr(generator.bit_generator, "seed_seq", None)  # numpy 1.24 has none; 1.x makes a new one
        number = getattr(sequence, "entropy", None)
        if isinstance(number, int) and not sequence.spawn_key and marked(number) == number:
            bits = type(generator.bit_generator)(sequence_type()(number))
            bits.state = generator.bit_generator.state
            generator = type(generator)(bits)
            remember(generator, f"{number}")
        return generator

    takes_the_place(__generator_ctor, original, "numpy.random._pickle")
    module.__generator_ctor = __generator_ctor


_sequence_type: Any = None


def sequence_type() -> Any:
    """The seed sequence of generators whose spawn() gives each task its own: they may be shared between threads."""
    global _sequence_type
    if _sequence_type:
        return _sequence_type
    from numpy.random.bit_generator import SeedSequence

    class Sequence(SeedSequence):
        made_in: Any = None  # the stream in which numpy's own numbering holds
        of_replication = False  # whether it has a replication's stream, and not that of its entropy

        def spawn(self, n_children: int) -> list[Any]:
            stream = current()
            if stream is None or stream is self.made_in:
                return list(super().spawn(n_children))
            keys = [tuple(words(stream.next("spawn")[:16])) for _ in range(n_children)]
            return [SeedSequence(self.entropy, spawn_key=(*self.spawn_key, *key)) for key in keys]

        def __reduce__(self) -> Any:  # a copy is numpy's own: elsewhere there is no such class
            own = words(derive(wide.key, "copy")[:16]) if self.of_replication and wide else ()
            copy = SeedSequence(
                self.entropy,
                spawn_key=(*self.spawn_key, *own),
                pool_size=self.pool_size,
                n_children_spawned=self.n_children_spawned,
            )
            return copy.__reduce__()

    _sequence_type = Sequence
    return Sequence


def takes_the_place(function: Any, original: Any, module: str) -> None:
    """So that it is pickled by its name, and described as before."""
    function.__module__, function.__name__, function.__qualname__ = module, original.__name__, original.__name__
    function.__doc__ = original.__doc__


CHANGES: dict[str, Callable[[Any], None]] = {
    "random": _change_random,
    "numpy.random.bit_generator": _change_bit_generator,
    "numpy.random.mtrand": _change_mtrand,
    "numpy.random._generator": _change_generator,
    "numpy.random._pickle": _change_pickle,
}


def run_aside(name: str, run: Callable[[Any], None], module: Any) -> None:
    """What a module draws while it is imported follows from the run's seed and its name, and moves nobody's state."""
    global wide
    outer, of_thread, saved = wide, getattr(_here, "stream", None), saved_globals()
    wide, _here.stream = Stream(derive(loading, f"import {name}")), None
    try:
        seed_globals()
        run(module)
    finally:
        wide, _here.stream = outer, of_thread
        renew_made()
        restore_globals(saved)


class Finder:
    """Changes a module when it is imported, right after its code has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        change = CHANGES.get(name)
        late = loading and wide and wide.key != loading  # by a replication or a task, in each process another
        if not change and not late:
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        spec = next((s for f in finders if (s := f.find_spec(name, path, target))), None)
        loader = spec and spec.loader
        if loader and (change or type(loader).__name__ == "SourceFileLoader"):
            run = loader.exec_module

            def exec_module(module: Any) -> None:
                del loader.exec_module
                run_aside(name, run, module) if late else run(module)
                if change:
                    change(module)

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def install() -> None:
    """Changes what is there, and sees to what will be imported."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
    sys.meta_path.insert(0, Finder())
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name])


def hand_down(key: bytes) -> None:
    """Processes that work for this one draw what they import again as this one did."""
    os.environ["PYTHONPATH"] = with_hook(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.environ[HELPERS] = key.hex()


def at_start(key: bytes, code: str) -> dict[str, str]:
    """The environment of a Python program that draws from the stream of this key. code: where the worker's folder lies."""
    return {"PYTHONPATH": with_hook(code), STREAM: key.hex()}


def with_hook(code: str) -> str:
    folder = os.path.join(code, HOOK)
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and not p.endswith(HOOK)]
    return os.pathsep.join([folder, *others])


def _change_subprocess(module: Any) -> None:
    """R and Python processes that Popen starts are numbered by its calls, in each task of its own (see below.py)."""
    original = module.Popen.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        stream = current()
        if stream and PROCESSES in os.environ and len(args) < 11:  # the eleventh is env
            own = os.environ if kwargs.get("env") is None else kwargs["env"]
            kwargs["env"] = {**own, PARENT: stream.next("program").hex()}
        original(self, *args, **kwargs)

    takes_the_place(__init__, original, "subprocess")
    __init__.__dict__["__wrapped__"] = original  # its signature
    module.Popen.__init__ = __init__


def _guard(name: str) -> Callable[[Any], None]:
    def change(module: Any) -> None:
        from . import tasks

        getattr(tasks, f"guard_{name}")(module)

    return change


def _library(name: str) -> Callable[[Any], None]:
    def change(module: Any) -> None:
        from . import libraries as known

        libraries.append(library := getattr(known, name)(module))
        if wide:
            library.seed(derive(wide.key, library.name))

    return change


CHANGES |= {
    "torch": _library("Torch"),
    "numba._helperlib": _library("Numba"),
    "subprocess": _change_subprocess,
    "threading": _guard("threads"),
    "multiprocessing.process": _guard("processes"),
    "multiprocessing.pool": _guard("pools"),
    "multiprocess.process": _guard("processes"),  # pathos' copy of it, which pickles with dill
    "multiprocess.pool": _guard("pools"),
    "concurrent.futures.thread": _guard("thread_executors"),
    "concurrent.futures.process": _guard("process_executors"),
    "loky.process_executor": _guard("process_executors"),
    "joblib.externals.loky.process_executor": _guard("process_executors"),
    "joblib.parallel": _guard("joblib"),
}
