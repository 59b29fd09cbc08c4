"""simferry runs a statistical simulation many times with varied parameters, and gives the same numbers everywhere.

import simferry as sf

run = sf.run("simulate.R", sf.grid(n=[10, 20, 50]), replications=1000, seed=2026)
run.results()      # pandas.DataFrame: condition, replication, parameters, outputs
run.summary()      # per condition: n, failed, mean, sd and Monte Carlo standard error of each numeric output
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ._version import __version__

# The public face, by the module that holds it. Loaded at first use, so that `import simferry` is instant.
_PUBLIC = {
    "sweep.design": ("Design", "grid", "zipped", "table", "random", "latin_hypercube", "sobol"),
    "sweep.simulation": ("Simulation",),
    "verbs.run": ("Run", "run", "open", "runs"),
    "verbs.plan": ("Forecast", "plan"),
    "sweep.file": ("read_sweep",),
    "errors": ("SimferryError",),
    "r": ("r",),  # the module itself
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:
    from . import r
    from .errors import SimferryError
    from .sweep.design import Design, grid, latin_hypercube, random, sobol, table, zipped
    from .sweep.file import read_sweep
    from .sweep.simulation import Simulation
    from .verbs.plan import Forecast, plan
    from .verbs.run import Run, open, run, runs


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'simferry' has no attribute {name!r}")
    module = import_module(f".{_HOME[name]}", __name__)
    value = module if name == "r" else getattr(module, name)
    globals()[name] = value
    return value


class _Renamed:
    """Modules by the names that they had before: functions that were pickled for earlier runs refer to them."""

    names = dict(  # noqa: RUF012
        rpy="r", design="sweep.design", simulation="sweep.simulation", forecast="verbs.plan", registry="images.registry"
    )

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        known = name.removeprefix(f"{__name__}.") in self.names and name.startswith(f"{__name__}.")
        return ModuleSpec(name, self) if known else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        own = self.names[module.__name__.removeprefix(f"{__name__}.")]
        sys.modules[module.__name__] = import_module(f"{__name__}.{own}")


sys.meta_path.append(_Renamed())


def __dir__() -> list[str]:
    return __all__
