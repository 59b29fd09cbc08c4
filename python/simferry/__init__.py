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

# The public names, by module. Modules are loaded at first use, so that `import simferry` is instant.
_PUBLIC = {
    "sweep.design": ("Design", "grid", "zipped", "table"),
    "sweep.sampling": ("random", "latin_hypercube", "sobol"),
    "sweep.replications": ("column",),
    "sweep.simulation": ("Simulation",),
    "sweep.sweep": ("Sweep",),
    "verbs.run": ("run",),
    "verbs.runs": ("Run", "open", "runs"),
    "verbs.plan": ("Forecast", "plan"),
    "verbs.serve": ("serve",),
    "verbs.measures": ("measures", "contrast"),
    "verbs.plot": ("plot",),
    "verbs.diff": ("Diff", "diff"),
    "search.space": ("space",),
    "search.optimizer": ("optimizer",),
    "driver.progress": ("Progress",),
    "sweep.file": ("read_sweep",),
    "errors": ("SimferryError",),
    "hosting.endpoint": ("Endpoint", "endpoints"),
    "hosting.batch_transform": ("transform",),
    "images": ("images",),  # the modules themselves
    "infra": ("infra",),
    "r": ("r",),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = ["__version__", *sorted(_HOME)]

if TYPE_CHECKING:  # for type checkers, `as` makes a name public
    from . import images as images
    from . import infra as infra
    from . import r as r
    from .driver.progress import Progress as Progress
    from .errors import SimferryError as SimferryError
    from .hosting.batch_transform import transform as transform
    from .hosting.endpoint import Endpoint as Endpoint
    from .hosting.endpoint import endpoints as endpoints
    from .search.optimizer import optimizer as optimizer
    from .search.space import space as space
    from .sweep.design import Design as Design
    from .sweep.design import grid as grid
    from .sweep.design import table as table
    from .sweep.design import zipped as zipped
    from .sweep.file import read_sweep as read_sweep
    from .sweep.replications import column as column
    from .sweep.sampling import latin_hypercube as latin_hypercube
    from .sweep.sampling import random as random
    from .sweep.sampling import sobol as sobol
    from .sweep.simulation import Simulation as Simulation
    from .sweep.sweep import Sweep as Sweep
    from .verbs.diff import Diff as Diff
    from .verbs.diff import diff as diff
    from .verbs.measures import contrast as contrast
    from .verbs.measures import measures as measures
    from .verbs.plan import Forecast as Forecast
    from .verbs.plan import plan as plan
    from .verbs.plot import plot as plot
    from .verbs.run import run as run
    from .verbs.runs import Run as Run
    from .verbs.runs import open as open
    from .verbs.runs import runs as runs
    from .verbs.serve import serve as serve
else:  # hidden from type checkers, so that they report unknown names

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'simferry' has no attribute {name!r}")
        module = import_module(f".{_HOME[name]}", __name__)
        value = module if name == _HOME[name] else getattr(module, name)
        globals()[name] = value
        return value


class _Renamed:
    """Finds modules by their earlier names, to which pickled functions of earlier runs refer."""

    names = dict(  # noqa: RUF012
        rpy=["r"], design=["sweep.design", "sweep.sampling"], simulation=["sweep.simulation"], forecast=["verbs.plan"],
        registry=["images.registry"],
    )  # fmt: skip

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        known = name.removeprefix(f"{__name__}.") in self.names and name.startswith(f"{__name__}.")
        return ModuleSpec(name, self) if known else None  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        names = self.names[module.__name__.removeprefix(f"{__name__}.")]
        homes = [import_module(f"{__name__}.{name}") for name in names]

        def find(name: str) -> Any:
            for home in homes:
                if hasattr(home, name):
                    return getattr(home, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        vars(module)["__getattr__"] = find


sys.meta_path.append(_Renamed())


def __dir__() -> list[str]:
    return __all__
