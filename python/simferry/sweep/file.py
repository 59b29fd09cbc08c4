"""Sweep files: a whole sweep in one TOML file.

[simulation]
script = "simulate.R"          # or program = "./simulate"; paths are relative to this file
function = "simulate"
include = ["helpers.R"]
env = {TASK = "{condition}"}   # environment variables
# args = "{n} {effect}"  makes it a whole script; results_file = "result.csv"

[design.grid]                  # or .zipped, .table (file = "conditions.csv"), .random, .latin_hypercube, .sobol
n = [10, 20, 50]
beta = [[1, 0], [1, 0.5, 2]]   # two lists
[design.types]
n = "integer"

[run]
replications = 1000
seed = 2026

[measures]                     # what the outputs are, for bias, coverage ...
estimate = "est"
truth = "effect"               # a number, a parameter, a column, or a table: "truths.csv"

[study]                        # for its report; also data_generating_mechanisms, estimands, methods, performance_measures
aims = "Which test has more power?"

[local]                        # a table for each backend, with its options
workers = 2

[inputs]                       # files that it reads in $SIMFERRY_INPUT/NAME
data = "data.csv"              # or "s3://bucket/folder/", or {place = ..., mode = "Pipe", sharded = true}
"""

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from ..errors import DesignError, SweepFileError, nearest
from ..hints import Face
from ..system.files import is_address
from . import design as designs
from . import image_program, sampling
from .any_table import is_table_file
from .inputs import MODES
from .measure_options import MeasureOptions
from .option_base import Fault
from .option_values import OptionSpec
from .options import BACKENDS, Options, RunOptions, SimulationOptions, fields_of, offered, read
from .parameters import TYPES
from .study_options import StudyOptions
from .sweep import Sweep

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = {
    "grid": designs.grid, "zipped": designs.zipped, "table": designs.table, "random": sampling.random,
    "latin_hypercube": sampling.latin_hypercube, "sobol": sampling.sobol,
}  # fmt: skip


@dataclass(frozen=True)
class SimulationTable(SimulationOptions):
    """The table [simulation]: its options, and the simulation itself."""

    script: Annotated[str | None, OptionSpec("an R or Python script")] = None
    program: Annotated[str | None, OptionSpec("a program")] = None


@dataclass(frozen=True)
class RunTable(RunOptions):
    """The table [run]: its options, and the backend."""

    backend: Annotated[str | None, OptionSpec("where jobs run", choices=tuple(BACKENDS))] = None


@dataclass(frozen=True)
class FileTable(Options):
    table = "design.table"
    owner = "a design that is read"

    file: Annotated[str | None, OptionSpec("a CSV or Parquet file")] = None


@dataclass(frozen=True)
class InputTable(Options):
    table = "inputs"
    owner = "an input"

    place: Annotated[str | None, OptionSpec("a file, a folder or an address in S3")] = None
    mode: Annotated[str, OptionSpec("how it is read", choices=MODES)] = "File"
    sharded: Annotated[bool, OptionSpec("each host gets its share")] = False


OPTIONS: dict[str, type[Options]] = {
    "simulation": SimulationTable,
    "run": RunTable,
    "measures": MeasureOptions,
    "study": StudyOptions,
    **BACKENDS,
}
TABLES = ("simulation", "inputs", "design", "run", "measures", "study", *BACKENDS)


def read_sweep(path: str | Path, backend: str | None = None) -> Sweep:
    """The sweep of a sweep file.

    path: of the TOML file. backend: used instead of the file's, with the options in the file's table of that name.

    Raises SweepFileError that names every fault at once, with its line.
    """
    return Sweep(**arguments(path, backend))


def arguments(path: str | Path, backend: str | None = None) -> dict[str, Any]:
    """A sweep file as arguments of `Sweep`, so that callers can change some of them first."""
    path = Path(path)
    text, content = _content(path)
    found = _Reader(content)
    simulation = found.options(SimulationTable, "simulation")
    run = found.options(RunTable, "run")
    measures = found.options(MeasureOptions, "measures")
    study = found.options(StudyOptions, "study")
    backends = {name: found.options(kind, name) for name, kind in BACKENDS.items()}
    inputs = found.inputs()
    design = found.design()
    if (
        isinstance(content.get("simulation"), dict)
        and simulation
        and (simulation.script is None) == (simulation.program is None)
    ):
        found.add("simulation", "", "[simulation] needs a script or a program, and not both")
    _refuse(path, text, found.faults)
    assert simulation and run and measures and study
    name = backend or run.backend or "local"
    target = simulation.script or simulation.program or ""
    beside = path.parent / Path(target).expanduser()
    out = {
        **simulation.given(),
        **run.given(),
        **measures.given(),
        **(backends[name].given() if backends.get(name) else {}),
    }
    out = {option: value for option, value in out.items() if option not in ("script", "program")}
    if "store" in out and not is_address(out["store"]):
        out["store"] = path.parent / Path(out["store"]).expanduser()
    if "before" in out:
        out["before"] = path.parent / Path(out["before"]).expanduser()
    if is_table_file(out.get("truth")):
        out["truth"] = str(path.parent / Path(out["truth"]).expanduser())
    out["inputs"] = {name: {**one.given(), "place": _source(one.place, path.parent)} for name, one in inputs.items()}
    is_name = target.startswith(image_program.PREFIX) or not (simulation.script or beside.is_file())
    script = target if is_name else beside
    if study.given():
        out["study"] = study.given()
    return {**out, "simulation": script, "design": _design(*design, path), "backend": name}


def _content(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        here = [p.name for p in path.parent.glob("*.toml")]
        hint = nearest(path.name, here) or f"Looked in {path.parent.resolve()}."
        raise SweepFileError(f"there is no sweep file {path}", hint) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SweepFileError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise SweepFileError(f"{path} can't be read: {error.strerror or error}") from None


class _Reader:
    """Reads the tables of a sweep file, and collects all faults."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.faults: list[Fault] = []
        for name in content:
            if name not in TABLES:
                belongs = "" if isinstance(content[name], dict) else self.belongs("", name)
                self.add(
                    name, "", f"{name} {belongs}" if belongs else f"there is no table [{name}]. {_near(name, TABLES)}"
                )
        if "simulation" not in content:
            self.add("simulation", "", "[simulation] is missing")

    def add(self, table: str, name: str, message: str) -> None:
        self.faults.append(Fault(table, name, message))

    def table(self, name: str, content: Mapping[str, Any] | None = None) -> dict[str, Any]:
        value = (self.content if content is None else content).get(name.rpartition(".")[2], {})
        if isinstance(value, dict):
            return value
        self.add(name, "", f"[{name}] has to be a table (it is {value!r})")
        return {}

    def options(self, kind: type[Any], name: str, given: Mapping[str, Any] | None = None) -> Any:
        values, faults = read(kind, self.table(name) if given is None else given)
        for one in faults:
            belongs = "" if one.name in fields_of(kind) else self.belongs(name, one.name)
            self.add(name, one.name, f"[{name}] {one.name} {belongs}" if belongs else _spelled(one, kind.table, name))
        return values

    def belongs(self, table: str, name: str) -> str:
        """In words, the table of an option that is in another table; empty if no other one has it, or only other backends do."""
        homes = [home for home, kind in OPTIONS.items() if home != table and name in offered(kind)]
        if table in BACKENDS and set(homes) <= set(BACKENDS):
            return ""
        run = self.content.get("run")
        used = run.get("backend", "local") if isinstance(run, dict) else "local"
        homes = [used] if used in homes else homes
        return f"belongs in {' or '.join(f'[{home}]' for home in homes)}" if homes else ""

    def inputs(self) -> dict[str, Any]:
        out = {}
        for name, given in self.table("inputs").items():
            fields = {"place": given} if isinstance(given, str) else given
            if not isinstance(fields, dict) or "place" not in fields:
                self.add(
                    "inputs",
                    name,
                    f'[inputs] {name} has to be a path or an address in S3, or {{place = "...", mode = "Pipe"}}',
                )
            elif one := self.options(InputTable, f"inputs.{name}", fields):
                out[name] = one
        return out

    def design(self) -> tuple[str, Any, dict[str, str]]:
        """The kind of the design, what it is made of, and the types that are declared."""
        table = self.table("design")
        kinds = [name for name in table if name in KINDS]
        for name in table:
            if name not in KINDS and name != "types":
                self.add("design", name, f"there is no design [design] {name}. {_near(name, [*KINDS, 'types'])}")
        if len(kinds) > 1:
            self.add("design", "", f"[design]: a design is made in one way, not by {' and '.join(kinds)}")
        types = self.table("design.types", table)
        for name, kind in types.items():
            if not isinstance(kind, str) or kind not in TYPES:
                self.add("design.types", name, f"[design.types] {name} is {kind!r}; it has to be {', '.join(TYPES)}")
        if not kinds:
            return "", {}, types
        kind = kinds[0]
        file = {"table": {"file": table[kind]}} if kind == "table" and isinstance(table[kind], str) else None
        given = self.table(f"design.{kind}", file or table)
        if kind == "table":
            made = self.options(FileTable, "design.table", given)
            if made and made.file is None:
                self.add("design.table", "file", "[design.table] file is missing")
            return kind, made, types
        if kind in ("grid", "zipped"):
            for name, values in given.items():
                if not _are_values(values):
                    says = "values are numbers, strings, true and false, lists of those, or a list of such values"
                    self.add(f"design.{kind}", name, f"[design.{kind}] {name}: {says}")
            return kind, given, types
        return kind, self._sampled(kind, given), types

    def _sampled(self, kind: str, given: Mapping[str, Any]) -> Any:
        heading = f"design.{kind}"
        made = self.options(sampling.DrawnOptions, heading, {n: v for n, v in given.items() if n != "parameters"})
        for name in ("size", "parameters"):
            if name not in given:
                self.add(heading, name, f"[{heading}] {name} is missing")
        sources = {}
        for name, source in self.table(f"{heading}.parameters", given).items():
            ends = source if isinstance(source, dict) else {}
            is_range = set(ends) == {"low", "high"} and all(_is_number(one) for one in ends.values())
            if not is_range and not (isinstance(source, list) and _are_values(source)):
                says = "a range is {low = 1, high = 2}, a choice a list of values"
                self.add(f"{heading}.parameters", name, f"[{heading}.parameters] {name}: {says}")
            sources[name] = (ends["low"], ends["high"]) if is_range else source
        return made, sources


def _spelled(fault: Fault, table: str, heading: str) -> str:
    """A fault in the words of a sweep file. heading: of its table there."""
    message = f"{fault.message.spelled(Face.FILE) if not isinstance(fault.message, str) else fault.message}"
    hint = fault.hint if isinstance(fault.hint, str) else fault.hint.spelled(Face.FILE)
    return (
        f"{message.replace(f'[{table}]', f'[{heading}]')}. {hint}"
        if hint
        else message.replace(f"[{table}]", f"[{heading}]")
    )


def _near(name: str, known: Iterable[str]) -> str:
    return nearest(name, known) or f"Known here: {', '.join(known)}."


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_values(values: Any) -> bool:
    """Whether they are single values, or lists of single values."""
    each = [inside for one in _as_list(values) for inside in _as_list(one)]
    return all(isinstance(one, (bool, int, float, str)) for one in each)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _refuse(path: Path, text: str, faults: list[Fault]) -> None:
    located = []
    for fault in faults:
        line = _line_of(text, fault.table, fault.name)
        located.append((line, f"line {line}: {fault.message}" if line else f"{fault.message}"))
    if len(located) == 1:
        line, message = located[0]
        raise SweepFileError(f"{path}{', ' if line else ': '}{message}")
    if located:
        listed = "\n".join(f"  {message}" for _, message in sorted(located))
        raise SweepFileError(f"{path} has {len(located)} faults:\n{listed}")


def _line_of(text: str, table: str, name: str) -> int:
    """The line of a key, or of its table's heading; 0 if neither is found."""
    current, head = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if found := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line):
            current = re.sub(r"[\s\"']", "", found[1])
            head = number if current in (table, f"{table}.{name}") and not head else head
            if current == f"{table}.{name}":
                return number
        elif found := re.match(r"\s*([^=#]+?)\s*=", line):
            key = re.sub(r"[\s\"']", "", f"{current}.{found[1]}".lstrip("."))
            if key == (f"{table}.{name}" if name else table):
                return number
    return head


def _source(source: str, folder: Path) -> str:
    """An input's source; paths are relative to the sweep file."""
    return source if is_address(source) else str(folder / Path(source).expanduser())


def _design(kind: str, made: Any, types: dict[str, str], path: Path) -> designs.Design:
    if not kind:
        return designs.Design({})
    make: Any = KINDS[kind]
    try:
        if kind == "table":
            return make(path.parent / Path(made.file).expanduser(), types=types)  # type: ignore[no-any-return]
        if kind in ("grid", "zipped"):
            return make(made, types=types)  # type: ignore[no-any-return]
        options, sources = made
        return make(options.size, sources, seed=options.seed, types=types)  # type: ignore[no-any-return]
    except DesignError as error:
        raise DesignError(f"{path}, [design.{kind}]: {error.message}", error.hint) from None
