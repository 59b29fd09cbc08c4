"""The records of a run folder: run.json, plan.json and the records of jobs.

Anybody who can write to a store may have written them. Each field is therefore checked before it is used.
"""

import datetime
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import StoreError
from ..system import untrusted
from . import steps
from .counts import Counts, simplest
from .keys import JobId
from .steps import Step

MOST_BYTES = 1 << 26  # of a record
MOST_JOBS = 100_000  # of a plan
INPUT_NAME = r"(?!code$|plan$)[A-Za-z][A-Za-z0-9_-]{0,60}"
Check = Callable[[Any], str]  # what the value has to be, in words, if it is wrong; else empty


def _whole(least: int, most: int = 2**31 - 1) -> Check:
    def check(value: Any) -> str:
        fits = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return "" if fits else f"a whole number from {least} to {most}"

    return check


def _a(kind: type | tuple[type, ...], words: str) -> Check:
    return lambda value: "" if isinstance(value, kind) and not isinstance(value, bool) else words


def _or_none(check: Check) -> Check:
    return lambda value: "" if value is None else check(value)


def _one_of(*known: Any) -> Check:
    return lambda value: "" if isinstance(value, str) and value in known else f"one of {', '.join(map(repr, known))}"


def _time(value: Any) -> str:
    try:
        datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return "a time"
    return ""


def _moment(value: Any) -> str:
    return _time(value) or ("" if datetime.datetime.fromisoformat(value).tzinfo else "a time with its zone")


def _simulation(value: Any) -> str:
    from ..jobs.streams import VERSIONS

    if problem := _fields(value, _SIMULATION):
        return problem
    known = (value["language"], value["kind"]) in VERSIONS
    return "" if known else f"no {value['kind']!r} of language {value['language']!r}"


def _parameters(value: Any) -> str:
    known = ("number", "integer", "logical", "string")
    kinds = {*known, *(f"{kind} {container}" for kind in known for container in ("list", "array"))}
    fits = isinstance(value, dict) and all(isinstance(kind, str) and kind in kinds for kind in value.values())
    return "" if fits else f"the type of each parameter, {', '.join(known)}, or a list or an array of one"


def _common(value: Any) -> str:
    fits = value == "all" or (isinstance(value, list) and all(isinstance(name, str) for name in value))
    return "" if fits else "names of parameters"


def _inputs(value: Any) -> str:
    if not isinstance(value, dict):
        return "inputs by name"
    for name, one in value.items():
        if not re.fullmatch(INPUT_NAME, name):
            return f"inputs by name, and {name!r} is no input's name"
        if problem := _fields(one, _INPUT):
            return problem
    return ""


def _own_code(value: Any) -> str:
    if not isinstance(value, list):
        return "a list"
    return next(filter(None, (_fields(one, {"name": _text, "path": _text, "hash": _text}) for one in value)), "")


def _git(value: Any) -> str:
    return _fields(value, {"commit": _text, "clean": _or_none(_logical)})


_text, _logical = _a(str, "a text"), lambda value: "" if isinstance(value, bool) else "true or false"
_object = _a(dict, "an object")
_number = _a((int, float), "a number")

_SIMULATION: dict[str, Check] = {
    "language": _text, "kind": _text, "function": _text, "script": _text, "args": _or_none(_text), "path": _text,
    "results_file": _text, "objects": _text, "private_mount": _logical,
    "folder?": _text, "module?": _text, "loaded_from?": _text,
    "import_from?": lambda value: "" if isinstance(value, list) and all(map(_is_text, value)) else "texts",
    "metric?": lambda value: "" if isinstance(value, dict) and all(map(_is_text, value.values())) else "texts by name",
    "replications_as?": _text, "seed_as?": _text,
    "env?": lambda value: "" if isinstance(value, dict) and all(map(_is_text, value.values())) else "texts by name",
}  # fmt: skip
_INPUT: dict[str, Check] = {
    "place": _text, "mode": _one_of("File", "Pipe"), "sharded": _logical,
    "version": lambda value: "" if re.fullmatch("[0-9a-f]{64}", str(value)) else "a SHA-256",
}  # fmt: skip
_OPTIONS: dict[str, Check] = {
    "backend": _text, "place": _object, "cores": _or_none(_whole(1)), "on_error": _one_of("continue", "stop"),
    "replication_timeout": _or_none(_number), "retries": _whole(0), "chunk_size?": _or_none(_whole(1)),
}  # fmt: skip
# a question mark: it may be absent
_RUN: dict[str, Check] = {
    "format?": _whole(0), "simferry?": _text, "created": _time, "conditions": _whole(1), "seed": _whole(0),
    "replications": lambda value: _counts(value),
    "streams": _or_none(_a((int, str, dict, list), "a version")), "parameters": _parameters, "common": _common,
    "simulation": lambda value: _simulation(value), "options": lambda value: _fields(value, _OPTIONS),
    "environment": _object, "inputs?": lambda value: _inputs(value), "code_hash": _text, "image?": _or_none(_text),
    "own_code?": lambda value: _own_code(value), "name?": _text, "git?": lambda value: _or_none(_git)(value),
    "measures?": lambda value: _measures(value), "until?": lambda value: _until(value),
    "study?": lambda value: _study(value), "search?": _object,
}  # fmt: skip
_PLAN: dict[str, Check] = {
    "reason": _text, "replications": lambda value: _counts(value), "jobs": _whole(0, MOST_JOBS), "to_do": _whole(0, 2**63),
    "workers?": _or_none(_whole(1)),
    "created": _moment, "place": _object, "files?": _text, "limit?": _whole(0), "hosts?": _whole(1),
    "changed_code?": lambda value: "" if isinstance(value, dict) and all(map(_is_text, value.values())) else "hashes by name",
    "types?": lambda value: "" if isinstance(value, list) and value and all(map(_is_text, value)) else "instance types",
    "added?": lambda value: "" if isinstance(value, list) and all(map(_is_text, value)) else "rows of conditions.csv",
    "step?": steps.problem,
}  # fmt: skip
_PRECISION: dict[str, Check] = {
    "settled": _logical, "enough": _whole(0), "condition": _whole(1), "measure": _text, "ratio": lambda value: _or_none(_number)(value),
}  # fmt: skip
_STATES = ("pending", "running", "succeeded", "failed", "cancelled", "lost")
_PROCESS: dict[str, Check] = {
    "pid": _whole(2), "started": _number, "host?": _text, "space?": _text,
}  # fmt: skip


def _counts(value: Any) -> str:
    each = value if isinstance(value, list) and value else [value]
    return next((f"{fault}, or a list of those" for fault in map(_whole(1), each) if fault), "")


def _measures(value: Any) -> str:
    def fits(one: Any) -> bool:
        return isinstance(one, str | int | float) and not isinstance(one, bool)

    known = ("estimate", "truth", "se", "interval", "p_value", "df", "by", "reference", "alpha")
    right = isinstance(value, dict) and all(
        name in known
        and (fits(one) or (isinstance(one, list) and all(map(fits, one))) or (name == "truth" and _is_table(one)))
        for name, one in value.items()
    )
    return "" if right else "columns by their roles"


def _is_table(value: Any) -> bool:
    """Columns of one length by name."""
    columns = list(value.values()) if isinstance(value, dict) else []
    return bool(columns) and all(isinstance(one, list) and len(one) == len(columns[0]) for one in columns)


def _study(value: Any) -> str:
    def fits(one: Any) -> bool:
        return _is_text(one) or (isinstance(one, list) and all(map(_is_text, one)))

    return "" if isinstance(value, dict) and all(map(fits, value.values())) else "texts by name"


def _until(value: Any) -> str:
    if not isinstance(value, dict) or not value:
        return "" if value == {} else "an object"
    return _fields(value, {"targets": _targets, "least": _whole(2), "most": _whole(2)})


def _targets(value: Any) -> str:
    fits = isinstance(value, dict) and value and all(not _number(one) and one > 0 for one in value.values())
    return "" if fits else "numbers above 0 by measure"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _fields(value: Any, fields: Mapping[str, Check]) -> str:
    """What the first wrong field of an object has to be; empty if all are right."""
    if not isinstance(value, dict):
        return "an object"
    for key, check in fields.items():
        name = key.rstrip("?")
        if name not in value:
            if key == name:
                return f"an object with {name!r}"
        elif problem := check(value[name]):
            return problem if problem.startswith("an object with") else f"an object whose {name!r} is {problem}"
    return ""


def parsed(data: bytes | None) -> Any:
    """The value of JSON text. Raises ValueError if it is too long, nested too deeply, or has NaN or Infinity."""
    if data is None:
        raise ValueError("it is not a regular file")
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
    try:
        return json.loads(data, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not a number of JSON")


def read(folder: Path, name: str) -> Any:
    """The value of a JSON file in a folder. Raises FileNotFoundError, or StoreError if it can't be read."""
    try:
        return parsed(untrusted.read(folder, name, MOST_BYTES + 1, absent=True))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / name} can't be read: {error}") from None


@dataclass(frozen=True)
class RecordedOptions:
    """How a run is computed, in the order of run.json. backend_options: `place` in run.json. Times are in seconds."""

    backend: str
    backend_options: dict[str, Any]
    cores: int | None
    on_error: str
    replication_timeout: float | None
    retries: int
    chunk_size: int | None = None
    keep_files: bool = False


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The content of run.json, in its order.

    version: of the simferry that wrote it. created: ISO 8601. simulation: as Simulation.spec() returns it. parameters: types by
    name. streams: version of the rules for random numbers. own_code: None if an old version wrote the file, which did not look for
    own code. name: that its user gave; empty if none. git: see system/git.py. measures: what the outputs are, as options of
    measures. until: targets, least and most of a run that goes on until it is precise enough. study: what its report says of it.
    search: of a run that searches, whose design grows: what, and how.
    written: the whole file; empty before it is read.
    """

    version: str = ""
    created: str
    simulation: dict[str, Any]
    parameters: dict[str, str]
    conditions: int
    replications: Counts
    seed: int
    streams: Any
    common: Any
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    code_hash: str
    own_code: list[dict[str, str]] | None = None
    environment: dict[str, Any]
    image: str | None = None
    pilot: bool = False
    name: str = ""
    git: dict[str, Any] | None = None
    measures: dict[str, Any] = field(default_factory=dict)
    until: dict[str, Any] = field(default_factory=dict)
    study: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)
    options: RecordedOptions
    written: dict[str, Any] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, record: Any, name: object) -> "RunRecord":
        """name: of the file, for errors. Raises StoreError if a field is wrong."""
        checked = _checked(record, _RUN, name)
        replications = _as_counts(checked["replications"])
        if not isinstance(replications, int) and len(replications) != checked["conditions"]:
            raise StoreError(f"{name} can't be read: it has to have as many replications as conditions")
        options = RecordedOptions(**_known(RecordedOptions, checked["options"]))
        return cls(**{**_known(cls, checked), "replications": replications, "options": options, "written": checked})

    def content(self) -> dict[str, Any]:
        """The fields of run.json; the store adds the id and the format."""
        absent = ["written", *(one for one in ("own_code", "git") if getattr(self, one) is None)]
        absent += [one for one in ("name", "measures", "until", "study", "search") if not getattr(self, one)]
        return {**_named(self, *absent), "options": _named(self.options)}


@dataclass(frozen=True, kw_only=True)
class PlanRecord:
    """The content of a plan.json, in its order. number: the name of its folder (0001); empty before it has one.

    replications: wanted for each condition. to_do: how many were missing. limit: maximum run time of a job in seconds; None if no
    cost is counted. types, hosts: instances of a job, with a limit. backend_options: `place` in plan.json. files: the folder with the
    jobs' files in an object store. changed_code: hashes by name. added: rows of conditions.csv that the design gets with it. step: of a
    search, and then replications are of its condition alone; None of another plan.
    """

    reason: str
    replications: Counts
    jobs: int
    to_do: int
    workers: int | None = None
    created: datetime.datetime
    backend_options: dict[str, Any]
    changed_code: dict[str, str] = field(default_factory=dict)
    limit: int | None = None
    types: list[str] = field(default_factory=list)
    hosts: int = 1
    number: str = ""
    files: str = ""
    added: list[str] = field(default_factory=list)
    step: Step | None = None

    @classmethod
    def of(cls, record: Any, path: Path) -> "PlanRecord":
        """Raises StoreError if a field is wrong."""
        checked = _checked(record, _PLAN, path)
        created = datetime.datetime.fromisoformat(checked["created"])
        replications = _as_counts(checked["replications"])
        return cls(
            **{
                **_known(cls, checked),
                "replications": replications,
                "created": created,
                "number": path.parent.name,
                "step": Step.read(checked["step"]) if "step" in checked else None,
            }
        )

    def content(self) -> dict[str, Any]:
        """What plan.json holds of it: without what it has none of."""
        absent = [] if self.changed_code else ["changed_code"]
        absent += ["limit", "types", "hosts"] if self.limit is None else []
        absent += [name for name in ("files", "added", "step") if not getattr(self, name)]
        step = {"step": self.step.content()} if self.step else {}
        return {**_named(self, *absent), "created": self.created.isoformat(timespec="milliseconds"), **step}

    @property
    def trains(self) -> bool:
        """Whether its jobs are training jobs of SageMaker, which leave blocks among their checkpoints."""
        return bool(self.backend_options.get("spot")) or self.backend_options.get("service") == "training"

    @property
    def job_ids(self) -> list[JobId]:
        return [JobId.of(self.number, number) for number in range(1, self.jobs + 1)]


_IN_FILES = {"backend_options": "place", "version": "simferry", "number": "plan"}  # fields with another name there


def _as_counts(value: Any) -> Counts:
    return simplest(value) if isinstance(value, list) else int(value)


def _known(kind: type, record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass that a record has."""
    return {field: record[name] for field, name in _names(kind).items() if name in record}


@cache
def _names(kind: type) -> dict[str, str]:
    """The names in files of a dataclass's fields."""
    return {one.name: _IN_FILES.get(one.name, one.name) for one in fields(kind)}


def _named(record: Any, *absent: str) -> dict[str, Any]:
    """The fields of a dataclass by their names in files, without the absent ones."""
    return {_IN_FILES.get(f.name, f.name): getattr(record, f.name) for f in fields(record) if f.name not in absent}


@dataclass(frozen=True, kw_only=True)
class Precision:
    """How far a run is that goes on until it is precise enough.

    settled: it has enough replications, or as many as it may have. enough: conditions that have. condition: the one that is furthest
    from its target; measure: its measure; ratio: how many times as large as the target its MCSE is, infinite where it is not known.
    """

    settled: bool
    enough: int
    condition: int
    measure: str
    ratio: float

    @classmethod
    def of(cls, written: bytes, name: object) -> "Precision":
        """The content of precision.json. Raises StoreError."""
        try:
            record = json.loads(written)
        except ValueError:
            record = None
        checked = _checked(record, _PRECISION, name)
        ratio = math.inf if checked["ratio"] is None else float(checked["ratio"])
        return cls(**{**_known(cls, checked), "ratio": ratio})

    def content(self) -> bytes:
        """What precision.json holds."""
        return json.dumps({**_named(self), "ratio": self.ratio if math.isfinite(self.ratio) else None}).encode()


def _checked(record: Any, fields: Mapping[str, Check], name: object) -> dict[str, Any]:
    if problem := _fields(record, fields):
        raise StoreError(
            f"{name} can't be read: it has to be {problem}", "The file is damaged, or simferry did not write it."
        )
    return dict(record)


def read_job(folder: Path, name: str) -> dict[str, Any]:
    """The record of a job or a driver: its state, and its process. Empty if it can't be read.

    A process whose number or start time is not valid is left out, so that no other process is ended in its place.
    """
    try:
        found = read(folder, name)
    except (OSError, StoreError):
        return {}
    if not isinstance(found, dict):
        return {}
    found = found if not _fields(found, _PROCESS) else {k: v for k, v in found.items() if k not in ("pid", "started")}
    if _fields(found.get("driver", {}), _PROCESS):
        found["driver"] = {}
    state = found.get("state")
    return {
        **found,
        "state": state if isinstance(state, str) and state in _STATES else "unknown",
        "host": str(found.get("host", "")),
    }
