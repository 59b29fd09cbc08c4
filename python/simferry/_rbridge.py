"""The only functions that the R package calls.

    call(request) -> answer       both bytearrays, in R's own serialisation (see rdata.py), so that neither reticulate's nor
                                  numpy's conversions touch a value
    request                       list(verb =, arguments = list(...), environment = c(NAME = "value", ...), session = c(...)): the
                                  environment variables for what is done, and those that R has itself
    answer                        list(ok = TRUE, value =, warnings =) or
                                  list(ok = FALSE, error = list(code =, message =, hint =), warnings =)

A run is computed by a process of its own, see _rdrivers.py.
"""

import contextlib
import hashlib
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np

from . import _rinterrupts
from ._rdrivers import Driver, Told, become, described, drivers, far, forget_aws, in_r, keep_spare, order
from .errors import DesignError, Interrupted, RunBusy, UsageError, nearest
from .rdata import Vector, data_frame, decode, encode

Arguments = dict[str, Any]
_VERBS: dict[str, Callable[[Arguments], Any]] = {}
# verbs that may take long, and leave nothing half done when they are interrupted
_INTERRUPTIBLE = (
    "design", "plan", "results", "summary", "errors", "warnings", "artifacts", "replay", "doctor", "image_build", "image_check",
    "image_push", "loop_values",
)  # fmt: skip
_WHOLE = (
    "replications",
    "seed",
    "workers",
    "cores",
    "retries",
    "size",
    "condition",
    "replication",
    "jobs",
    "hosts",
    "volume",
)
_NUMBERS = ("replication_timeout", "max_runtime", "budget")
_TEXTS = (
    "store", "backend", "function_name", "args", "results_file", "on_error", "job", "folder", "script", "name", "platform", "to",
    "include", "common", "packages", "image", "instance_type", "role", "subnets", "security_groups", "kms_key", "tags",
)  # fmt: skip


def call(request: bytearray) -> bytearray:
    """Do what R asks for."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        try:
            asked: Arguments = dict(decode(request).items())  # type: ignore[union-attr]
            verb = asked["verb"].plain()
            environment, session = (
                dict(zip(asked[n].names, asked[n].values, strict=True)) for n in ("environment", "session")
            )
            arguments = dict(asked["arguments"].items())
            _check_texts(arguments)
            with _environment(environment, session), _rinterrupts.allowed(verb in _INTERRUPTIBLE):
                value = _VERBS[verb](arguments)
                return _answer({"ok": True, "value": value}, warned)
        except BaseException as error:
            forget_aws()  # before it is tried again
            return _answer({"ok": False, "error": described(error)}, warned)


def _answer(answer: dict[str, Any], warned: list[warnings.WarningMessage]) -> bytearray:
    texts = [in_r(str(w.message)) for w in warned]
    return encode({**answer, "warnings": Vector("string", texts)})


@contextlib.contextmanager
def _environment(now: Mapping[str, str], session: Mapping[str, str]) -> Iterator[None]:
    """The environment variables, which Python knows as they were when it started; then R's own again, whose process this is."""
    become(now)
    try:
        yield
    finally:
        become(session)


# ---- arguments ----


def _plain(arguments: Arguments) -> Arguments:
    """As Python has them. Counts and seeds are whole, whether R wrote 1 or 1L; other numbers are numbers."""
    out = {name: None if value is None else value.plain() for name, value in arguments.items()}
    for name, value in out.items():
        if name in _WHOLE and isinstance(value, float) and value.is_integer():
            out[name] = int(value)
        elif name in _WHOLE and not isinstance(value, (int, NoneType)):
            raise UsageError(f"{name} is {value!r}; it has to be a whole number", f"{name} = 10")
        elif name in _NUMBERS and not isinstance(value, (int, float, NoneType)):
            raise UsageError(f"{name} is {value!r}; it has to be a number", f"{name} = 10")
    return out


def _check_texts(arguments: Arguments) -> None:
    for name in _TEXTS:
        value = arguments.get(name)
        if value is None or value.kind == "string" or (name == "backend" and value.kind == "list"):
            continue
        raise UsageError(f"{name} is not a text", f'{name} = "..."')


def _place(vector: Vector) -> Arguments:
    """A backend's name and its options, from its name alone or what R's sim_*() functions make."""
    given = dict(vector.items()) if vector.kind == "list" else {"name": vector}
    _check_texts(given)
    return {name: value for name, value in _plain(given).items() if value is not None}


def _text_list(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def _column(name: str, vector: Vector | None) -> Any:
    """A design's column: an R vector as an Arrow array. Its type is R's, so integers are declared to be integers."""
    import pyarrow as pa

    if vector is None or vector.kind in ("list", "raw"):
        what = "NULL" if vector is None else f"of type {vector.kind}"
        raise DesignError(
            f"parameter {name} is {what}",
            "Parameters are numbers, integers, logicals and strings. Pass other objects as constants.",
        )
    classes = [c for c in vector.classes if c not in ("ordered", "AsIs")]
    if "factor" in classes:
        codes, levels = vector.elements(), vector.texts("levels")
        return pa.array([None if code is None else levels[code - 1] for code in codes], pa.string())
    if classes:
        raise DesignError(
            f"parameter {name} is of class {classes[0]}",
            "Parameters are numbers, integers, logicals and strings: convert it with as.numeric() or as.character().",
        )
    if vector.kind == "string":
        return pa.array(vector.values, pa.string())
    values = vector.values.astype(bool) if vector.kind == "logical" else vector.values
    return pa.array(values, mask=vector.missing(), from_pandas=False)


def _columns(vector: Vector) -> dict[str, Any]:
    names = vector.names
    if vector.kind != "list" or (len(vector) and not all(names)):
        raise DesignError("a parameter has no name", "Write sim_grid(n = c(10, 20), effect = 0.5).")
    if twice := [name for name in names if names.count(name) > 1]:
        raise DesignError(f"parameter {twice[0]} is given twice")
    return {name: _column(name, value) for name, value in vector.items()}


def _design(vector: Vector | None) -> Any:
    from . import design

    if vector is None:
        return design.Design({})
    if vector.kind == "string":
        return design.table(vector.plain())
    rows = vector.attributes.get("row.names")
    if (
        vector.kind == "list" and not len(vector) and rows is not None and len(rows) in (1, 2)
    ):  # a grid of no parameters
        return design.Design({})
    columns = _columns(vector)
    if columns and not any(len(column) for column in columns.values()):
        raise DesignError("the design has no rows", "A design needs at least one condition.")
    return design.Design(columns)


def _design_frame(made: Any) -> Vector:
    frame: Vector = data_frame({name: made.table[name] for name in made.names}, len(made), ["simferry_design"])
    return frame


def _verb(function: Callable[[Arguments], Any]) -> Callable[[Arguments], Any]:
    _VERBS[function.__name__.rstrip("_")] = function
    return function


# ---- designs ----


@_verb
def design(given: Arguments) -> Vector:
    """kind, parameters (a list of vectors) and options."""
    from . import design as designs

    kind = given["kind"].plain()
    options = _plain(dict(given["options"].items())) if given.get("options") else {}
    if kind == "table":
        return _design_frame(_typed(given["parameters"], options.get("types")))
    if kind in ("grid", "zipped"):
        columns = _columns(given["parameters"])
        types = {name: "integer" for name, c in columns.items() if str(c.type) == "int32"} | (
            options.get("types") or {}
        )
        return _design_frame(getattr(designs, kind)({name: c.to_pylist() for name, c in columns.items()}, types=types))
    sources, types = {}, {}
    for name, vector in given["parameters"].items():
        sources[name] = _source(name, vector)
        if vector is not None and vector.kind == "integer":
            types[name] = "integer"
    if "" in sources:
        raise DesignError("a parameter has no name", "Write sim_random(100, n = c(10L, 50L)).")
    return _design_frame(getattr(designs, kind)(options["size"], sources, seed=options["seed"], types=types))


def _typed(vector: Vector | None, types: Any) -> Any:
    from . import design as designs

    if vector is not None and vector.kind == "string":
        return designs.table(vector.plain(), types=types)
    made = _design(vector)
    return designs.table(made.table, types=types) if types else made


def _source(name: str, vector: Vector | None) -> Any:
    """A pair of numbers is a range (of integers: of whole numbers), texts, logicals and a list are a choice."""
    if vector is not None and vector.kind in ("double", "integer"):
        values = vector.elements()
        if len(values) != 2 or vector.classes:
            raise DesignError(
                f"parameter {name} is neither a range nor a choice",
                f"A range has two ends, {name} = c(10, 50); a choice of numbers is a list, {name} = list(10, 20, 50).",
            )
        return tuple(values)
    if vector is None:
        raise DesignError(f"parameter {name} is NULL")
    values = vector.plain()
    return values if isinstance(values, list) else [values]


# ---- runs ----


def _simulation(given: Arguments) -> Any:
    """A script's path, or what R has written down of a function: list(name, file, fingerprint, constants)."""
    vector = given["simulation"]
    if vector is not None and vector.kind == "list" and "fingerprint" in vector.names:
        from .simulation import RFunction

        told = vector.plain()
        return RFunction(told["name"], Path(told["file"]), told["fingerprint"], tuple(_text_list(told["constants"])))
    if vector is None or vector.kind != "string" or len(vector) != 1:
        raise UsageError("simulation is neither a function nor the path of a script", 'sim_run("simulate.R", ...)')
    return vector.values[0]


def _sweep(given: Arguments) -> Arguments:
    """The arguments of `run` and `plan`; what R left out is left out here."""
    simulation = _simulation(given)
    rest = {name: value for name, value in given.items() if name not in ("simulation", "design", "backend", "inputs")}
    out = {name: value for name, value in _plain(rest).items() if value is not None}
    sweep: Arguments = {"simulation": simulation}
    if isinstance(simulation, str) and simulation.lower().endswith(".toml"):
        from .sweep import read_sweep

        sweep = read_sweep(simulation)
    for name in ("include", "common"):
        if name in out and out[name] != "all":
            out[name] = _text_list(out[name])
    if "function_name" in out:
        out["function"] = out.pop("function_name")
    if given.get("backend") is not None:
        place = _place(given["backend"])
        out["backend"] = place.pop("name")
        out = {**place, **out}
    if given.get("design") is not None or "design" not in sweep:
        sweep["design"] = _design(given.get("design"))
    if given.get("inputs") is not None:
        sweep["inputs"] = {**sweep.get("inputs", {}), **_inputs(given["inputs"])}
    sweep |= out
    if sweep.get("replications") is None:
        raise UsageError("how many replications?", "replications = 1000")
    return sweep


def _inputs(vector: Vector) -> Arguments:
    if not vector.names or not all(vector.names):
        raise UsageError("an input has no name", 'inputs = c(data = "data.csv")')
    return dict(zip(vector.names, vector.elements() if vector.kind != "list" else vector.plain().values(), strict=True))


def _known(function: Callable[..., Any], arguments: Arguments) -> Arguments:
    """Raises for options that a verb does not have, such as another backend's."""
    import inspect

    known = inspect.signature(function).parameters
    for name in arguments:
        if name not in known and "place" not in known:  # a backend's own options, which it knows itself
            raise UsageError(f"there is no option {name} for this", nearest(name, known))
    return arguments


@_verb
def run(given: Arguments) -> Arguments:
    """Makes a run and starts its driver."""
    from . import verbs

    told: Arguments = {}

    def started(_: Any, taken_over: int, drawn: bool) -> None:
        told.update(taken_over=taken_over, drawn=drawn)

    def drive(new: Any) -> None:
        drivers[new.address] = order(new, {"verb": "run"})

    new = verbs.run(**_known(verbs.run, _sweep(given)), on_start=started, detach=drive)
    return {**_head(new), **told, "note": in_r(new.note)}


@_verb
def plan(given: Arguments) -> Arguments:
    from . import forecast

    asked = {name: value for name, value in _sweep(given).items() if name not in forecast.NOT_PLANNED}
    out = asdict(forecast.plan(**_known(forecast.plan, asked)))
    out = {name: value for name, value in out.items() if value is not None}
    if "cloud" in out:
        import pandas as pd

        out["cloud"]["rows"] = pd.DataFrame(out["cloud"]["rows"])
    return out


def _open(given: Arguments) -> Any:
    from . import verbs

    vector = given["run"]
    name = vector.plain() if vector is not None else None
    if not isinstance(name, str):
        raise UsageError("run is neither a run nor the name of one", 'sim_open("latest")')
    store = given.get("store")
    return verbs.open(name, store.plain() if store is not None else None)


def _head(found: Any) -> Arguments:
    record = found.record
    return {
        "id": found.id, "folder": found.address, "handle": found.handle, "seed": found.seed, "conditions": record["conditions"],
        "replications": found.replications, "parameters": list(record["parameters"]),
    }  # fmt: skip


@_verb
def open_(given: Arguments) -> Arguments:
    return _head(_open(given))


@_verb
def list_(given: Arguments) -> Vector:
    from . import verbs

    store = given.get("store")
    heads, states = [], []
    for found in verbs.runs(store.plain() if store is not None else None):
        heads.append(found)
        states.append(found.status())
    columns: Arguments = {
        "run": Vector("string", [found.id for found in heads]),
        "created": Vector("string", [found.record["created"][:19] for found in heads]),
        "state": Vector("string", [now.state for now in states]),
    }
    counts = {"conditions": [found.record["conditions"] for found in heads]}
    counts |= {name: [getattr(now, name) for now in states] for name in ("done", "total", "failed")}
    counts["seed"] = [found.seed for found in heads]
    columns |= {name: np.array(values, dtype=np.int64) for name, values in counts.items()}
    columns["folder"] = Vector("string", [found.address for found in heads])
    return data_frame(columns, len(heads))


@_verb
def status(given: Arguments) -> Arguments:
    """How far a run is. `outcome` once the driver that R started has ended: what it warned of, and its error."""
    found = _open(given)
    process = drivers.get(found.address)
    ended = process is not None and process.has_ended()
    now = found.status()
    out = {**_head(found), **far(now), "jobs": now.jobs, "dollars": now.dollars}
    out["pause"] = found._folder.seconds_between_looks
    if process is None:
        return out
    if not ended:
        return out | {"state": "running"}
    del drivers[found.address]
    out["outcome"] = _outcome(process, found)
    keep_spare(process)
    return out


def _outcome(process: Driver, found: Any) -> Arguments:
    out = process.outcome(found)
    for text in out.pop("warnings"):
        warnings.warn(text, stacklevel=1)
    return out


@_verb
def progress(given: Arguments) -> Arguments:
    """The same, from what the driver that R started has told as long as it is at work: it is asked for often."""
    process = drivers.get(given["run"].plain())
    if process is None or process.has_ended():
        return status(given)
    del process.heard[:-1]
    return {**(process.heard[0] if process.heard else {}), "state": "running", "pause": 0}


@_verb
def resume(given: Arguments) -> Arguments:
    """Starts a driver: with `replications` it extends the run. What else is given are options of the backend."""
    found = _open(given)
    process = drivers.get(found.address)
    if process is not None and not process.has_ended():
        raise RunBusy(
            f"run {found.id} is being computed",
            f"simferry watch {found.handle}  follows it, simferry cancel {found.handle}  stops it.",
        )
    options = {n: v for n, v in _plain(given).items() if n not in ("run", "store") and v is not None}
    found._backend(**{n: v for n, v in options.items() if n not in ("retry_failed", "replications")})
    if "replications" in options:
        from .prepare import check_replications

        check_replications(options["replications"])
    verb = "extend" if "replications" in options else "resume"
    drivers[found.address] = order(found, {"verb": verb, "options": options})
    return _head(found)


@_verb
def interrupt(given: Arguments) -> None:
    """Ctrl-C: the run is stopped in good order, or detached from where its jobs go on without a driver; the error says which."""
    from .driver import _detached

    found = _open(given)
    process = drivers.pop(found.address)
    if process.has_ended():  # just now
        error = _outcome(process, found)["error"]
        keep_spare(process)
        if error:
            raise Told(error)
        return
    if not process.stop(15):
        process.process.kill()
    backend = found._backend()
    if backend.jobs_go_on:
        raise _detached(found._folder, backend)
    now = found.cancel()
    raise Interrupted(
        f"stopped; {now.done:,} of {now.total:,} replications of run {found.id} are kept",
        f"simferry resume {found.handle}  goes on",
    )


@_verb
def cancel(given: Arguments) -> Arguments:
    found = _open(given)
    process = drivers.pop(found.address, None)
    if process is not None and not process.has_ended():
        process.stop(15)
    found.cancel()
    return status(given)


@_verb
def logs(given: Arguments) -> Arguments:
    job = given.get("job")
    return dict(_open(given).logs(job.plain() if job is not None else None))


_following: list[Driver] = []  # the process that follows the logs which R shows


@_verb
def logs_follow(given: Arguments) -> None:
    """Starts a process that follows the logs of a run."""
    job = given.get("job")
    name = job.plain() if job is not None else None
    found = _open(given)
    found._jobs(name)
    logs_leave(given)
    _following.append(order(found, {"verb": "follow", "job": name}))


@_verb
def logs_lines(given: Arguments) -> Arguments:
    """The lines that have come since the last call; whether they were the last ones."""
    process = _following[0]
    ended = process.has_ended(0.1)
    heard, process.heard = process.heard, process.heard[-1:] if ended else []
    lines = [
        f"{told['job']} | {told['line']}" if given.get("job") is None else told["line"]
        for told in heard
        if "line" in told
    ]
    if ended and (error := _outcome(process, _open(given))["error"]):
        raise Told(error)
    return {"lines": Vector("string", lines), "ended": ended}


@_verb
def logs_leave(_: Arguments) -> None:
    while _following:
        _following.pop().stop(2)


@_verb
def results(given: Arguments) -> Any:
    found = _open(given)
    table = found.results_table()
    found._warn_about_same_values(table)
    return table


@_verb
def summary(given: Arguments) -> Any:
    found = _open(given)
    return _frame(found, found.summary())


@_verb
def errors(given: Arguments) -> Any:
    found = _open(given)
    return _frame(found, found.errors())


@_verb
def warnings_(given: Arguments) -> Any:
    found = _open(given)
    return _frame(found, found.warnings())


def _frame(found: Any, frame: Any) -> Any:
    """Parameters that are numbers are doubles in R, where pandas shows whole ones as integers."""
    for name, kind in found.record["parameters"].items():
        if kind == "number" and name in frame.columns and frame[name].dtype.kind == "i":
            frame[name] = frame[name].astype("float64")
    return frame


@_verb
def artifacts(given: Arguments) -> Vector:
    options = _plain(given)
    return Vector(
        "string", [str(path) for path in _open(given).artifacts(options["condition"], options["replication"])]
    )


@_verb
def remove(given: Arguments) -> None:
    _open(given)._folder.remove()


@_verb
def replay(given: Arguments) -> Arguments:
    """Runs one replication again. output: what it printed, and its value or its error; value: in R's serialisation."""
    from .cli.verbs import captured_output
    from .replay import replay

    found = _open(given)
    options = _plain(given)
    with captured_output() as printed:
        said = replay(found, options["condition"], options["replication"], in_process=False)
    output = f"{printed[0]}Error: {said.error}\n" if said.error else f"{printed[0]}{said.shown}\n"
    return {"failed": said.error is not None, "output": output, "value": said.data if said.language == "r" else None}


@_verb
def hash_(given: Arguments) -> str:
    """SHA-256 of what R has serialised, without the header, which tells R's version."""
    return hashlib.sha256(given["bytes"].values[14:].data).hexdigest()


@_verb
def doctor(given: Arguments) -> Vector:
    from .doctor import examine

    store = given.get("store")
    found = examine(store.plain() if store is not None else None)
    return _findings([vars(f) for f in found if f.what != "rpy2"])  # which is for R from Python


# ---- images ----


@_verb
def image_build(given: Arguments) -> Arguments:
    from . import images

    options = _plain(given)
    if (options["folder"] is None) == (options["script"] is None):
        raise UsageError("give a folder with a Dockerfile, or a script", 'image_build("containers/r")')
    if options["script"] is not None:
        from .infer import recipe_for, write_recipe

        made_of = recipe_for(options["script"], options["name"], _text_list(options["packages"]))
        made_of.build_args = options["build_args"] or {}
        write_recipe(made_of, Path(options["script"]).with_suffix(".image"))
    else:
        made_of = images.recipe(options["folder"], options["name"], options["build_args"] or {})
    made_of.platform = options["platform"]
    return vars(images.build(made_of, rebuild=options["rebuild"]))


@_verb
def image_check(given: Arguments) -> Vector:
    from . import image_check as checks

    return _findings([vars(f) for f in checks.check(given["name"].plain())])


@_verb
def image_push(given: Arguments) -> Arguments:
    from . import registry

    return vars(registry.push(given["name"].plain(), given["to"].plain()))


def _findings(found: list[dict[str, Any]]) -> Vector:
    ok = Vector("logical", [-(2**31) if f["ok"] is None else f["ok"] for f in found])
    columns: Arguments = {"what": Vector("string", [f["what"] for f in found]), "ok": ok}
    columns["found"] = Vector("string", [f["found"] for f in found])
    columns["hint"] = Vector("string", [in_r(f.get("hint", "")) for f in found])
    return data_frame(columns, len(found))


@_verb
def version(_: Arguments) -> Arguments:
    from . import __version__

    return {"simferry": __version__, "python": sys.version.split()[0], "executable": sys.executable}


@_verb
def sagemaker_module(_: Arguments) -> None:
    """Raises what keeps it from being imported; from now on the environment variables are those that R has now."""
    from . import sagemaker  # noqa: F401


# ---- loops of foreach ----

_PAGE_BYTES = 200_000_000  # of values that are handed to R at once


def _loop_place(given: Arguments) -> Arguments:
    """A backend's name, its other settings as `place`."""
    place = _place(given["backend"])
    return {"backend": place.pop("name"), "place": place}


@_verb
def loop_backend(given: Arguments) -> Arguments:
    """How many workers loops have on a backend. What can't be is an error; a driver is got ready for the first loop."""
    from .backends import backend
    from .streams import check_seed

    seed = given.get("seed")
    if seed is not None:
        check_seed(seed.plain())
    asked = _loop_place(given)
    for name, value in asked["place"].items():
        if isinstance(value, (int, float)) and not value > 0:
            raise UsageError(f"{name} is {value}; it has to be above 0")
    where = backend(asked["backend"], **asked["place"])
    keep_spare()
    return {"workers": where.workers * where.jobs}


@_verb
def loop(given: Arguments) -> Arguments:
    """Makes the run of a loop and starts its driver. With `named`, goes on with the run that has the same name, code and data,
    where there is one that is not complete; one that is and has the seed that was asked for is the answer itself.

    label: the loop's name or number, which enters the hash. drawn: whether the seed is only for a new run.
    """
    from dataclasses import replace

    from . import prepare, verbs
    from .design import Design
    from .simulation import Simulation

    told = given["simulation"]
    environment = dict(told.items())["environment"]
    simulation = Simulation(replace(_simulation(given), environment=environment.plain()))
    rest = ("label", "replications", "seed", "drawn", "named", "store", "on_error", "chunk_size")
    options = {name: value for name, value in _plain({n: given.get(n) for n in rest}).items() if value is not None}
    label, drawn, named = options.pop("label"), options.pop("drawn"), options.pop("named")
    options |= _loop_place(given)
    earlier = _earlier_loop(simulation, None if drawn else options["seed"], options) if named else None
    if earlier is not None:
        found, whole = earlier
        if not whole:
            again = {"verb": "resume", "options": {"retry_failed": True}}
            drivers[found.address] = order(found, again)
        return {**_head(found), "complete": whole}
    if "chunk_size" in options:
        options["chunk_size"] = int(options["chunk_size"])
    new = verbs.Run(prepare.create(simulation, Design({"loop": [label]}), **options))
    drivers[new.address] = order(new, {"verb": "run"})
    return {**_head(new), "complete": False}


def _earlier_loop(simulation: Any, seed: Any, options: Arguments) -> "tuple[Any, bool] | None":
    """The latest run of the same loop, and whether each of its iterations has succeeded."""
    from . import results, verbs
    from .backends import backend
    from .store import store_at

    code_hash, environment = simulation.code_hash(), dict(simulation.target.environment)
    home = store_at(options.get("store"), backend(options["backend"], **options["place"]).default_store())
    for folder in reversed(home.folders()):
        record = folder.record
        same = record["code_hash"] == code_hash and record["replications"] == options["replications"]
        same = same and record["options"]["backend"] == options["backend"]
        same = same and (options["backend"] != "local" or record["environment"] == environment)
        if same and seed in (None, record["seed"]):
            whole = len(results.done(folder, failed=False)[0]) >= record["replications"]
            return None if whole and seed is None else (verbs.Run(folder), whole)
    return None


@_verb
def loop_values(given: Arguments) -> Arguments:
    """What iterations returned, from the run's blocks after the one named `after`: values in R's serialisation, one behind the
    other; and which failed or warned. after: the block to go on behind, empty where there is none left."""
    from . import results
    from .worker.blocks import Block, Table

    folder = _open(given)._folder
    read: list[Block] = []
    size, last = 0, ""
    for name, block in results.read_blocks(folder, after=given["after"].plain()):
        read.append(block)
        size += sum(len(t.columns["value"].text) for t in block.tables if t.name == "values")
        if size >= _PAGE_BYTES:
            last = name
            break

    def tables(name: str) -> list[Table]:
        return [table for block in read for table in block.tables if table.name == name]

    def joined(name: str, column: str) -> np.ndarray:
        parts = [table.columns[column].values for table in tables(name)]
        return np.concatenate(parts) if parts else np.empty(0, dtype="<i4")

    def texts(name: str) -> Vector:
        return Vector("string", [text for table in tables(name) for text in table.columns["message"].strings()])

    return {
        "iteration": joined("values", "replication"),
        "bytes": b"".join(table.columns["value"].text for table in tables("values")),
        "done": joined("replications", "replication"),
        "ok": joined("replications", "ok").astype(bool),
        "failed": joined("failures", "replication"),
        "messages": texts("failures"),
        "warned": joined("warnings", "replication"),
        "warnings": texts("warnings"),
        "counts": joined("warnings", "count"),
        "after": last,
    }
