"""Sweep files: a whole sweep in one TOML file.

[simulation]
script = "simulate.R"          # or program = "./simulate"; paths are relative to this file
function = "simulate"
include = ["helpers.R"]
# args = "{n} {effect}"  makes it a whole script; results_file = "result.csv"

[design.grid]                  # or .zipped, .table (file = "conditions.csv"), .random, .latin_hypercube, .sobol
n = [10, 20, 50]
[design.types]
n = "integer"

[run]
replications = 1000
seed = 2026

[local]                        # a table for each backend, with its options
workers = 2

[inputs]                       # files that it reads in $SIMFERRY_INPUT/NAME
data = "data.csv"              # or "s3://bucket/folder/", or {place = ..., mode = "Pipe", sharded = true}
"""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..errors import DesignError, SweepFileError, nearest
from ..files import is_address
from . import design as designs

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Value = bool | int | float | str
Values = Value | list[Value]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class SimulationTable(_Table):
    script: str | None = None
    program: str | None = None
    function: str = "simulate"
    args: str | None = None
    include: list[str] = []
    results_file: str = ""

    @model_validator(mode="after")
    def one_target(self) -> "SimulationTable":
        if (self.script is None) == (self.program is None):
            raise ValueError("a script or a program has to be named, and not both")
        return self


class FileTable(_Table):
    file: str


class Range(_Table):
    low: int | float
    high: int | float


class SampledTable(_Table):
    size: Positive
    seed: Seed = 1
    parameters: dict[str, Range | list[Value]]


class DesignTable(_Table):
    grid: dict[str, Values] | None = None
    zipped: dict[str, Values] | None = None
    table: FileTable | None = None
    random: SampledTable | None = None
    latin_hypercube: SampledTable | None = None
    sobol: SampledTable | None = None
    types: dict[str, Literal["number", "integer", "logical", "string"]] = {}

    @property
    def kinds(self) -> list[str]:
        """The ways in which the design is made: there should be one."""
        return [name for name in type(self).model_fields if name != "types" and getattr(self, name) is not None]

    @model_validator(mode="after")
    def one_kind(self) -> "DesignTable":
        if len(self.kinds) > 1:
            raise ValueError(f"a design is made in one way, not by {' and '.join(self.kinds)}")
        return self


class RunTable(_Table):
    replications: Positive | None = None
    seed: Seed | None = None
    common: str | list[str] = []
    store: str | None = None
    backend: str = "local"
    on_error: Literal["continue", "stop"] = "continue"
    replication_timeout: Annotated[float, Field(gt=0)] | None = None
    retries: Annotated[int, Field(ge=0)] = 2
    cores: Positive | None = None
    keep_files: bool = False
    fresh: bool = False


class LocalTable(_Table):
    workers: Positive | None = None


class DockerTable(_Table):
    image: str | None = None
    workers: Positive | None = None
    instance_type: str | None = None
    jobs: Positive | None = None
    max_runtime: Annotated[float, Field(gt=0)] | None = None
    hosts: Positive | None = None


class SagemakerTable(_Table):
    image: str | None = None
    role: str | None = None
    instance_type: str | list[str] | None = None
    jobs: Positive | None = None
    max_runtime: Annotated[float, Field(gt=0)] | None = None
    hosts: Positive | None = None
    workers: Positive | None = None
    volume: Positive | None = None
    budget: Annotated[float, Field(gt=0)] | None = None
    subnets: list[str] | None = None
    security_groups: list[str] | None = None
    kms_key: str | None = None
    network_isolation: bool | None = None
    encrypt_traffic: bool | None = None
    tags: dict[str, str] | None = None


class InputTable(_Table):
    place: str
    mode: Literal["File", "Pipe"] = "File"
    sharded: bool = False


class SweepTable(_Table):
    simulation: SimulationTable
    inputs: dict[str, str | InputTable] = {}
    design: DesignTable = DesignTable()
    run: RunTable = RunTable()
    local: LocalTable = LocalTable()
    docker: DockerTable = DockerTable()
    sagemaker: SagemakerTable = SagemakerTable()


def read_sweep(path: str | Path, backend: str | None = None) -> dict[str, Any]:
    """A sweep file as the arguments of `simferry.run`. Raises SweepFileError that names every fault at once.

    path: of the TOML file. backend: another one than the file's; the options are then those of the file's table of that name.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        here = [p.name for p in path.parent.glob("*.toml")]
        hint = nearest(path.name, here) or f"Looked in {path.parent.resolve()}."
        raise SweepFileError(f"there is no sweep file {path}", hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepFileError(f"{path} is not TOML: {error}") from None
    try:
        sweep = SweepTable.model_validate(content)
    except ValidationError as error:
        faults = list({place: fault for place, fault in map(_fault, reversed(error.errors()))}.values())[::-1]
        if len(faults) == 1:
            raise SweepFileError(f"{path}: {faults[0]}") from None
        raise SweepFileError(f"{path} has {len(faults)} faults:\n" + "\n".join(f"  {f}" for f in faults)) from None
    simulation = sweep.simulation
    target = simulation.script or simulation.program or ""
    beside = path.parent / Path(target).expanduser()
    out: dict[str, Any] = {
        "simulation": beside if simulation.script or beside.is_file() else target,
        "design": _design(sweep.design, path),
        **simulation.model_dump(include={"function", "args", "include", "results_file"}),
        **sweep.run.model_dump(),
    }
    out["backend"] = backend or sweep.run.backend
    place = getattr(sweep, out["backend"], None)
    if isinstance(place, _Table):
        out |= place.model_dump()
    if out["store"] and not is_address(out["store"]):
        out["store"] = path.parent / Path(out["store"]).expanduser()
    out["inputs"] = {name: _input(given, path.parent) for name, given in sweep.inputs.items()}
    return out


def _input(given: str | InputTable, folder: Path) -> dict[str, Any]:
    """An input's fields; paths are relative to the sweep file."""
    fields = {"place": given} if isinstance(given, str) else given.model_dump()
    place = fields["place"]
    return {**fields, "place": place if is_address(place) else str(folder / Path(place).expanduser())}


def _design(table: DesignTable, path: Path) -> Any:
    if not table.kinds:
        return designs.Design({})
    kind = table.kinds[0]
    given = getattr(table, kind)
    make = getattr(designs, kind)
    try:
        if kind == "table":
            return make(path.parent / Path(given.file).expanduser(), types=table.types)
        if kind in ("grid", "zipped"):
            return make(given, types=table.types)
        sources = {n: (s.low, s.high) if isinstance(s, Range) else s for n, s in given.parameters.items()}
        return make(given.size, sources, seed=given.seed, types=table.types)
    except DesignError as error:
        raise DesignError(f"{path}, [design.{kind}]: {error.message}", error.hint) from None


def _fault(error: Any) -> tuple[str, str]:
    """A fault's place, and the fault as `[table] key: what is wrong`, with the nearest known key."""
    known, place = _known([str(part) for part in error["loc"]])
    where = f"[{'.'.join(place[:-1])}] {place[-1]}" if len(place) > 1 else f"[{place[0]}]"
    if place[:-1] in (["design", "grid"], ["design", "zipped"]):
        says = ": values are numbers, strings, true and false, or a list of those"
    elif place[0] == "design" and place[-2:-1] == ["parameters"]:
        says = ": a range is {low = 1, high = 2}, a choice a list of values"
    elif error["type"] == "extra_forbidden":
        says = f" is not known. {nearest(place[-1], known) or 'Known here: ' + ', '.join(known) + '.'}"
    elif error["type"] == "missing":
        says = " is missing"
    elif error["type"] == "value_error":
        says = f": {error['ctx']['error']}"
    else:
        table = error["type"] in ("model_type", "dict_type")
        should = "should be a table" if table else error["msg"].removeprefix("Input ").lower()
        says = f" {should} (it is {error['input']!r})"
    return where, where + says


def _known(location: list[str]) -> tuple[list[str], list[str]]:
    """The keys that are known where a fault is, and its place in the file: pydantic's, which names the types it tried, up
    to the first key below which a value stands."""
    model: Any = SweepTable
    known: list[str] = []
    for depth, name in enumerate(location):
        known = list(model.model_fields)
        if name not in known:
            return known, location[: depth + 1]
        annotation = model.model_fields[name].annotation
        inner = next((a for a in (annotation, *get_args(annotation)) if hasattr(a, "model_fields")), None)
        if inner is None:  # a value, or a table of parameters
            of_parameters = "dict" in str(annotation)
            return known, location[: depth + 2 if of_parameters else depth + 1]
        model = inner
    return known, location
