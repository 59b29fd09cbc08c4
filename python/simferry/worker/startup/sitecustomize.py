"""The hook at the start of a Python interpreter: its folder is the first in PYTHONPATH (see hooks.py).

SIMFERRY_PYTHON_STREAM in the environment is the key of this process's stream; it is not passed on to processes that it starts. Its
helpers (a pool's workers, fork servers) use SIMFERRY_PYTHON_HELPERS, so that modules that they import again draw the same
numbers. If neither is set, below a command, the key is computed from the arguments of the process (below.py). Afterwards the
sitecustomize that this one displaces is run, and sys.path is restored.
"""

import os
import sys


def _start() -> None:
    key, helpers = os.environ.pop("SIMFERRY_PYTHON_STREAM", ""), os.environ.get("SIMFERRY_PYTHON_HELPERS", "")
    counted = bool(os.environ.get("SIMFERRY_PROCESSES") and os.environ.get("SIMFERRY_PARENT"))
    if not (key or helpers or counted) or sys.version_info < (3, 10):
        return
    command = " ".join(sys.orig_argv[1:6])
    is_helper = any(name in command for name in ("multiprocessing", "loky.backend", "mpi4py.futures"))
    if not key and not (helpers if is_helper else counted):
        return
    code = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(0, code)
    try:
        from simferry_worker import below, hooks  # type: ignore[import-not-found]
    finally:
        sys.path.remove(code)
    if is_helper:
        hooks.start(bytes.fromhex(helpers or key), is_helper=True)
        return
    if counted:
        below.report_own_code()
    key = key or below.key_below()
    if key:
        hooks.start(bytes.fromhex(key))
        hooks.hand_down(bytes.fromhex(key))


def _run_displaced() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [p for p in sys.path if os.path.abspath(p) != folder]
    ours = sys.modules.pop(__name__)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ImportError as error:
        if error.name != __name__:
            raise
    finally:
        sys.modules.setdefault(__name__, ours)


try:
    _start()
finally:
    _run_displaced()
