"""The verb plan: what a run would compute, what is already there, how long it should take, and in the cloud what it costs."""

import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..aws import prices, session
from ..backends import backend as backend_of
from ..backends.base import Backend, Metered
from ..backends.foreground import foreground_of
from ..driver import drive
from ..errors import Interrupted, SimferryError, SimulationError, UsageError, WorkerError
from ..jobs import streams, stretches
from ..jobs.plan import streams_of
from ..results import collect
from ..store.places import store_at
from ..store.run_folder import RunFolder
from ..sweep.design import Design
from ..sweep.simulation import Simulation
from . import forecast as cloud_forecast
from . import reuse
from .check import check
from .create import as_design, as_simulation, check_replications, create

PILOT_SECONDS = 20.0  # of wall time, at the most
PILOT_CONDITIONS = 200
PILOT_REPLICATIONS = 3
NOT_PLANNED = (
    "on_error",
    "replication_timeout",
    "retries",
    "keep_files",
    "fresh",
)  # of a sweep file: they matter only to a run


@dataclass
class Forecast:
    """What a run would compute, and how long it should take.

    conditions, replications (of each condition), total: numbers. already_there: replications that earlier runs have computed.
    stretches: pieces of work (0 in the cloud). workers: cores of this machine to use. seed: of the pilot's run, or as given.
    pilot_run, pilot_replications: id of the pilot's run, and how many replications it computed.
    seconds_per_replication, longest_replication: seconds, as measured here. slowest_condition: parameters and seconds.
    core_seconds: seconds of one core for all that is left. seconds: estimated duration. Both are None without a pilot.
    cloud: time and cost (US dollars) by instance type; None for other backends.
    code: name and path of the files whose content decides whether earlier results are reused: the script, included files,
        your own modules and packages.
    """

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
    longest_replication: float | None = None
    cloud: cloud_forecast.CloudForecast | None = None
    code: list[dict[str, str]] = field(default_factory=list)


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
    inputs: Mapping[str, Any] | None = None,
    common: str | Iterable[str] = (),
    store: str | Path | None = None,
    backend: str = "local",
    cores: int | None = None,
    pilot: bool = True,
    deadline: float | str | None = None,
    budget: float | None = None,
    refresh_prices: bool = False,
    **place: Any,
) -> Forecast:
    """What `run` would do with the same arguments, without doing it.

    simulation, design, replications, seed, function, args, include, constants, results_file, inputs, common, store, backend,
    cores, place: as for `run`.

    With `pilot`, a few replications of (up to 200 of) the conditions are run for at most 20 seconds to see how long they
    take. They are kept: a run with the same seed does not compute them again.

    backend "sagemaker": the pilot runs on this machine, or in `image` on this machine where the simulation can't run without
    it, and is not kept; `cloud` of what is returned has time and cost by instance type and number of jobs, the cheapest within
    `deadline` ("2h", or seconds) and the fastest within `budget` (US dollars). refresh_prices: ask AWS for today's prices first.

    Raises SimulationError, DesignError or UsageError as `run` does, and AwsError if AWS refuses.
    """
    simulation = as_simulation(simulation, function, args, include, constants, results_file, inputs)
    design = as_design(design)
    check_replications(replications)
    where = backend_of(backend, **place)
    if isinstance(where, Metered):
        asked: dict[str, Any] = {"deadline": deadline, "budget": budget, "refresh_prices": refresh_prices}
        of_pilot = {"seed": seed, "common": common, "cores": cores}
        place["budget"] = budget
        return _in_the_cloud(simulation, design, replications, of_pilot, backend, place, pilot, **asked)
    if deadline is not None or budget is not None or refresh_prices:
        raise UsageError(
            f"deadline, budget and prices are for the cloud, and the backend is {backend}", "--backend sagemaker"
        )
    options: dict[str, Any] = {"common": common, "backend": backend, "place": place, "cores": cores}
    if not pilot:
        where.prepare(simulation.spec(), store_at(store).address, lambda _: None)
        check(simulation, design, foreground_of(where, "check"))
        seed = streams.check_seed(0 if seed is None else seed)
        work = _stretches(simulation, design, seed, replications, common, where.traits.workers)
        total = len(design) * replications
        return Forecast(
            len(design), replications, total, 0, len(work), where.traits.workers, seed, code=simulation.code()
        )
    few = min(replications, PILOT_REPLICATIONS)
    folder = create(simulation, design, replications=few, seed=seed, store=store, pilot=True, **options)
    there = reuse.take_over(_as_if(folder, replications), store_at(store), design)
    _pilot(folder, where)
    work = _stretches(simulation, design, folder.record.seed, replications, common, where.traits.workers)
    out = Forecast(
        len(design),
        replications,
        len(design) * replications,
        there,
        len(work),
        where.traits.workers,
        folder.record.seed,
        folder.id,
        code=simulation.code(),
    )
    _forecast(out, folder, design, cores or (1 if simulation.kind == "function" else where.traits.workers))
    if failed := sum(name.failed for name in folder.block_names()):
        warnings.warn(
            f"{failed} of the pilot's {out.pilot_replications} replications failed, so their time may mean nothing: "
            f"{folder.command('errors')}",
            stacklevel=2,
        )
    if out.pilot_replications == 0:
        folder.remove()
        out.pilot_run = None
    return out


def _in_the_cloud(
    simulation: Simulation,
    design: Design,
    replications: int,
    options: dict[str, Any],
    backend: str,
    place: Mapping[str, Any],
    pilot: bool,
    *,
    deadline: float | str | None,
    budget: float | None,
    refresh_prices: bool,
) -> Forecast:
    """options: of the pilot's run folder. place: the backend's, as the user gave them."""
    given = {name: value for name, value in place.items() if value is not None}
    metered = backend_of(backend, **given)
    assert isinstance(metered, Metered)
    if given.get("hosts", 1) > 1:
        raise UsageError(
            f"hosts is {given['hosts']}; a pilot on this machine can't tell how fast a script is on several hosts",
            "Leave hosts out to plan for one.",
        )
    seconds = None if deadline is None else cloud_forecast.seconds_of(deadline)
    region, notes = _region()
    table = prices.refresh(region) if refresh_prices else prices.prices(region)
    types = [kind.name for kind in metered.instances] if "instance_type" in given else []
    for name in types:
        table.of(name)  # known before anything runs
    total = len(design) * replications
    if not pilot:
        seed = streams.check_seed(options["seed"] or 0)
        nothing = cloud_forecast.CloudForecast([], None, None, ["without a pilot no time and no cost can be told"])
        workers = given.get("workers", 0)
        return Forecast(len(design), replications, total, 0, 0, workers, seed, cloud=nothing, code=simulation.code())
    options = {**options, "replications": min(replications, PILOT_REPLICATIONS), "pilot": True}
    with tempfile.TemporaryDirectory(prefix="simferry-pilot-", ignore_cleanup_errors=True) as store:
        folder, here, where = _pilot_here(simulation, design, given.get("image"), {**options, "store": store})
        _pilot(folder, here)
        out = Forecast(
            len(design), replications, total, 0, 0, here.traits.workers, folder.record.seed, code=simulation.code()
        )
        cores = options["cores"] or (1 if simulation.kind == "function" else here.traits.workers)
        _forecast(out, folder, design, cores)
        failed = sum(name.failed for name in folder.block_names())
    if failed:
        notes.append(
            f"{failed} of the pilot's {out.pilot_replications} replications failed: their time may mean nothing"
        )
    if out.core_seconds is None or out.longest_replication is None:
        said = f"no replication ended within the pilot's {PILOT_SECONDS:.0f} s, so no time and no cost can be told"
        out.cloud = cloud_forecast.CloudForecast([], None, None, [said])
        return out
    out.seconds = None
    whole_instance = simulation.kind != "function" and not options["cores"]
    if whole_instance:
        notes.append(
            "an instance runs a whole script one at a time, taken to be no faster on more cores: --cores tells how many it uses"
        )
    work = cloud_forecast.Work(total, out.core_seconds / cores, out.longest_replication, cores, whole_instance)
    out.cloud = cloud_forecast.forecast(
        work,
        table,
        deadline=seconds,
        budget=budget,
        instance_types=types,
        jobs=given.get("jobs"),
        workers=given.get("workers"),
    )
    out.cloud.notes += [*notes, where]
    return out


def _region() -> tuple[str, list[str]]:
    """The region that is configured, or the one whose prices are known; and then a note of it."""
    name = None
    with contextlib.suppress(ImportError):  # without boto3 nothing is configured
        name = session.session().region_name
    return name or prices.REGION, [] if name else [f"no AWS region is set, so {prices.REGION} is taken"]


def _pilot_here(
    simulation: Simulation, design: Design, image: str | None, options: dict[str, Any]
) -> tuple[RunFolder, Backend, str]:
    """A pilot's folder, its backend, and a note of where it runs: on this machine, or else in the image on this machine."""
    try:
        return create(simulation, design, **options), backend_of("local"), "the pilot ran on this machine"
    except (SimulationError, WorkerError) as error:  # WorkerError: R isn't installed here
        if not image:
            raise
        try:
            folder = create(simulation, design, backend="docker", place={"image": image}, **options)
        except SimferryError as there:
            hint = f"{error.hint} In the image {image} on this machine: {there.message}".strip()
            raise type(error)(error.message, hint) from None
        where = f"the pilot ran in the image {image} on this machine: without it, {error.message}"
        return folder, backend_of("docker", image=image), where


def _stretches(
    simulation: Simulation, design: Design, seed: int, replications: int, common: Any, cores: int
) -> stretches.Work:
    made = streams_of(design, seed, common, simulation.kind)
    work = stretches.cut(stretches.all_work(len(design), replications), made.numbers.argsort().argsort(), cores)
    if simulation.language == "r":
        made.states(work)
    return work


def _as_if(folder: RunFolder, replications: int) -> RunFolder:
    """The folder of a pilot, asked as if it were to hold all replications: what earlier runs have is then counted whole."""
    folder.record = replace(folder.record, replications=replications)
    return folder


def _pilot(folder: RunFolder, place: Backend) -> None:
    conditions = folder.record.conditions
    some = np.unique(np.linspace(1, conditions, min(conditions, PILOT_CONDITIONS)).round().astype(np.int64))
    until = time.monotonic() + PILOT_SECONDS

    def enough(_: Any) -> None:
        if time.monotonic() > until:
            raise KeyboardInterrupt

    few = min(folder.record.replications, PILOT_REPLICATIONS)
    try:
        drive.drive(folder, place, "pilot", replications=few, conditions=some, on_progress=enough)
    except Interrupted:
        if time.monotonic() <= until:
            raise


def _forecast(out: Forecast, folder: RunFolder, design: Design, cores: int) -> None:
    table = collect.collect(folder).replications
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
    out.longest_replication = float(seconds.max())
    out.slowest_condition = {"condition": slowest + 1, **design.condition(slowest), "seconds": float(mean[slowest])}
