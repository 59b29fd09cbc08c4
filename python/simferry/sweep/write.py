"""Writes sweep files, which `read_sweep` reads as equal sweeps."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import DesignError, UsageError
from ..system.files import is_address, write_whole, writing
from .design import Design, table
from .lists import as_texts
from .measure_options import MeasureOptions
from .options import Options, RunOptions, offered
from .simulation import Simulation
from .study_options import StudyOptions

FEW = 20  # conditions, at most, that the sweep file itself holds


def write_sweep(
    simulation: Simulation,
    design: Design,
    options: RunOptions,
    backend: Options,
    measures: MeasureOptions,
    study: StudyOptions,
    path: Path,
) -> None:
    """Write a sweep file; many conditions go to a CSV file of the same name, which is written first. Raises UsageError."""
    if simulation.is_object:
        raise UsageError(
            f"simulation is function {simulation.function}, and a sweep file can't hold a function object",
            "Put it into a script, and give its path.",
        )
    if path.suffix.lower() != ".toml":
        raise UsageError(f"a sweep file ends in .toml, and {path.name} does not")
    kind = "program" if simulation.language in ("command", "image") else "script"
    target = (
        (simulation.script or str(simulation.target))
        if simulation.path is None
        else _relative(simulation.path, path.parent)
    )
    called = {
        kind: target, "function": simulation.function, "args": simulation.args,
        "include": [_included(simulation, entry) for entry in simulation.include],
        "results_file": simulation.results_file or None, "env": dict(simulation.env) or None,
        "metric": dict(simulation.metric) or None, "replications_as": simulation.replications_as or None,
        "seed_as": simulation.seed_as or None, "project": simulation.project or None, 
        "large_project": simulation.large_project or None,
    }  # fmt: skip
    if simulation.kind != "function" or simulation.function == "simulate":
        del called["function"]
    tables: dict[str, Mapping[str, Any]] = {"simulation": called}
    for name, one in simulation.inputs.items():
        source = one.source if is_address(one.source) else _relative(Path(one.source), path.parent)
        tables[f"inputs.{name}"] = {"place": source, "mode": one.mode, "sharded": one.sharded or None}
    run = {"backend": backend.table, **options.given()}
    if "store" in run and not is_address(str(run["store"])):
        run["store"] = _relative(Path(run["store"]), path.parent)
    before = {} if simulation.before is None else {"before": _relative(simulation.setup_script, path.parent)}
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no folder {path.parent}")
    with writing(path, "Choose another path for the sweep file."):
        tables |= _design(design, path)
        tables |= {"run": run, "measures": measures.given(), "study": study.given()}
        tables[backend.table] = {**given_by_user(backend), **before}
        text = "\n".join(_table(name, content) for name, content in tables.items() if content)
        try:
            encoded = text.encode()
        except UnicodeEncodeError as error:
            wrong = ascii(text[text.rfind("\n", 0, error.start) + 1 :].partition("\n")[0])
            raise UsageError(f"a sweep file can't hold a name that is not Unicode text: {wrong}") from None
        write_whole(path, encoded)


def given_by_user(options: Options) -> dict[str, Any]:
    """The options that were given, without what simferry sets itself."""
    return {name: value for name, value in options.given().items() if name in offered(type(options))}


def _design(design: Design, path: Path) -> dict[str, Mapping[str, Any]]:
    if not design.names:
        return {}
    columns = {name: design.table[name].to_pylist() for name in design.names}
    few = len(design) <= FEW and not any(_has_none(values) for values in columns.values())
    if few:
        return {"design.zipped": columns, "design.types": design.types}
    from pyarrow import csv

    sink = pa.BufferOutputStream()
    csv.write_csv(as_texts(design.table), sink)
    beside = path.with_suffix(".csv")
    tables: dict[str, Mapping[str, Any]] = {"design.table": {"file": beside.name}, "design.types": design.types}
    if not beside.exists() or _is_ours(path, tables["design.table"]):
        write_whole(beside, sink.getvalue().to_pybytes())
    elif not _holds(beside, design):
        raise UsageError(
            f"the design goes to {beside}, which is another file already",
            "Give the sweep file another name.",
        )
    return tables


def _has_none(values: list[Any]) -> bool:
    return any(value is None or (isinstance(value, list) and _has_none(value)) for value in values)


def _is_ours(path: Path, table: Mapping[str, Any]) -> bool:
    """Whether the file that is there has its design in that table: it is written anew, and the table too."""
    return path.exists() and _table("design.table", table) in path.read_text(encoding="utf-8", errors="replace")


def _holds(file: Path, design: Design) -> bool:
    try:
        return table(file, types=design.types) == design
    except DesignError:
        return False


def _included(simulation: Simulation, entry: str | Path) -> str:
    """The path relative to the script's folder if it is inside, or was given so, else absolute: the sweep file may be read from
    elsewhere."""
    path, folder = simulation.included(entry), simulation.folder
    if simulation.path is not None and simulation.is_above(path, entry):
        return Path(os.path.relpath(path, folder)).as_posix()
    stays = simulation.path is not None and path.is_relative_to(folder)  # a program on the PATH has no folder
    return path.relative_to(folder).as_posix() if stays else str(path)


def _relative(path: Path, folder: Path) -> str:
    whole, base = Path(os.path.abspath(path.expanduser())), Path(os.path.abspath(folder))
    return whole.relative_to(base).as_posix() if whole.is_relative_to(base) else str(whole)


def _table(name: str, content: Mapping[str, Any]) -> str:
    lines = [f"{_key(key)} = {_value(value)}\n" for key, value in content.items() if value not in (None, [])]
    return f"[{name}]\n{''.join(lines)}"


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, (str, Path)):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {_value(one)}' for key, one in value.items())}}}"
    return f"[{', '.join(map(_value, value))}]" if isinstance(value, (list, tuple)) else str(value)
