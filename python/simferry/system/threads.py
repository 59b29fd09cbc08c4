"""How many threads workers use, and linear algebra in this process."""

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# environment variables of workers: the number of threads changes the bits of linear algebra
ONE_THREAD = {
    **{f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")},
    "VECLIB_MAXIMUM_THREADS": "1",
}


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Within the block, OpenBLAS in this process uses one thread: the same bits on any number of cores, and no threads that wait for
    cores which others have (small matrices took ten times as long beside workers). Where it is not found, nothing changes."""
    before = [(set_threads, get_threads()) for set_threads, get_threads in _openblas()]
    for set_threads, _ in before:
        set_threads(1)
    try:
        yield
    finally:
        for set_threads, count in before:
            set_threads(count)


@functools.cache
def _openblas() -> list[tuple[Callable[[int], Any], Callable[[], int]]]:
    """The functions that set and get the number of threads, of each copy that numpy and scipy have loaded."""
    import scipy.linalg  # noqa: F401  so that they are loaded

    found = []
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:  # only Linux has it
        return []
    for path in sorted({line.split(maxsplit=5)[-1] for line in maps.splitlines() if "blas" in line.lower()}):
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        for form in ("openblas_{}", "scipy_openblas_{}", "openblas_{}64_", "scipy_openblas_{}64_"):
            names = [form.format(f"{verb}_num_threads") for verb in ("set", "get")]
            if all(hasattr(library, name) for name in names):
                found.append((getattr(library, names[0]), getattr(library, names[1])))
                break
    return found
