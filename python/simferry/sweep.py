"""Sweep files: a whole sweep in one TOML file.

[simulation]
script = "simulate.R"          # or program = "./simulate"; paths are relative to this file
function = "simulate"
include = ["helpers.R"]
# args = "--args {n} {effect}"  makes it a whole script; results_file = "result.csv"

[design.grid]                  # or .zipped, .table (file = "conditions.csv"), .random, .latin_hypercube, .sobol
n = [10, 20, 50]
[design.types]
n = "integer"

[run]
replications = 1000
seed = 2026

[local]
workers = 2
"""

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from . import design as designs
from .errors import SweepFileError, nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = bool | int | float | str
Values = Value | list[Value]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SimulationTable(_Table):
    script: str | None = None
    program: str | None = None
    function: str = "simulate"
    args: str | None = None
    include: list[str] = []
    results_file: str = ""


class FileTable(_Table):
    file: str


class Range(_Table):
    low: int | float
    high: int | float


class SampledTable(_Table):
    size: int
    seed: int = 1
    parameters: dict[str, Range | list[Value]]


class DesignTable(_Table):
    grid: dict[str, Values] | None = None
    zipped: dict[str, Values] | None = None
    table: FileTable | None = None
    random: SampledTable | None = None
    latin_hypercube: SampledTable | None = None
    sobol: SampledTable | None = None
    types: dict[str, str] = {}


class RunTable(_Table):
    replications: int | None = None
    seed: int | None = None
    common: str | list[str] = []
    store: str | None = None
    backend: str = "local"
    on_error: str = "continue"
    replication_timeout: float | int | None = None
    retries: int = 2
    cores: int | None = None
    fresh: bool = False


class LocalTable(_Table):
    workers: int | None = None


class SweepTable(_Table):
    simulation: SimulationTable
    design: DesignTable = DesignTable()
    run: RunTable = RunTable()
    local: LocalTable = LocalTable()


def read_sweep(path: str | Path) -> dict[str, Any]:
    """A sweep file as the arguments of `simferry.run`. Raises SweepFileError that names every fault at once."""
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SweepFileError(f"there is no sweep file {path}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepFileError(f"{path} is not TOML: {error}") from None
    try:
        sweep = SweepTable.model_validate(content)
    except ValidationError as error:
        faults = "\n".join(f"  {_fault(e, content)}" for e in error.errors())
        raise SweepFileError(f"{path} has faults:\n{faults}") from None
    simulation = sweep.simulation
    if (simulation.script is None) == (simulation.program is None):
        raise SweepFileError(f"{path}: [simulation] needs a script or a program, and not both")
    target = simulation.script or simulation.program or ""
    beside = path.parent / target
    out: dict[str, Any] = {
        "simulation": beside if simulation.script or beside.is_file() else target,
        "design": _design(sweep.design, path),
        **simulation.model_dump(include={"function", "args", "include", "results_file"}),
        **sweep.run.model_dump(),
        "workers": sweep.local.workers,
    }
    if out["store"] and "://" not in out["store"]:
        out["store"] = path.parent / out["store"]
    return out


def _design(table: DesignTable, path: Path) -> Any:
    kinds = [name for name in ("grid", "zipped", "table", "random", "latin_hypercube", "sobol") if getattr(table, name)]
    if len(kinds) > 1:
        raise SweepFileError(f"{path}: [design] has both {kinds[0]} and {kinds[1]}; a design is made in one way")
    if not kinds:
        return designs.Design({})
    kind, given = kinds[0], getattr(table, kinds[0])
    make = getattr(designs, kind)
    if kind == "table":
        return make(path.parent / given.file, types=table.types)
    if kind in ("grid", "zipped"):
        return make(given, types=table.types)
    sources = {n: (s.low, s.high) if isinstance(s, Range) else s for n, s in given.parameters.items()}
    return make(given.size, sources, seed=given.seed, types=table.types)


def _fault(error: Any, content: Any) -> str:
    """One fault as `[table] key: what is wrong`, with the nearest known key."""
    place = [str(part) for part in error["loc"] if str(part) not in ("bool", "int", "float", "str", "list", "Range")]
    place = [p for p in place if "[" not in p]
    where = f"[{'.'.join(place[:-1])}] {place[-1]}" if len(place) > 1 else f"[{place[0]}]"
    if error["type"] == "extra_forbidden":
        known = list(_known(place[:-1]))
        hint = nearest(place[-1], known) or "Known here: " + ", ".join(known) + "."
        return f"{where} is not known. {hint}"
    given = error.get("input")
    value = f" (it is {given!r})" if not isinstance(given, dict) else ""
    return f"{where}: {error['msg'].lower()}{value}"


def _known(place: list[str]) -> dict[str, Any]:
    """The keys that a table may have."""
    model: Any = SweepTable
    for name in place:
        annotation = model.model_fields[name].annotation
        model = next((a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields")), model)
    return dict(model.model_fields)
