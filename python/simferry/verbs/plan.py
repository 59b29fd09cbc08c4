"""The verb plan: what a run would compute, what is already computed, how long it takes, and what it costs in the cloud."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backends import backend_of
from ..backends.base import Backend, Metered
from ..backends.foreground import foreground_of
from ..errors import Note, UsageError
from ..hints import Option
from ..jobs import stretches
from ..results import collect
from ..store import counts
from ..store.counts import Counts
from ..store.places import store_at
from ..store.spans import of_each_condition
from ..sweep.replications import Column
from ..sweep.simulation import Simulation
from ..sweep.sweep import Sweep, as_sweep
from . import reuse
from .check import check
from .cloud_plan import plan_in_the_cloud
from .create import create
from .pilot import Forecast as Forecast
from .pilot import as_if, foresee, measure, pilot_of, run_pilot, size_of, warn_of_full_disk

if TYPE_CHECKING:
    import pandas as pd


def plan(
    simulation: Any,
    design: Any = None,
    *,
    replications: "int | Sequence[int] | Column | None" = None,
    until: "str | Mapping[str, str | float] | None" = None,
    least: int | None = None,
    most: int | None = None,
    seed: int | None = None,
    function: str = "simulate",
    args: str | None = None,
    include: Iterable[str | Path] = (),
    constants: Mapping[str, Any] | None = None,
    results_file: str = "",
    inputs: Mapping[str, Any] | None = None,
    env: Mapping[str, Any] | None = None,
    project: bool = False,
    large_project: bool = False,
    metric: Mapping[str, str] | None = None,
    replications_as: str = "",
    seed_as: str = "",
    estimate: "str | Sequence[str] | None" = None,
    truth: "str | float | Path | Sequence[str | float] | Mapping[str, Any] | pd.DataFrame | None" = None,
    se: "str | Sequence[str] | None" = None,
    interval: "str | Sequence[str] | None" = None,
    p_value: "str | Sequence[str] | None" = None,
    df: "str | float | None" = None,
    by: "str | Sequence[str] | None" = None,
    reference: "str | float | None" = None,
    alpha: "float | Sequence[float] | None" = None,
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

    simulation, design, replications, until, least, most, seed, estimate, truth, se, interval, p_value, df, by, reference, alpha, function,
    args, include, constants, results_file, inputs, env, project,
    large_project, metric, replications_as, seed_as, common, store, backend, cores, backend_options: as for `run`.

    With `pilot`, a few replications of (up to 200 of) the conditions are run for at most 20 seconds to see how long they
    take. They are kept: a run with the same seed does not compute them again.

    backend "sagemaker": the pilot runs in the image of the jobs if Docker has it on this machine, and is kept in the store. Else it runs
    with the R or Python of this machine, whose numbers may be others, and is not kept. Without AWS credentials it isn't kept either,
    and nothing is known of earlier runs. `cloud` of what is returned has time and cost of what is left to compute, by instance type
    and number of jobs, the cheapest within `deadline` ("2h", or seconds) and the fastest within `budget` (US dollars).
    refresh_prices: ask AWS for today's prices first.

    backend "batch": the same, by number of jobs of the size that vcpus, memory and on ask for, at the dearest on-demand price of the
    machines that the queue may choose.

    Raises SimulationError, DesignError or UsageError as `run` does, and AwsError if AWS refuses.
    """
    sweep = as_sweep(
        simulation, design, replications=replications, until=until, least=least, most=most, seed=seed,
        function=function, args=args, include=include,
        constants=constants, results_file=results_file, inputs=inputs, env=env, project=project,
        large_project=large_project, metric=metric, replications_as=replications_as, seed_as=seed_as,
        estimate=estimate, truth=truth, se=se, interval=interval, p_value=p_value, df=df, by=by, reference=reference, alpha=alpha,
        common=common, store=store, backend=backend, cores=cores, budget=budget, **backend_options,
    )  # fmt: skip
    where = backend_of(sweep.backend)
    if isinstance(where, Metered):
        out = plan_in_the_cloud(sweep, where, pilot, deadline, refresh_prices)
        return replace(out, project=_project(sweep.simulation))
    if deadline is not None or refresh_prices:
        raise UsageError(
            f"deadline, budget and prices are for the cloud, and the backend is {sweep.backend.table}",
            Option("backend", "sagemaker"),
        )
    return replace(_here(sweep, where, pilot), project=_project(sweep.simulation))


def _project(simulation: Simulation) -> list[dict[str, Any]]:
    return [
        {"folder": str(one.folder), "files": len(one.files), "bytes": one.size, "shown": one.shown()}
        for one in simulation.around.along
    ]


def _here(sweep: Sweep, where: Backend, pilot: bool) -> Forecast:
    """The forecast for this machine. The pilot is a run in the sweep's store."""
    simulation, design, replications, total = size_of(sweep)
    workers = where.traits.workers
    if not pilot or simulation.kind == "image":  # whose replications are jobs
        where.prepare(simulation.spec(), store_at(sweep.options.store).address, lambda _: None)
        check(simulation, design, foreground_of(where, "check"))
        number = _stretches(sweep, replications, workers)
        return Forecast(len(design), replications, total, 0, number, workers, sweep.seed or 0, code=simulation.code())
    few = pilot_of(sweep)
    folder = create(few, pilot=True)
    reuse.take_over(as_if(folder, replications), store_at(sweep.options.store), design)
    there = of_each_condition(collect.done_spans(folder), len(design))
    run_pilot(folder, where, counts.most_of(few.replications))
    seed = folder.record.seed
    out = Forecast(
        len(design), replications, total, 0, _stretches(sweep, replications, workers), workers, seed, folder.id, code=simulation.code()
    )  # fmt: skip
    for note in foresee(out, sweep, folder):
        out.stretches = _stretches(sweep, out.replications, workers)
        warnings.warn(Note(note), stacklevel=3)
    cores = sweep.options.cores or (1 if simulation.kind == "function" else workers)
    measure(out, folder, design, cores, there)
    warn_of_full_disk(out, folder)
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


def _stretches(sweep: Sweep, replications: Counts, cores: int) -> int:
    """Their number, which does not depend on their order. Of an image, the number of jobs."""
    if (jobs := sweep.jobs_of_image) is not None:
        return jobs
    work = stretches.all_work(len(sweep.design), replications)
    return len(stretches.cut(work, work.condition, cores))
