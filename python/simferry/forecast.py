"""The verb plan: what a run would compute, what is already there, and how long it should take."""

import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import driver, planning, results, reuse, streams
from .backends import backend as backend_of
from .backends.base import Backend
from .design import Design
from .errors import Interrupted
from .prepare import as_design, as_simulation, check_replications, create
from .simulation import Simulation
from .store import RunFolder, Store

PILOT_SECONDS = 20.0  # of wall time, at the most
PILOT_CONDITIONS = 200
PILOT_REPLICATIONS = 3


@dataclass
class Forecast:
    """What a run would be. seconds are None without a pilot; those of the pilot's replications are core-seconds each."""

    conditions: int
    replications: int
    total: int
    already_there: int
    stretches: int
    workers: int
    seed: int
    pilot_run: str | None = None
    pilot_replications: int = 0
    seconds_per_replication: float | None = None
    core_seconds: float | None = None
    seconds: float | None = None
    slowest_condition: dict[str, Any] | None = None


def plan(
    simulation: Any,
    design: Any = None,
    *,
    replications: int,
    seed: int | None = None,
    function: str = "simulate",
    args: str | None = None,
    include: Iterable[str | Path] = (),
    constants: Mapping[str, Any] | None = None,
    results_file: str = "",
    common: str | Iterable[str] = (),
    store: str | Path | None = None,
    backend: str = "local",
    workers: int | None = None,
    image: str | None = None,
    instance_type: str | None = None,
    jobs: int | None = None,
    max_runtime: float | None = None,
    hosts: int | None = None,
    cores: int | None = None,
    pilot: bool = True,
) -> Forecast:
    """What `run` would do with the same arguments, without doing it.

    With `pilot`, a few replications of (up to 200 of) the conditions are run for at most 20 seconds to see how long they
    take. They are kept: a run with the same seed does not compute them again.
    """
    simulation = as_simulation(simulation, function, args, include, constants, results_file)
    design = as_design(design)
    check_replications(replications)
    given: dict[str, Any] = {
        "workers": workers,
        "image": image,
        "instance_type": instance_type,
        "jobs": jobs,
        "hosts": hosts,
    }
    given["max_runtime"] = max_runtime
    place = backend_of(backend, **given)
    options: dict[str, Any] = {"common": common, "backend": backend, "place": given, "cores": cores}
    if not pilot:
        place.check(simulation.spec())
        simulation.check(design, place)
        seed = streams.check_seed(0 if seed is None else seed)
        work = _stretches(simulation, design, seed, replications, common, place.workers)
        total = len(design) * replications
        return Forecast(len(design), replications, total, 0, len(work), place.workers, seed)
    few = min(replications, PILOT_REPLICATIONS)
    folder = create(simulation, design, replications=few, seed=seed, store=store, pilot=True, **options)
    there = reuse.take_over(_as_if(folder, replications), Store(store), design)
    _pilot(folder, place)
    work = _stretches(simulation, design, folder.record["seed"], replications, common, place.workers)
    out = Forecast(
        len(design),
        replications,
        len(design) * replications,
        there,
        len(work),
        place.workers,
        folder.record["seed"],
        folder.id,
    )
    _forecast(out, folder, design, cores or (1 if simulation.kind == "function" else place.workers))
    if out.pilot_replications == 0:
        shutil.rmtree(folder.path, ignore_errors=True)
        out.pilot_run = None
    return out


def _stretches(
    simulation: Simulation, design: Design, seed: int, replications: int, common: Any, cores: int
) -> planning.Work:
    common = driver.left_out(design.names, common if isinstance(common, str) else list(common))
    made = planning.Streams(seed, design.canonical(common), simulation.kind == "script")
    stretches = planning.cut(planning.all_work(len(design), replications), made.numbers.argsort().argsort(), cores)
    if simulation.language == "r":
        made.states(stretches)
    return stretches


def _as_if(folder: RunFolder, replications: int) -> RunFolder:
    """The folder of a pilot, asked as if it were to hold all replications: what earlier runs have is then counted whole."""
    folder.record["replications"] = replications
    return folder


def _pilot(folder: RunFolder, place: Backend) -> None:
    conditions = folder.record["conditions"]
    some = np.unique(np.linspace(1, conditions, min(conditions, PILOT_CONDITIONS)).round().astype(np.int64))
    until = time.monotonic() + PILOT_SECONDS

    def enough(_: Any) -> None:
        if time.monotonic() > until:
            raise KeyboardInterrupt

    few = min(folder.record["replications"], PILOT_REPLICATIONS)
    try:
        driver.drive(folder, place, "pilot", replications=few, conditions=some, on_progress=enough)
    except Interrupted:
        if time.monotonic() <= until:
            raise


def _forecast(out: Forecast, folder: RunFolder, design: Design, cores: int) -> None:
    table = results.collect(folder).replications
    seconds, condition = table["seconds"].to_numpy(), table["condition"].to_numpy()
    known = ~np.isnan(seconds)
    seconds, condition = seconds[known], condition[known]
    out.pilot_replications = len(seconds)
    if not len(seconds):
        return
    n = np.bincount(condition, minlength=out.conditions + 1)[1:]
    with np.errstate(invalid="ignore"):
        mean = np.bincount(condition, seconds, minlength=out.conditions + 1)[1:] / n
    slowest = int(np.nanargmax(mean))
    each = np.where(n > 0, mean, np.nanmean(mean))  # a condition that was not tried counts as the average one
    out.seconds_per_replication = float(each.mean())
    out.core_seconds = float(each.sum() * out.replications * (1 - out.already_there / out.total)) * cores
    out.seconds = out.core_seconds / out.workers + 1.0
    out.slowest_condition = {"condition": slowest + 1, **design.condition(slowest), "seconds": float(mean[slowest])}
