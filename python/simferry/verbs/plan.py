"""The verb plan: what a run would compute, what is already computed, how long it takes, and what it costs in the cloud."""

import contextlib
import tempfile
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..aws import prices, session
from ..backends import backend_of
from ..backends.base import Backend, Metered
from ..backends.foreground import foreground_of
from ..driver import drive
from ..errors import Interrupted, SimferryError, SimulationError, UsageError, WorkerError
from ..hints import Option
from ..jobs import stretches
from ..jobs.plan import streams_of
from ..results import collect
from ..store import counts
from ..store.counts import Counts
from ..store.places import store_at
from ..store.run_folder import RunFolder
from ..sweep.design import Design
from ..sweep.replications import Column
from ..sweep.simulation import Simulation
from ..sweep.sweep import Sweep, as_sweep
from ..system.notebook import facts
from ..words import counted, dollars, duration
from . import forecast as cloud_forecast
from . import reuse
from .check import check
from .create import create

PILOT_SECONDS = 20.0  # of wall time, at the most
PILOT_CONDITIONS = 200
PILOT_REPLICATIONS = 3
# options in a sweep file that matter only to a run
NOT_PLANNED = ("on_error", "replication_timeout", "retries", "keep_files", "fresh")


@dataclass
class Forecast:
    """What a run would compute, and how long it should take.

    conditions, replications (of each condition), total: numbers. already_there: replications that earlier runs have computed.
    stretches: their number (0 in the cloud). workers: cores of this machine to use. seed: of the pilot's run, or as given.
    pilot_run, pilot_replications: id of the pilot's run, and how many replications it computed.
    seconds_per_replication, longest_replication: seconds, as measured here. slowest_condition: parameters and seconds.
    core_seconds: seconds of one core for all that is left. seconds: estimated duration. Both are None without a pilot.
    cloud: time and cost (US dollars) by instance type; None for other backends.
    code: name and path of the files whose content decides whether earlier results are reused: the script, included files,
        your own modules and packages.
    """

    conditions: int
    replications: Counts
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

    def _repr_html_(self) -> str:
        each = None if self.seconds_per_replication is None else f"{self.seconds_per_replication:.3g} s on average"
        rows = {
            "already there": self.already_there,
            "a replication takes": each,
            "all of it takes about": None if self.seconds is None else duration(self.seconds),
            "cores": self.workers,
            "core time": None if self.core_seconds is None else duration(self.core_seconds),
            "seed": str(self.seed),
        }
        title = f"{counted(self.conditions, 'condition')} x {counts.in_words(self.replications)} = {self.total:,}"
        html = facts(title, rows)
        if self.cloud is None:
            return html
        ways = [
            (
                f"{row.jobs} x {row.instance_type}",
                ", ".join(filter(None, [duration(row.seconds), dollars(row.dollars), row.remark])),
            )
            for row in self.cloud.rows
        ]
        return html + facts("Time and cost", ways) + facts("Notes", [("", note) for note in self.cloud.notes])


def plan(
    simulation: Any,
    design: Any = None,
    *,
    replications: "int | Sequence[int] | Column | None" = None,
    seed: int | None = None,
    function: str = "simulate",
    args: str | None = None,
    include: Iterable[str | Path] = (),
    constants: Mapping[str, Any] | None = None,
    results_file: str = "",
    inputs: Mapping[str, Any] | None = None,
    env: Mapping[str, Any] | None = None,
    common: str | Iterable[str] = (),
    store: str | Path | None = None,
    backend: str = "local",
    cores: int | None = None,
    pilot: bool = True,
    deadline: float | str | None = None,
    budget: float | None = None,
    refresh_prices: bool = False,
    **backend_options: Any,
) -> Forecast:
    """What `run` would do with the same arguments, without doing it.

    simulation, design, replications, seed, function, args, include, constants, results_file, inputs, env, common, store, backend,
    cores, backend_options: as for `run`.

    With `pilot`, a few replications of (up to 200 of) the conditions are run for at most 20 seconds to see how long they
    take. They are kept: a run with the same seed does not compute them again.

    backend "sagemaker": the pilot runs on this machine, or in `image` on this machine where the simulation can't run without
    it, and is not kept; `cloud` of what is returned has time and cost by instance type and number of jobs, the cheapest within
    `deadline` ("2h", or seconds) and the fastest within `budget` (US dollars). refresh_prices: ask AWS for today's prices first.

    Raises SimulationError, DesignError or UsageError as `run` does, and AwsError if AWS refuses.
    """
    sweep = as_sweep(
        simulation, design, replications=replications, seed=seed, function=function, args=args, include=include,
        constants=constants, results_file=results_file, inputs=inputs, env=env, common=common, store=store, backend=backend,
        cores=cores, budget=budget, **backend_options,
    )  # fmt: skip
    where = backend_of(sweep.backend)
    if isinstance(where, Metered):
        return _in_the_cloud(sweep, where, pilot, deadline, refresh_prices)
    if deadline is not None or refresh_prices:
        raise UsageError(
            f"deadline, budget and prices are for the cloud, and the backend is {sweep.backend.table}",
            Option("backend", "sagemaker"),
        )
    return _here(sweep, where, pilot)


def _here(sweep: Sweep, where: Backend, pilot: bool) -> Forecast:
    """The forecast for this machine. The pilot is a run in the sweep's store."""
    simulation, design, replications, total = _size(sweep)
    workers = where.traits.workers
    if not pilot:
        where.prepare(simulation.spec(), store_at(sweep.options.store).address, lambda _: None)
        check(simulation, design, foreground_of(where, "check"))
        seed = sweep.seed or 0
        work = _stretches(sweep, seed, workers)
        return Forecast(len(design), replications, total, 0, len(work), workers, seed, code=simulation.code())
    folder = create(sweep.replace(replications=counts.at_most(replications, PILOT_REPLICATIONS)), pilot=True)
    there = reuse.take_over(_as_if(folder, replications), store_at(sweep.options.store), design)
    _pilot(folder, where)
    seed = folder.record.seed
    work = _stretches(sweep, seed, workers)
    out = Forecast(
        len(design), replications, total, there, len(work), workers, seed, folder.id, code=simulation.code()
    )  # fmt: skip
    _forecast(out, folder, design, sweep.options.cores or (1 if simulation.kind == "function" else workers))
    if failed := sum(name.failed for name in folder.block_names()):
        warnings.warn(
            f"{failed} of the pilot's {out.pilot_replications} replications failed, so their time may mean nothing: "
            f"{folder.command('errors')}",
            stacklevel=3,
        )
    if out.pilot_replications == 0:
        folder.remove()
        out.pilot_run = None
    return out


def _size(sweep: Sweep) -> tuple[Simulation, Design, Counts, int]:
    total = counts.total(sweep.replications, len(sweep.design))
    return sweep.simulation, sweep.design, sweep.replications, total


def _in_the_cloud(
    sweep: Sweep, metered: Metered, pilot: bool, deadline: float | str | None, refresh_prices: bool
) -> Forecast:
    """The forecast by instance type and number of jobs. The pilot runs on this machine, in a temporary store."""
    simulation, design, replications, total = _size(sweep)
    given = sweep.backend.given()
    if given.get("hosts", 1) > 1:
        raise UsageError(
            f"hosts is {given['hosts']}; a pilot on this machine can't measure a script on several hosts",
            "Leave hosts out to plan for one.",
        )
    seconds = None if deadline is None else cloud_forecast.seconds_of(deadline)
    region, notes = _region()
    table = prices.refresh(region) if refresh_prices else prices.prices(region)
    types = [kind.name for kind in metered.instances] if "instance_type" in given else []
    for name in types:
        table.of(name)  # raises for an unknown type, before anything runs
    if not pilot:
        nothing = cloud_forecast.CloudForecast([], None, None, ["time and cost are not known without a pilot"])
        workers, code = given.get("workers", 0), simulation.code()
        return Forecast(len(design), replications, total, 0, 0, workers, sweep.seed or 0, cloud=nothing, code=code)
    with tempfile.TemporaryDirectory(prefix="simferry-pilot-", ignore_cleanup_errors=True) as store:
        few = counts.at_most(replications, PILOT_REPLICATIONS)
        folder, here, where = _pilot_here(
            sweep.replace(backend="local", replications=few, store=store), given.get("image")
        )
        _pilot(folder, here)
        workers = here.traits.workers
        out = Forecast(
            len(design), replications, total, 0, 0, workers, folder.record.seed, code=simulation.code()
        )  # fmt: skip
        cores = sweep.options.cores or (1 if simulation.kind == "function" else workers)
        _forecast(out, folder, design, cores)
        failed = sum(name.failed for name in folder.block_names())
    if failed:
        notes.append(
            f"{failed} of the pilot's {out.pilot_replications} replications failed: their time may mean nothing"
        )
    if out.core_seconds is None or out.longest_replication is None:
        nothing_ended = f"no replication ended within the pilot's {PILOT_SECONDS:.0f} s: time and cost are not known"
        out.cloud = cloud_forecast.CloudForecast([], None, None, [nothing_ended])
        return out
    out.seconds = None
    whole_instance = simulation.kind != "function" and not sweep.options.cores
    if whole_instance:
        notes.append(
            "an instance runs one whole script at a time, which is assumed to be no faster on more cores: "
            f"{Option('cores')} sets how many it uses"
        )
    work = cloud_forecast.Work(total, out.core_seconds / cores, out.longest_replication, cores, whole_instance)
    out.cloud = cloud_forecast.forecast(
        work, table, deadline=seconds, budget=given.get("budget"), instance_types=types, jobs=given.get("jobs"),
        workers=given.get("workers"),
    )  # fmt: skip
    out.cloud.notes += [*notes, where]
    return out


def _region() -> tuple[str, list[str]]:
    """The configured region; without one, the region of simferry's table of prices, and a note."""
    name = None
    with contextlib.suppress(ImportError):  # without boto3 nothing is configured
        name = session.session().region_name
    return name or prices.REGION, [] if name else [f"no AWS region is set, so {prices.REGION} is used"]


def _pilot_here(sweep: Sweep, image: str | None) -> tuple[RunFolder, Backend, str]:
    """A pilot's folder, its backend, and a note on where it runs: on this machine, or else in the image on this machine."""
    try:
        return create(sweep, pilot=True), backend_of(sweep.backend), "the pilot ran on this machine"
    except (SimulationError, WorkerError) as error:  # WorkerError: R isn't installed here
        if not image:
            raise
        there = sweep.replace(backend="docker", image=image)
        try:
            folder = create(there, pilot=True)
        except SimferryError as failed:
            hint = f"{error.hint} In the image {image} on this machine: {failed.message}".strip()
            raise type(error)(error.message, hint) from None
        where = f"the pilot ran in the image {image} on this machine: without it, {error.message}"
        return folder, backend_of(there.backend), where


def _stretches(sweep: Sweep, seed: int, cores: int) -> stretches.Work:
    simulation, design, replications, _ = _size(sweep)
    made = streams_of(design, seed, sweep.common, simulation.kind)
    work = stretches.cut(stretches.all_work(len(design), replications), made.numbers.argsort().argsort(), cores)
    if simulation.language == "r":
        made.states(work)
    return work


def _as_if(folder: RunFolder, replications: Counts) -> RunFolder:
    """A pilot's folder with the replications of the whole run, so that all that earlier runs have computed count."""
    folder.record = replace(folder.record, replications=replications)
    return folder


def _pilot(folder: RunFolder, backend: Backend) -> None:
    conditions = folder.record.conditions
    some = np.unique(np.linspace(1, conditions, min(conditions, PILOT_CONDITIONS)).round().astype(np.int64))
    until = time.monotonic() + PILOT_SECONDS

    def enough(_: Any) -> None:
        if time.monotonic() > until:
            raise KeyboardInterrupt

    few = counts.at_most(folder.record.replications, PILOT_REPLICATIONS)
    try:
        drive.drive(folder, backend, "pilot", replications=few, conditions=some, on_progress=enough)
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
    seconds_of_all = float((each * counts.each(out.replications, out.conditions)).sum())
    out.seconds_per_replication = seconds_of_all / out.total
    out.core_seconds = seconds_of_all * (1 - out.already_there / out.total) * cores
    out.seconds = out.core_seconds / out.workers + 1.0
    out.longest_replication = float(seconds.max())
    out.slowest_condition = {"condition": slowest + 1, **design.condition(slowest), "seconds": float(mean[slowest])}
