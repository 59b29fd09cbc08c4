"""Hooks that make a Python process draw all random numbers from its stream (streams.py).

The hooks change `random`, `numpy`, libraries with generators of their own (libraries.py), and modules that start tasks (tasks.py) or
processes: each is changed when it is imported, right after its own code has run. This module imports only modules that every
interpreter loads at its start. tasks.py and libraries.py are imported only when they are needed.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from . import adopted, streams
from .below import PARENT, PROCESSES
from .streams import Stream, current, derive, imitate, report_seed

# environment variables: the key of a process's stream, and the key of its helper processes
STREAM, HELPERS = "SIMFERRY_PYTHON_STREAM", "SIMFERRY_PYTHON_HELPERS"
HOOK = os.path.join("simferry_worker", "startup")

_fork = b""  # the key of the child that is about to be forked


def start(key: bytes, is_helper: bool = False) -> None:
    """Start drawing from the stream of this key. Called at the start of the process (startup/sitecustomize.py)."""
    streams.helper = is_helper
    if streams.helper:
        streams.loading = key
    install()
    streams.begin(Stream(key))


# ---- forks ----


def _before_fork() -> None:
    global _fork
    if stream := current():
        _fork = getattr(streams.here, "starting", None) or stream.next("fork")


def _after_fork() -> None:
    if streams.wide and streams.helper:  # a fork server: its children get streams from their tasks
        streams.seed_globals()
    elif streams.wide:
        streams.here.__dict__.clear()
        streams.begin(Stream(_fork, label="fork "))


# ---- changes of modules, when they are imported ----


def _change_random(module: Any) -> None:
    original = module._inst.seed

    def seed(a: Any = None, version: int = 2) -> None:
        stream = current()
        if a is not None:
            report_seed("random", a)
        elif stream:
            a = int.from_bytes(stream.next("random.seed"), "little")
        original(a, version)

    imitate(seed, original, "random")
    module.seed = seed
    if hasattr(os, "register_at_fork"):  # runs after the module's own handler, which takes a seed from the system
        os.register_at_fork(after_in_child=lambda: streams.seed_random(module, streams.wide) if streams.wide else None)
    if streams.wide:
        streams.seed_random(module, streams.wide)


def _change_bit_generator(module: Any) -> None:
    module.randbits = streams.entropy


def _change_mtrand(module: Any) -> None:
    original = module.seed

    def seed(seed: Any = None) -> None:
        if seed is not None:
            report_seed("np.random", seed)
        original(seed)

    streams.of_seed = seed.__code__
    imitate(seed, original, "numpy.random.mtrand")
    module.seed = seed
    if hasattr(package := sys.modules["numpy.random"], "seed"):
        package.seed = seed  # type: ignore[attr-defined]
    if streams.wide:
        streams.seed_numpy(module, streams.wide)


def _change_generator(module: Any) -> None:
    original = module.default_rng
    kind = streams.sequence_type()

    def default_rng(seed: Any = None) -> Any:
        stream = current()
        if not stream or not (seed is None or isinstance(seed, int)):
            return original(seed)
        if seed is not None:
            report_seed("default_rng", seed)
        shared = seed is None and stream is streams.wide and not stream.task  # tasks may use it too
        module = sys._getframe(1).f_globals.get("__name__", "")
        number = seed
        if seed is None:
            number = streams.marked(streams.entropy_for(module, 128)) if shared else streams.entropy_for(module, 128)
        sequence = kind(number)
        sequence.made_in = stream
        generator = original(sequence)
        if shared:
            own = f"{stream.label} {streams.of_main(module)} "
            streams.remember(generator, f"{own}{stream.number(f'shared {own}')}" if stream.label else f"{number}")
        return generator

    imitate(default_rng, original, "numpy.random._generator")
    module.default_rng = default_rng
    if hasattr(package := sys.modules["numpy.random"], "default_rng"):
        package.default_rng = default_rng  # type: ignore[attr-defined]


def _change_pickle(module: Any) -> None:
    original = module.__generator_ctor

    def __generator_ctor(*args: Any, **kwargs: Any) -> Any:
        generator = original(*args, **kwargs)
        sequence: Any = getattr(generator.bit_generator, "seed_seq", None)  # numpy 1.24 has none; 1.x makes a new one
        number = getattr(sequence, "entropy", None)
        if isinstance(number, int) and not sequence.spawn_key and streams.marked(number) == number:
            bits = type(generator.bit_generator)(streams.sequence_type()(number))
            bits.state = generator.bit_generator.state
            generator = type(generator)(bits)
            streams.remember(generator, f"{number}")
        return generator

    imitate(__generator_ctor, original, "numpy.random._pickle")
    module.__generator_ctor = __generator_ctor


def _change_mpi(module: Any) -> None:
    """An exception that nobody handles ends all ranks: the others would wait for this one, and it for them when it ends."""
    original = sys.excepthook

    def excepthook(*error: Any) -> None:
        original(*error)
        sys.stderr.flush()
        if module.Is_initialized() and not module.Is_finalized() and module.COMM_WORLD.size > 1:
            module.COMM_WORLD.Abort(1)

    sys.excepthook = excepthook


CHANGES: dict[str, Callable[[Any], None]] = {
    "random": _change_random,
    "numpy.random.bit_generator": _change_bit_generator,
    "numpy.random.mtrand": _change_mtrand,
    "numpy.random._generator": _change_generator,
    "numpy.random._pickle": _change_pickle,
    "mpi4py.MPI": _change_mpi,
}


def run_aside(name: str, run: Callable[[Any], None], module: Any) -> None:
    """Import a module on a stream of its own, which depends on the run's seed and its name. Other generators keep their states."""
    outer, of_thread, saved = streams.wide, getattr(streams.here, "stream", None), streams.saved_globals()
    streams.wide, streams.here.stream = Stream(derive(streams.loading, f"import {name}")), None
    whole = not streams.is_installed(getattr(module, "__file__", None) or "")  # looking everywhere takes milliseconds
    before = adopted.generators() if whole else []
    try:
        streams.seed_globals()
        run(module)
        adopted.adopt(adopted.generators() if whole else adopted.generators(list(vars(module).values())), before)
    finally:
        streams.wide, streams.here.stream = outer, of_thread
        streams.renew_made()
        streams.restore_globals(saved)


class Finder:
    """An import hook: it changes a module right after its code has run."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        change = CHANGES.get(name)
        # imported by a replication or a task, which differs between processes
        late = streams.loading and streams.wide and streams.wide.key != streams.loading
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
    """Change the modules that are loaded, and install the import hook for later ones."""
    if any(isinstance(finder, Finder) for finder in sys.meta_path):
        return
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
    sys.meta_path.insert(0, Finder())
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name])
    streams.install = install


def hand_down(key: bytes) -> None:
    """Set the environment of helper processes, so that they draw the same numbers when they import the same modules."""
    os.environ["PYTHONPATH"] = with_hook(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.environ[HELPERS] = key.hex()


def at_start(key: bytes, code: str) -> dict[str, str]:
    """The environment of a Python program that draws from the stream of this key. code: the folder of the worker."""
    return {"PYTHONPATH": with_hook(code), STREAM: key.hex()}


def with_hook(code: str) -> str:
    folder = os.path.join(code, HOOK)
    others = [p for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p and not p.endswith(HOOK)]
    return os.pathsep.join([folder, *others])


def _change_subprocess(module: Any) -> None:
    """Number the R and Python processes by the calls of Popen, separately in each task (see below.py)."""
    original = module.Popen.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        stream = current()
        if stream and PROCESSES in os.environ and len(args) < 11:  # the eleventh is env
            own = os.environ if kwargs.get("env") is None else kwargs["env"]
            kwargs["env"] = {**own, PARENT: stream.next("program").hex()}
        original(self, *args, **kwargs)

    imitate(__init__, original, "subprocess")
    __init__.__dict__["__wrapped__"] = original  # its signature
    module.Popen.__init__ = __init__


def _guard(name: str) -> Callable[[Any], None]:
    def change(module: Any) -> None:
        from . import tasks

        getattr(tasks, f"guard_{name}")(module)

    return change


def _library(name: str) -> Callable[[Any], None]:
    def change(module: Any) -> None:
        from . import libraries

        streams.libraries.append(library := getattr(libraries, name)(module))
        if streams.wide:
            library.seed(derive(streams.wide.key, library.name))

    return change


CHANGES |= {
    "torch": _library("Torch"),
    "numba._helperlib": _library("Numba"),
    "subprocess": _change_subprocess,
    "threading": _guard("threads"),
    "multiprocessing.process": _guard("processes"),
    "multiprocessing.pool": _guard("pools"),
    "multiprocessing.reduction": _guard("pickling"),
    "multiprocess.process": _guard("processes"),  # pathos' copy of it, which pickles with dill
    "multiprocess.pool": _guard("pools"),
    "concurrent.futures.thread": _guard("thread_executors"),
    "concurrent.futures.process": _guard("process_executors"),
    "loky.process_executor": _guard("process_executors"),
    "mpi4py.futures.pool": _guard("mpi_executors"),
    "joblib.externals.loky.process_executor": _guard("process_executors"),
    "joblib.parallel": _guard("joblib"),
    "joblib.pool": _guard("pickling"),
}
