"""From what the user gave to a run folder in which nothing is computed yet, after every check that can be made beforehand."""

import datetime
import secrets
import threading
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..backends import backend as backend_of
from ..backends.foreground import foreground_of
from ..errors import UsageError, WorkerError, nearest
from ..files import writing
from ..jobs import streams
from ..screen import last_line, on_terminal
from ..store.places import store_at
from ..store.run_folder import RunFolder
from ..sweep.conditions import write_conditions
from ..sweep.design import Design, table
from ..sweep.inputs import record_of, write_inputs
from ..sweep.simulation import Simulation
from .check import check


def create(
    simulation: Simulation,
    design: Design,
    *,
    replications: int,
    seed: int | None,
    common: str | Iterable[str] = (),
    store: str | Path | None = None,
    backend: str = "local",
    place: Mapping[str, Any] | None = None,
    cores: int | None = None,
    on_error: str = "continue",
    replication_timeout: float | None = None,
    retries: int = 2,
    pilot: bool = False,
    chunk_size: int | None = None,
    keep_files: bool = False,
) -> RunFolder:
    """A run folder in which nothing is computed yet, after every check that can be made beforehand."""
    seed = secrets.randbelow(2**31) if seed is None else streams.check_seed(seed)
    common = common if common == "all" else [common] if isinstance(common, str) else list(common)
    for name in common if common != "all" else []:
        if name not in design.types:
            raise UsageError(
                f"common: there is no parameter {name!r} in the design",
                nearest(name, design.names) or f"It has: {', '.join(design.names) or 'none'}.",
            )
    if on_error not in ("continue", "stop"):
        raise UsageError(f"on_error is {on_error!r}; it can be continue or stop")
    place = {name: value for name, value in (place or {}).items() if value is not None}
    numbers = {"cores": cores, "replication_timeout": replication_timeout, "chunk_size": chunk_size}
    for option, value in numbers.items():
        if value is not None and not value > 0:
            raise UsageError(f"{option} is {value}; it has to be above 0")
    if retries < 0:
        raise UsageError(f"retries is {retries}; it has to be 0 or above")
    where = backend_of(backend, **place)
    home = store_at(store, where.default_store())
    home.check()
    with last_line(show=on_terminal()) as on_progress:  # a first push takes minutes
        prepared = where.prepare(simulation.spec(), home.address, on_progress)
    foreground = foreground_of(where, "check")
    # pyarrow loads pandas at its first use: meanwhile, while the simulation is looked at
    threading.Thread(target=import_module, args=["pandas"], daemon=True).start()
    try:
        check(simulation, design, foreground)
    except WorkerError:  # no interpreter here
        if not foreground.stands_in:
            raise
    spec = simulation.spec()
    record = {
        "simferry": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
        "simulation": spec,
        "parameters": design.types,
        "conditions": len(design),
        "replications": replications,
        "seed": seed,
        "streams": streams.version_of(spec),
        "common": common,
        "inputs": record_of(simulation.inputs),
        "code_hash": simulation.code_hash(),
        "own_code": [one._asdict() for one in simulation.own_code],
        "environment": {} if foreground.stands_in else simulation.environment,
        "image": prepared.image_digest,
        "pilot": pilot,
        "options": {
            "backend": backend,
            "place": {**place, **prepared.options},
            "cores": cores,
            "on_error": on_error,
            "replication_timeout": replication_timeout,
            "retries": retries,
            "chunk_size": chunk_size,
            "keep_files": keep_files,
        },
    }
    folder = home.create(simulation.name, record)
    folder.note = prepared.note
    try:
        write_conditions(folder, design)
        with writing(folder.path):
            simulation.write_code(folder.path / "code")
            write_inputs(simulation.inputs, folder.path / "input")
        folder.publish()
    except BaseException:
        folder.remove()
        raise
    return folder


def as_simulation(
    simulation: Any,
    function: str = "simulate",
    args: str | None = None,
    include: Iterable[str | Path] = (),
    constants: Mapping[str, Any] | None = None,
    results_file: str = "",
    inputs: Mapping[str, Any] | None = None,
) -> Simulation:
    if isinstance(simulation, Simulation):
        return simulation
    include = (include,) if isinstance(include, (str, Path)) else tuple(include)
    return Simulation(simulation, function, args, include, dict(constants or {}), results_file, dict(inputs or {}))


def as_design(design: Any) -> Design:
    if design is None:
        return Design({})
    if isinstance(design, Design):
        return design
    return table(design)


def check_replications(replications: Any) -> None:
    whole = isinstance(replications, (int, np.integer)) and not isinstance(replications, bool)
    if not whole or not 1 <= replications < 2**31:
        raise UsageError(f"replications is {replications!r}; it has to be a whole number from 1 to 2147483647")
