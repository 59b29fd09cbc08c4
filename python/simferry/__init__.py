"""simferry runs a statistical simulation many times with varied parameters, and gives the same numbers everywhere.

import simferry as sf

run = sf.run("simulate.R", sf.grid(n=[10, 20, 50]), replications=1000, seed=2026)
run.results()      # pandas.DataFrame: condition, replication, parameters, outputs
run.summary()      # per condition: n, failed, mean, sd and Monte Carlo standard error of each numeric output
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# The public face, by the module that holds it. Loaded at first use, so that `import simferry` is instant.
_PUBLIC = {
    "design": ("Design", "grid", "zipped", "table", "random", "latin_hypercube", "sobol"),
    "simulation": ("Simulation",),
    "verbs": ("Run", "run", "open", "runs"),
    "forecast": ("Forecast", "plan"),
    "sweep": ("read_sweep",),
    "errors": ("SimferryError",),
    "rpy": ("r",),  # the module itself
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:
    from . import rpy as r
    from .design import Design, grid, latin_hypercube, random, sobol, table, zipped
    from .errors import SimferryError
    from .forecast import Forecast, plan
    from .simulation import Simulation
    from .sweep import read_sweep
    from .verbs import Run, open, run, runs


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'simferry' has no attribute {name!r}")
    module = import_module(f".{_HOME[name]}", __name__)
    value = module if name == "r" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
