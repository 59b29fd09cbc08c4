"""The state of the interpreter that a replication may leave behind, and that is restored before the next one.

docs/decisions/state-between-replications.md says why. state.R does the same in R.
"""

import contextlib
import decimal
import locale
import os
import sys
import time
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

_environ, _filters = os.environ, warnings.filters  # a simulation may put other objects in their places


class State:
    """What is restored: environment variables, filters of warnings, error handling and print options of NumPy, the context
    of decimal, the locale, the umask, the recursion limit.

    An object keeps the state at the time when it is made, after the simulation was loaded. Modules that are imported
    later may set environment variables and filters: these stay.
    """

    def __init__(self) -> None:
        self.modules = len(sys.modules)
        self.at_start = _snapshot()
        self.overwritten = False  # whether variables were set after a change, which they may hide

    def set_variables(self, variables: Mapping[str, str]) -> None:
        """Set environment variables of a replication, which are no change of its own. Takes as long as `changed`."""
        self.overwritten = self.changed()
        set_variables(variables)
        self.at_start["environment"] |= {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}

    def changed(self) -> bool:
        """Whether a replication has changed it. Takes about 8 microseconds."""
        if self.overwritten:
            return True
        now = _snapshot()
        if now == self.at_start:
            return False
        if len(sys.modules) != self.modules:
            self.modules = len(sys.modules)
            self.at_start |= {name: now[name] for name in ("environment", "filters")}
        return now != self.at_start

    def restore(self) -> None:
        """Put back what differs."""
        self.overwritten = False
        now = _snapshot()
        for name, value in self.at_start.items():
            if now[name] != value:
                _RESTORE[name](value)


def set_variables(variables: Mapping[str, str]) -> None:
    _environ.update(variables)
    if "TZ" in variables:
        time.tzset()


def _snapshot() -> dict[str, Any]:
    umask = os.umask(0)
    os.umask(umask)
    context = decimal.getcontext()
    traps = [signal for signal, trapped in context.traps.items() if trapped]
    return {
        "environment": dict(_environ._data),  # type: ignore[attr-defined]  # a copy of os.environ itself takes 30 microseconds
        "filters": list(warnings.filters),
        "show": warnings.showwarning,
        "errors": np.geterr(),
        "printing": np.get_printoptions(),
        "decimal": (context.prec, context.rounding, context.Emin, context.Emax, context.capitals, context.clamp, traps),
        "locale": locale.setlocale(locale.LC_ALL),
        "umask": umask,
        "recursion": sys.getrecursionlimit(),
    }


def _restore_environment(wanted: dict[bytes, bytes]) -> None:
    os.environ = _environ  # noqa: B003
    for name in set(os.environb) - set(wanted):
        del os.environb[name]
    os.environb.update(wanted)
    time.tzset()


def _restore_filters(wanted: list[Any]) -> None:
    warnings.filters = _filters
    warnings.resetwarnings()  # Python then forgets what it has decided by the filters
    warnings.filters[:] = wanted  # type: ignore[index]


def _restore_show(wanted: Any) -> None:
    warnings.showwarning = wanted


def _restore_locale(wanted: str) -> None:
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_ALL, wanted)


def _restore_decimal(wanted: tuple[Any, ...]) -> None:
    prec, rounding, e_min, e_max, capitals, clamp, traps = wanted
    decimal.setcontext(decimal.Context(prec, rounding, e_min, e_max, capitals, clamp, traps=traps))


_RESTORE: dict[str, Any] = {
    "environment": _restore_environment,
    "filters": _restore_filters,
    "show": _restore_show,
    "errors": lambda wanted: np.seterr(**wanted),
    "printing": lambda wanted: np.set_printoptions(**wanted),
    "decimal": _restore_decimal,
    "locale": _restore_locale,
    "umask": os.umask,
    "recursion": sys.setrecursionlimit,
}
