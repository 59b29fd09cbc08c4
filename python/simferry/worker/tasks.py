"""Parallel tasks of a simulation in Python: each draws from a stream of its own, numbered by order of submission.

The function of a task is wrapped where it is submitted: in joblib's Parallel, multiprocessing's Process and Pool, and
concurrent.futures' executors. The numbers therefore do not depend on the worker that runs a task, the number of workers, or the
chunks. A call takes one number of the submitter's stream, and numbers its tasks from there.

In a process of its own, and in the main thread, a task seeds the process-wide generators and restores them afterwards. In other
threads it can't: threads share these generators. There only generators made in the task are the task's.
"""

import functools
import itertools
import os
import threading
import types
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import streams

# threads, processes and submissions of these packages run tasks, but are no tasks themselves
RUNNERS = {"concurrent", "mpi4py", "multiprocess", "multiprocessing", "joblib", "loky", "threading"}
SHARED = (
    "np.random, random and generators made outside the task are shared by all threads: what a task draws from them depends on "
    "scheduling. Use numpy.random.default_rng() in the task, or rng.spawn(1)[0]: these are its own."
)


class Task:
    """A function that draws from a stream of its own, wherever it is called."""

    def __init__(self, function: Callable[..., Any], key: bytes) -> None:
        self.function, self.key, self.process = function, key, os.getpid()
        self.install = streams.install  # the process that runs the task may have started without the hooks

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.install()
        return run(self.key, self.process, self.function, args, kwargs)


class Numbered:
    """The function of many tasks. It is called with a task's number before the arguments; if `pair`, with both in one tuple."""

    def __init__(self, function: Callable[..., Any], key: bytes, pair: bool = False) -> None:
        self.function, self.key, self.pair, self.process = function, key, pair, os.getpid()
        self.install = streams.install

    def __call__(self, number: Any, *args: Any) -> Any:
        if self.pair:
            number, *args = number
        self.install()
        return run(streams.derive(self.key, f"task {number}"), self.process, self.function, tuple(args), {})


def run(key: bytes, submitter: int, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    stream = streams.Stream(key, task=True)
    if threading.current_thread() is not threading.main_thread():
        return run_in_thread(stream, function, args, kwargs)
    # in a worker process nothing is restored: the next task seeds the generators again
    before = (streams.wide, streams.saved_globals()) if os.getpid() == submitter else None
    try:
        streams.begin(stream)
        return function(*args, **kwargs)
    finally:
        if before and before[0]:
            streams.wide = before[0]
            streams.restore_globals(before[1])


def run_in_thread(
    stream: streams.Stream, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    outer, process = getattr(streams.here, "stream", None), streams.wide
    if streams.libraries:
        streams.seed_libraries(stream, of_thread=True)
    look = process is not None and not process.counts.get("warned")
    before = shared_state() if look else None
    streams.here.stream = stream
    try:
        return function(*args, **kwargs)
    finally:
        streams.here.stream = outer
        moved = look and streams.wide is process and shared_state() != before
        if process and moved and process.number("warned") == 0:  # one thread warns
            warnings.warn(SHARED, stacklevel=2)


def shared_state() -> Any:
    saved = streams.saved_globals()
    numpy = saved.get("numpy.random.mtrand", {})
    numpy = (
        {k: v.tobytes() if hasattr(v, "tobytes") else v for k, v in numpy.get("state", {}).items()},
        numpy.get("gauss"),
    )
    libraries = [state for library, state in saved["libraries"] if not library.of_thread]
    return saved.get("random"), numpy, libraries, [str(state) for _, state in saved["made"]]


def is_runner(thing: Any) -> bool:
    """Whether a function or a callable object belongs to a package that runs tasks."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    if isinstance(thing, (Task, Numbered)):
        return True
    module = getattr(thing, "__module__", None) or type(thing).__module__
    return str(module).partition(".")[0] in RUNNERS


def task(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as the next task, unless it is a task already or runs tasks."""
    stream = streams.current()
    return function if stream is None or is_runner(function) else Task(function, stream.next("task"))


def put(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(make(original)))


# ---- pools and executors ----


class Items:
    """The tasks that joblib's Parallel gets: (function, arguments, keywords) each, with the functions as tasks."""

    def __init__(self, given: Iterable[Any], key: bytes) -> None:
        self.given, self.key = given, key
        if hasattr(given, "__len__"):
            self.__class__ = CountedItems

    def __iter__(self) -> Iterator[Any]:
        for number, (function, *rest) in enumerate(self.given):
            yield (Task(function, streams.derive(self.key, f"task {number}")), *rest)


class CountedItems(Items):
    def __len__(self) -> int:
        return len(self.given)  # type: ignore[arg-type]


def guard_joblib(module: Any) -> None:
    def make(call: Any) -> Any:
        def __call__(self: Any, iterable: Iterable[Any]) -> Any:
            stream = streams.current()
            return call(self, Items(iterable, stream.next("task")) if stream else iterable)

        return __call__

    def in_turn(nested: Any) -> Any:
        """Run nested tasks one after the other: joblib would run them in threads, which share the process-wide generators."""

        def get_nested_backend(self: Any) -> Any:
            return (module.SequentialBackend(nesting_level=1), None) if streams.current() else nested(self)

        return get_nested_backend

    put(module.Parallel, "__call__", make)
    for kind in (module.LokyBackend, module.MultiprocessingBackend):
        put(kind, "get_nested_backend", in_turn)


def guard_pools(module: Any) -> None:
    def apply_async(original: Any) -> Any:
        return lambda self, func, *args, **kwargs: original(self, task(func), *args, **kwargs)

    def imap(original: Any) -> Any:
        def imap(self: Any, func: Any, iterable: Any, *args: Any, **kwargs: Any) -> Any:
            stream = streams.current()
            if stream and not is_runner(func):
                func, iterable = Numbered(func, stream.next("task"), pair=True), enumerate(iterable)
            return original(self, func, iterable, *args, **kwargs)

        return imap

    def _map_async(original: Any) -> Any:
        def _map_async(self: Any, func: Any, iterable: Any, mapper: Any, *args: Any, **kwargs: Any) -> Any:
            stream = streams.current()
            if stream and not is_runner(func):
                func = Numbered(func, stream.next("task"), pair=mapper is module.mapstar)
                numbered = enumerate(iterable)
                iterable = list(numbered) if func.pair else [(number, *given) for number, given in numbered]
            return original(self, func, iterable, mapper, *args, **kwargs)

        return _map_async

    put(module.Pool, "apply_async", apply_async)
    put(module.Pool, "imap", imap)
    put(module.Pool, "imap_unordered", imap)
    put(module.Pool, "_map_async", _map_async)


def guard_thread_executors(module: Any) -> None:
    put(module.ThreadPoolExecutor, "submit", _submit)


def guard_process_executors(module: Any) -> None:
    def make(original: Any) -> Any:
        def map(self: Any, fn: Any, *iterables: Any, **kwargs: Any) -> Any:
            stream = streams.current()
            if stream and iterables and not is_runner(fn):
                fn, iterables = Numbered(fn, stream.next("task")), (itertools.count(), *iterables)
            return original(self, fn, *iterables, **kwargs)

        return map

    put(module.ProcessPoolExecutor, "submit", _submit)
    put(module.ProcessPoolExecutor, "map", make)


def guard_mpi_executors(module: Any) -> None:
    def make(original: Any) -> Any:
        def submit(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            stream = streams.current()
            return original(self, Task(fn, stream.next("task")) if stream else fn, *args, **kwargs)

        return submit

    put(module.MPIPoolExecutor, "submit", make)  # its map ends there, for each item or each chunk that the user chose


def _submit(original: Any) -> Any:
    return lambda self, fn, /, *args, **kwargs: original(self, task(fn), *args, **kwargs)


# ---- what tasks are sent as ----


def guard_pickling(module: Any) -> None:
    """Have functions and classes that came with a function object sent by name: no module has them in other processes."""
    for kind in ("ForkingPickler", "CustomizablePickler"):  # the second is joblib's
        if hasattr(module, kind):
            getattr(module, kind).reducer_override = lambda self, thing: _sent(thing)


def _sent(thing: Any) -> Any:
    if isinstance(thing, (types.FunctionType, type)) and streams.came_along:
        name = (thing.__module__, thing.__qualname__)
        if streams.came_along.get(name) is thing:
            return received, (name, streams.objects)
    return NotImplemented


def received(name: tuple[str, str], objects: str) -> Any:
    """The function or class of this name. A process that was not forked reads all of them: one's initializer sets globals of another."""
    if not streams.came_along:
        from .sent import load_objects

        load_objects(objects)
    return streams.came_along[name]


# ---- processes and threads ----


class Run:
    """The run() of a process, on a stream of its own."""

    def __init__(self, process: Any, key: bytes) -> None:
        self.process, self.key, self.install = process, key, streams.install

    def __call__(self) -> Any:
        self.install()
        streams.begin(streams.Stream(self.key, label="process"))
        return type(self.process).run(self.process)


class Initializer:
    """The initializer of a pool, on a stream of its own in each worker. Each task restarts the generators that it made."""

    def __init__(self, function: Callable[..., Any], key: bytes) -> None:
        self.function, self.key, self.install = function, key, streams.install

    def __call__(self, *args: Any) -> None:
        self.install()
        before = streams.wide
        streams.begin(streams.Stream(self.key, label="worker"))
        self.function(*args)
        if before:
            streams.begin(before)


def guard_processes(module: Any) -> None:
    def make(original: Any) -> Any:
        def start(self: Any) -> Any:
            stream = streams.current()
            if stream is None:
                return original(self)
            worker = getattr(self, "_target", None) is not None and is_runner(self._target)
            key = streams.here.starting = stream.next("worker" if worker else "process")
            if not worker:
                self.run = Run(self, key)
            elif len(self._args) > 2 and callable(self._args[2]):  # the initializer of pools and executors, also loky's
                self._args = (*self._args[:2], Initializer(self._args[2], key), *self._args[3:])
            try:
                return original(self)
            finally:
                del streams.here.starting
                self.__dict__.pop("run", None)

        return start

    put(module.BaseProcess, "start", make)


def guard_threads(module: Any) -> None:
    def make(original: Any) -> Any:
        def start(self: Any) -> Any:
            target = getattr(self, "_target", None)
            stream = streams.current()
            if stream and not is_runner(target if target is not None else type(self)):
                own = streams.Stream(stream.next("thread"), task=True)
                self.run = functools.partial(run_in_thread, own, self.run, (), {})
            return original(self)

        return start

    put(module.Thread, "start", make)
