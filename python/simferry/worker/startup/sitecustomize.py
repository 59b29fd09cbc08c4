"""The hook at the start of a Python interpreter: its folder stands first in PYTHONPATH (see hooks.py).

SIMFERRY_PYTHON_STREAM in the environment is the key of this process's stream; no process that it starts has the same. Processes
that work for it (a pool's workers, fork servers) take SIMFERRY_PYTHON_HELPERS: what they import again they draw as it did.
Below a command, where there is neither, the key follows from what the process is called with (below.py).
The sitecustomize that this one displaces runs afterwards, and sys.path is as without it.
"""

import os
import sys


def _start() -> None:
    key, helpers = os.environ.pop("SIMFERRY_PYTHON_STREAM", ""), os.environ.get("SIMFERRY_PYTHON_HELPERS", "")
    counted = bool(os.environ.get("SIMFERRY_PROCESSES") and os.environ.get("SIMFERRY_PARENT"))
    if not (key or helpers or counted) or sys.version_info < (3, 10):
        return
    begun_as = " ".join(sys.orig_argv[1:6])
    works_for_its_parent = "multiprocessing" in begun_as or "loky.backend" in begun_as
    if not key and not (helpers if works_for_its_parent else counted):
        return
    code = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    sys.path.insert(0, code)
    try:
        from simferry_worker import below, hooks  # type: ignore[import-not-found]
    finally:
        sys.path.remove(code)
    if works_for_its_parent:
        hooks.start(bytes.fromhex(helpers or key), works_for_its_parent=True)
        return
    if counted:
        below.report_own_code()
    key = key or below.key_below()
    if key:
        hooks.start(bytes.fromhex(key))
        hooks.hand_down(bytes.fromhex(key))


def _go_on() -> None:
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
    _go_on()
