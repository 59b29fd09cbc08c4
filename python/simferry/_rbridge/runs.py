"""Verbs of runs, and all others that are not about designs, loops or images."""

import hashlib
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import Interrupted, Note, RunBusy, UsageError
from ..hints import Command, Option, Text
from ..r.serialization import Vector, data_frame
from ..words import are, counted, size
from .arguments import Arguments, backend_of, design_of, findings, plain, text_list, verb
from .drivers import DriverProcess, drivers, keep_spare, order, progress_fields, worker_started
from .words import DriverError

if TYPE_CHECKING:
    from ..sweep.sweep import Sweep


def simulation_of(given: Arguments) -> Any:
    """The path of a script, or an RFunction made from R's list(name, file, fingerprint, constants, packages)."""
    vector = given["simulation"]
    if vector is not None and vector.kind == "list" and "fingerprint" in vector.names:
        from ..sweep.simulation import RFunction
        from ..worker.own import Own

        function = vector.plain()
        own = function.get("own") or {}
        found = zip(*(text_list(own.get(name)) for name in ("name", "path", "hash")), strict=True)
        return RFunction(
            function["name"], Path(function["file"]), function["fingerprint"], tuple(text_list(function["constants"])),
            packages=tuple(text_list(function.get("packages"))), own_code=tuple(Own(*one) for one in found),
        )  # fmt: skip
    if vector is None or vector.kind != "string" or len(vector) != 1:
        raise UsageError("simulation is neither a function nor the path of a script", Command("run", "simulate.R", ...))
    return vector.values[0]


def sweep_of(given: Arguments) -> "Sweep":
    """The sweep that R describes. Arguments that R does not pass keep their defaults."""
    from ..sweep.sweep import Sweep

    simulation = simulation_of(given)
    rest = {
        name: value
        for name, value in given.items()
        if name not in ("simulation", "design", "backend", "inputs", "env", "metric")
    }
    counts = rest.get("replications")
    if counts is not None and "simferry_column" in counts.classes:
        rest["replications_from"] = rest.pop("replications")
    out = {name: value for name, value in plain(rest).items() if value is not None}
    sweep: Arguments = {"simulation": simulation}
    backend = backend_of(given["backend"]) if given.get("backend") is not None else {}
    if isinstance(simulation, str) and simulation.lower().endswith(".toml"):
        from ..sweep.file import arguments

        sweep = arguments(simulation, backend.get("name"))
        if "replications_from" in out:
            sweep.pop("replications", None)
    if "function_name" in out:
        out["function"] = out.pop("function_name")
    if backend:
        out = {"backend": backend.pop("name", ""), **backend, **out}
    if given.get("design") is not None or "design" not in sweep:
        sweep["design"] = design_of(given.get("design"), note=True)
    if given.get("inputs") is not None:
        sweep["inputs"] = {**sweep.get("inputs", {}), **inputs_of(given["inputs"])}
    if given.get("env") is not None:
        sweep["env"] = {**sweep.get("env", {}), **env_of(given["env"])}
    if given.get("metric") is not None:
        sweep["metric"] = {**sweep.get("metric", {}), **metric_of(given["metric"])}
    return Sweep(**{**sweep, **out})


def env_of(vector: Vector) -> Arguments:
    names = vector.names
    if vector.kind not in ("list", "string", "double", "integer") or not names or not all(names):
        raise UsageError("env has values without a name", Option("env", {"SLURM_ARRAY_TASK_ID": "{condition}"}))
    return dict(zip(names, vector.elements() if vector.kind != "list" else vector.plain().values(), strict=True))


def metric_of(vector: Vector) -> Arguments:
    if vector.kind != "string" or not vector.names or not all(vector.names):
        raise UsageError("metric has to be texts with names", Option("metric", {"loss": "loss=([0-9.]+)"}))
    return dict(zip(vector.names, vector.elements(), strict=True))


def inputs_of(vector: Vector) -> Arguments:
    if not vector.names or not all(vector.names):
        raise UsageError("an input has no name", Option("inputs", {"data": "data.csv"}))
    return dict(zip(vector.names, vector.elements() if vector.kind != "list" else vector.plain().values(), strict=True))


@verb
def run(given: Arguments) -> Arguments:
    """Create a run and start its driver."""
    from ..verbs.run import run as begin

    start: Arguments = {}

    def started(_: Any, taken_over: int, drawn: bool) -> None:
        start.update(taken_over=taken_over, drawn=drawn)

    def drive(new: Any) -> None:
        drivers[new.address] = order(new, {"verb": "run"})

    sweep = sweep_of(given)
    with worker_started(sweep):
        new = begin(sweep, on_start=started, detach=drive)
    until = "" if sweep.until is None else sweep.until.in_words()
    return {**head_of(new), **start, "note": new.backend_note, "until": until}


@verb
def plan(given: Arguments) -> Arguments:
    import pandas as pd

    from ..sweep.own_code import shown
    from ..verbs import plan as forecast

    own = {name: given.pop(name, None) for name in ("pilot", "deadline", "refresh_prices")}
    options = {name: value for name, value in plain(own).items() if value is not None}
    out = asdict(forecast.plan(sweep_of(given), **options))
    out = {name: value for name, value in out.items() if value is not None}
    out["replications"] = for_r(out["replications"])
    out["code_shown"] = shown(out["code"])
    out["code"] = pd.DataFrame(out["code"], columns=["name", "path"], dtype="string")
    if "disk_bytes" in out:
        out["disk_shown"] = size(out["disk_bytes"])
    out["along_shown"] = [one["shown"] for one in out.pop("project")]
    if "cloud" in out:
        out["cloud"]["rows"] = pd.DataFrame(out["cloud"]["rows"])
    return out


def open_run(given: Arguments) -> Any:
    from ..verbs import runs

    vector = given["run"]
    name = vector.plain() if vector is not None else None
    if not isinstance(name, str):
        raise UsageError("run is neither a run nor the name of one", Command("open", "latest"))
    store = given.get("store")
    return runs.open(name, store.plain() if store is not None else None)


def for_r(replications: Any) -> Any:
    """Replications as R receives them: a vector where conditions differ."""
    return replications if isinstance(replications, int) else np.array(replications, dtype=np.int64)


def head_of(found: Any) -> Arguments:
    record = found.record
    return {
        "id": found.id, "folder": found.address, "handle": found.handle, "seed": found.seed, "conditions": found._folder.conditions,
        "replications": for_r(found.replications), "parameters": list(record["parameters"]),
    }  # fmt: skip


@verb
def open_(given: Arguments) -> Arguments:
    return head_of(open_run(given))


@verb
def list_(given: Arguments) -> Vector:
    from ..verbs import runs

    store = given.get("store")
    there = runs.standing(store.plain() if store is not None else None)
    heads, states = [found for found, _ in there], [now for _, now in there]
    columns: Arguments = {
        "run": Vector("string", [found.id for found in heads]),
        "name": Vector("string", [found.name for found in heads]),
        "created": Vector("string", [found.record["created"][:19] for found in heads]),
        "state": Vector("string", [now.state for now in states]),
    }
    counts = {"conditions": [found._folder.conditions for found in heads]}
    counts |= {name: [getattr(now, name) for now in states] for name in ("done", "total", "failed")}
    counts["seed"] = [found.seed for found in heads]
    columns |= {name: np.array(values, dtype=np.int64) for name, values in counts.items()}
    columns["folder"] = Vector("string", [found.address for found in heads])
    columns["note"] = Vector("string", [found.note for found in heads])
    return data_frame(columns, len(heads))


@verb
def status(given: Arguments) -> Arguments:
    """The progress of a run. outcome: the error of its driver, after the driver has ended."""
    found = open_run(given)
    process = drivers.get(found.address)
    ended = process is not None and process.has_ended()
    now, pause = found._look()
    out = {**head_of(found), **progress_fields(now), "jobs": now.jobs, "dollars": now.dollars, "saved": now.saved}
    out |= {"per_second": now.per_second, "seconds_left": now.seconds_left}
    out |= {"name": found.name, "note": found.note, "pause": pause, "precision": now.precision}
    if process is None:
        return out
    if not ended:
        return out | {"state": "running"}
    del drivers[found.address]
    out["outcome"] = _outcome(process, found)
    keep_spare(process)
    return out


def _outcome(process: DriverProcess, found: Any) -> Arguments:
    out = process.outcome(found)
    for text in out.pop("warnings"):
        warnings.warn(text, stacklevel=1)
    for text in out.pop("notes"):
        warnings.warn(Note(text), stacklevel=1)
    return out


@verb
def progress(given: Arguments) -> Arguments:
    """As `status`, but from the messages of the driver while it computes. R calls this often."""
    process = drivers.get(given["run"].plain())
    if process is None or process.has_ended():
        return status(given)
    del process.messages[:-1]
    return {**(process.messages[0] if process.messages else {}), "state": "running", "pause": 0}


@verb
def resume(given: Arguments) -> Arguments:
    """Start a driver for a run. With `extend` it extends the run, by `replications` or `add`. Other arguments: of the backend."""
    from ..verbs.compute import backend_of_run

    found = open_run(given)
    process = drivers.get(found.address)
    if process is not None and not process.has_ended():
        raise RunBusy(
            f"run {found.id} is being computed",
            Text(found.command("watch"), "  follows it, ", found.command("cancel"), "  stops it."),
        )
    options = {n: v for n, v in plain(given).items() if n not in ("run", "store") and v is not None}
    backend_of_run(
        found._folder,
        **{
            n: v
            for n, v in options.items()
            if n not in ("retry_failed", "replications", "add", "extend", "changed_code")
        },
    )
    found.changed_code(allowed=options.get("changed_code", False))
    verb = "extend" if options.pop("extend", False) else "resume"
    if verb == "extend":
        options["replications"] = found._extended(options.get("replications"), options.pop("add", None))
    drivers[found.address] = order(found, {"verb": verb, "options": options})
    return head_of(found)


@verb
def interrupt(given: Arguments) -> None:
    """Ctrl-C: stop the run, or, if its jobs go on without a driver, detach from it. Raises Interrupted, which says which."""
    from ..driver.drive import detached
    from ..verbs.compute import backend_of_run

    found = open_run(given)
    process = drivers.pop(found.address)
    if process.has_ended():  # before it could be stopped
        error = _outcome(process, found)["error"]
        keep_spare(process)
        if error:
            raise DriverError(error)
        return
    if not process.stop(15):
        process.process.kill()
    backend = backend_of_run(found._folder)
    if backend.traits.outlives_driver:
        raise detached(found._folder, backend)
    now = found.cancel()
    raise Interrupted(
        f"stopped; {now.done:,} of {counted(now.total, 'replication')} of run {found.id} {are(now.total)} kept",
        found.command("resume") + "  goes on",
    )


@verb
def cancel(given: Arguments) -> Arguments:
    found = open_run(given)
    process = drivers.pop(found.address, None)
    if process is not None and not process.has_ended():
        process.stop(15)
    found.cancel()
    return status(given)


@verb
def logs(given: Arguments) -> Arguments:
    job = given.get("job")
    return dict(open_run(given).logs(job.plain() if job is not None else None))


_following: list[DriverProcess] = []  # at most one: the process that follows logs for R


@verb
def logs_follow(given: Arguments) -> None:
    """Start a process that follows the logs of a run."""
    job = given.get("job")
    name = job.plain() if job is not None else None
    found = open_run(given)
    found._jobs(name)
    logs_leave(given)
    _following.append(order(found, {"verb": "follow", "job": name}))


@verb
def logs_lines(given: Arguments) -> Arguments:
    """The new lines since the last call, and whether the jobs have ended."""
    process = _following[0]
    ended = process.has_ended(0.1)
    messages, process.messages = process.messages, process.messages[-1:] if ended else []
    lines = [
        f"{one['job']} | {one['line']}" if given.get("job") is None else one["line"]
        for one in messages
        if "line" in one
    ]
    if ended and (error := _outcome(process, open_run(given))["error"]):
        raise DriverError(error)
    return {"lines": Vector("string", lines), "ended": ended}


@verb
def logs_leave(_: Arguments) -> None:
    while _following:
        _following.pop().stop(2)


@verb
def summary(given: Arguments) -> Any:
    found = open_run(given)
    by = given.get("by")
    return frame_of(found, found.summary(None if by is None else by.plain()))


@verb
def errors(given: Arguments) -> Any:
    found = open_run(given)
    return frame_of(found, found.errors())


@verb
def said_by_failures(given: Arguments) -> Vector:
    """Errors and warnings of some failed replications, each once."""
    from ..analysis.oddities import said_by_failures

    return Vector("string", said_by_failures(open_run(given)._folder))


@verb
def warnings_(given: Arguments) -> Any:
    found = open_run(given)
    return frame_of(found, found.warnings())


def frame_of(found: Any, frame: Any) -> Any:
    """Convert number parameters to doubles, as R has them; pandas has whole numbers as integers."""
    for name, kind in found.record["parameters"].items():
        if kind == "number" and name in frame.columns and frame[name].dtype.kind == "i":
            frame[name] = frame[name].astype("float64")
    return frame


@verb
def remove(given: Arguments) -> None:
    open_run(given)._folder.remove()


@verb
def replay(given: Arguments) -> Arguments:
    """Run one replication again. output: its output, and its value or error as text. value: in R's serialisation."""
    from ..cli.verbs import captured_output
    from ..verbs.replay import replay

    found = open_run(given)
    options = plain(given)
    with captured_output() as printed:
        replayed = replay(found, options["condition"], options["replication"], in_process=False)
    output = f"{printed[0]}Error: {replayed.error}\n" if replayed.error else f"{printed[0]}{replayed.shown}\n"
    return {
        "failed": replayed.error is not None,
        "output": output,
        "value": replayed.for_r() if replayed.language == "r" else None,
    }


@verb
def hash_(given: Arguments) -> str:
    """SHA-256 of serialised R objects, without the header, which has R's version."""
    return hashlib.sha256(given["bytes"].values[14:].data).hexdigest()


@verb
def worker_file(given: Arguments) -> str:
    """The path of a file of the worker."""
    from ..jobs.launch import WORKER

    return str(WORKER / given["name"].plain())


@verb
def doctor(given: Arguments) -> Vector:
    from ..verbs.doctor import examine

    store = given.get("store")
    found = examine(store.plain() if store is not None else None)
    return findings([vars(f) for f in found if f.what != "rpy2"])  # only Python users need it


@verb
def version(_: Arguments) -> Arguments:
    from .._version import __version__

    return {"simferry": __version__, "python": sys.version.split()[0], "executable": sys.executable}


@verb
def sagemaker_module(_: Arguments) -> None:
    """Import simferry.sagemaker, or raise the error of its import."""
    from .. import sagemaker  # noqa: F401
