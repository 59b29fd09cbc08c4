"""The random numbers of a Python process: its stream, and the generators that are seeded from it.

A stream is a key. A child's key is a keyed hash (BLAKE2b) of its parent's key, a purpose and a counter. Each process, task and
task within a task therefore has numbers of its own, for any number of workers. From a stream
come the state of `random`, the state of `np.random`, and the entropy of all generators that numpy makes without an argument:
default_rng(), SeedSequence(), RandomState(), bit generators and np.random.seed() call one function, which is replaced.
random.Random(), SystemRandom, secrets, uuid and tempfile use the system's entropy, and are not changed.

hooks.py changes `random`, `numpy` and what starts tasks when they are imported. This module imports only what an interpreter
has at its start. See docs/decisions/python-task-streams.md.
"""

import itertools
import os
import sys
from _blake2 import blake2b
from _thread import _local
from collections.abc import Callable
from typing import Any


class Stream:
    """A key, and how many children it has had for each purpose.

    task: whether it belongs to a task or a replication. Generators that are made in it end with it.
    label: distinguishes the generators of this stream from those of other streams.
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
    """The stream of the current replication of a function. Its key is computed at its first use."""

    def __init__(self) -> None:
        super().__init__(b"", task=True)

        self.condition, self.replication = b"", 0

    def at(self, replication: int) -> None:
        """condition: its key is set before."""
        self.replication, self.known = replication, b""
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
    """A new key (or a number of bits) computed from a key and a purpose."""
    parts = (blake2b(f"{what} {i}".encode(), key=key, person=b"simferry").digest() for i in range(-(-bits // 512)))
    return b"".join(parts)[: -(-bits // 8)]


def words(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]


wide: Stream | None = None  # the stream of the process-wide generators, and of threads that are not tasks
loading = b""  # the key of the stream while the script of a function is loaded
helper = False  # whether this process is a helper, such as a worker of a pool
# called with the function and the seed when the code of a replication sets a seed
on_seed: Callable[[str, Any], None] | None = None
here = _local()  # stream: of the task that runs in this thread; starting: of the process that this thread starts
# (generator, its name): of default_rng() outside tasks, copies of them, adopted ones (adopted.py)
made: list[tuple[Any, str]] = []
_most = 64
libraries: list[Any] = []  # those with generators of their own that are loaded (libraries.py)
# functions and classes that came with a function object, by module and name
came_along: dict[tuple[str, str], Any] = {}
objects = ""  # the file with them
of_seed: Any = None  # the code of our np.random.seed(), which does not count as the caller


def install() -> None:
    """Replaced by hooks.install once that has run. Tasks call it in processes where it has not."""


def current() -> Stream | None:
    return getattr(here, "stream", None) or wide


def begin(stream: Stream) -> None:
    global wide
    wide = stream
    seed_globals()
    renew_made()


def seed_globals() -> None:
    """Seed the process-wide generators of all modules that are loaded."""
    for name in ("random", "numpy.random.mtrand"):
        if wide and name in sys.modules:
            _SEEDERS[name](sys.modules[name], wide)
    if wide and libraries:
        seed_libraries(wide)


def seed_random(module: Any, stream: Stream) -> None:
    module._inst.seed(int.from_bytes(derive(stream.key, "random"), "little"))


def seed_numpy(module: Any, stream: Stream) -> None:
    if rand := getattr(module, "_rand", None):  # otherwise it is being imported
        seed = words(derive(stream.key, "np.random"))
        try:
            rand.seed(seed)
        except TypeError:  # the script has set another generator than the Mersenne twister
            module.set_bit_generator(type(rand._bit_generator)(seed))


def seed_libraries(stream: Stream, of_thread: bool = False) -> None:
    """Seed the generators of other libraries. of_thread: only those that each thread has for itself."""
    for library in libraries:
        if library.of_thread or not of_thread:
            library.seed(derive(stream.key, library.name))


_SEEDERS = {"random": seed_random, "numpy.random.mtrand": seed_numpy}


def saved_globals() -> dict[str, Any]:
    """The states of the process-wide generators, and of those that were made outside tasks."""
    out: dict[str, Any] = {"made": [(generator, state_of(generator)) for generator, _ in made]}
    out["libraries"] = [(library, library.state()) for library in libraries]
    if "random" in sys.modules:
        out["random"] = sys.modules["random"]._inst.getstate()
    if rand := getattr(sys.modules.get("numpy.random.mtrand"), "_rand", None):
        out["numpy.random.mtrand"] = rand.get_state(legacy=False)
    return out


def restore_globals(saved: dict[str, Any]) -> None:
    if len(saved) < 4 or len(saved["libraries"]) < len(libraries):
        seed_globals()  # modules that were loaded meanwhile start in their initial state
    if "random" in saved:
        sys.modules["random"]._inst.setstate(saved["random"])
    if state := saved.get("numpy.random.mtrand"):
        sys.modules["numpy.random.mtrand"]._rand.set_state(state)
    for library, state in saved["libraries"]:
        library.set_state(state)
    for generator, state in saved["made"]:
        set_state(generator, state)


def renew_made() -> None:
    """Reseed the generators that were made outside tasks: for each task and each replication of a function."""
    for generator, name in made if wide else ():
        reseed(generator, int.from_bytes(derive(wide.key, f"shared {name}"), "little"))  # type: ignore[union-attr]


def state_of(generator: Any) -> Any:
    """The state of a numpy.random.Generator, a RandomState, a bit generator, a SeedSequence or a random.Random."""
    if hasattr(generator, "bit_generator"):
        return generator.bit_generator.state
    if hasattr(generator, "get_state"):
        return generator.get_state(legacy=False)
    return generator.state if hasattr(generator, "state") else generator.getstate()


def set_state(generator: Any, state: Any) -> None:
    if hasattr(generator, "bit_generator"):
        generator.bit_generator.state = state
    elif hasattr(generator, "set_state"):
        generator.set_state(state)
    elif hasattr(generator, "spawn_key"):
        pool = generator.pool.copy()
        generator.__init__(**state)
        generator.pool[:] = pool  # what it spawns differs; as a seed it stays what it was
    elif hasattr(generator, "state"):
        generator.state = state
    else:
        generator.setstate(state)


def reseed(generator: Any, number: int) -> None:
    if hasattr(generator, "bit_generator"):
        set_state(generator, type(generator.bit_generator)(number).state)
    elif hasattr(generator, "set_state"):
        set_state(generator, state_of(type(generator)(type(generator._bit_generator)(number))))
    elif hasattr(generator, "spawn_key"):
        key = tuple(words(number.to_bytes(32, "little")[:16]))
        set_state(generator, {**state_of(generator), "spawn_key": key, "n_children_spawned": 0})
    elif hasattr(generator, "state"):
        generator.state = type(generator)(number).state
    else:
        sys.modules["random"].Random.seed(generator, number)


def remember(generator: Any, name: str) -> None:
    global _most
    if len(made) >= _most:  # drop generators that nobody else refers to
        made[:] = [entry for entry in made if sys.getrefcount(entry[0]) > 2]
        _most = max(64, 2 * len(made))
    made.append((generator, name))


def marked(number: int) -> int:
    """96 bits of a number and a checksum of 32 bits. It marks generators made without an argument, so that copies are recognised."""
    high = number >> 32
    return high << 32 | int.from_bytes(derive(b"made without an argument", str(high), 32), "little")


def entropy(bits: int) -> int:
    """Replaces secrets.randbits in numpy."""
    frame: Any = sys._getframe(1)
    if frame.f_code is of_seed:
        frame = frame.f_back
    return entropy_for(frame.f_globals.get("__name__", ""), bits)


def entropy_for(module: str, bits: int) -> int:
    """The entropy of the next generator that a module makes. Each module has its own count, so that imports of other modules
    change no numbers."""
    stream = current()
    # numpy makes generators when it is imported, and for copies, whose state is set afterwards: they need no stream
    if stream is None or module.startswith("numpy."):
        data = os.urandom(-(-bits // 8))
    else:
        data = derive(stream.next(f"generator {of_main(module)}"), "entropy", bits)
    return int.from_bytes(data, "little") >> (-bits % 8)


def report_seed(function: str, seed: Any) -> None:
    """Report a seed that the code of a replication sets. Seeds set by installed packages are not reported."""
    if on_seed is None or not isinstance(current(), Replications):
        return
    if not is_installed(sys._getframe(2).f_globals.get("__file__") or ""):
        on_seed(function, seed)


def is_installed(file: str) -> bool:
    """Whether a module's file belongs to an installed package or to Python."""
    return file.startswith(os.path.dirname(os.__file__)) or any(
        f"{os.sep}{folder}{os.sep}" in file for folder in ("site-packages", "dist-packages")
    )


def of_main(module: str) -> str:
    return "__main__" if module in ("__mp_main__", "__worker__") else module  # workers' names for the script


_sequence_type: Any = None


def sequence_known() -> Any:
    """`sequence_type`, if it has been made."""
    return _sequence_type


def sequence_type() -> Any:
    """The seed sequence of generators whose spawn() gives each task its own: they may be shared between threads."""
    global _sequence_type
    if _sequence_type:
        return _sequence_type
    from numpy.random.bit_generator import SeedSequence

    class Sequence(SeedSequence):
        made_in: Any = None  # the stream in which numpy's own numbering of children applies
        of_replication = False  # whether it has a replication's stream, and not that of its entropy

        def spawn(self, n_children: int) -> list[Any]:
            stream = current()
            if stream is None or stream is self.made_in:
                return list(super().spawn(n_children))
            keys = [tuple(words(stream.next("spawn")[:16])) for _ in range(n_children)]
            return [SeedSequence(self.entropy, spawn_key=(*self.spawn_key, *key)) for key in keys]

        def __reduce__(self) -> Any:  # pickled as numpy's own class: other processes do not have this one
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


def imitate(function: Any, original: Any, module: str) -> None:
    """Give a replacement the name, module and docstring of the original, so that it is pickled by name."""
    function.__module__, function.__name__, function.__qualname__ = module, original.__name__, original.__name__
    function.__doc__ = original.__doc__
