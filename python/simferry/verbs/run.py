"""Start a run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BudgetReached, NoAnswer, ServiceError
from ..store import counts
from ..sweep.design import Design
from ..sweep.replications import Column
from ..sweep.simulation import Simulation
from ..sweep.sweep import Sweep, as_sweep
from ..system.notebook import in_notebook
from .create import create

if TYPE_CHECKING:
    import pandas as pd

    from ..store.run_folder import RunFolder
    from .compute import ProgressCallback
    from .runs import Run


def run(
    simulation: "str | Path | Callable[..., Any] | Simulation | Sweep",
    design: "Design | Mapping[str, Any] | Any | None" = None,
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
    study: "Mapping[str, str | Sequence[str]] | None" = None,
    common: str | Iterable[str] = (),
    store: str | Path | None = None,
    backend: str = "local",
    cores: int | None = None,
    on_error: str = "continue",
    replication_timeout: float | None = None,
    retries: int = 2,
    many_jobs: bool = False,
    keep_files: bool = False,
    fresh: bool = False,
    name: str | None = None,
    note: str | None = None,
    on_progress: "ProgressCallback | None" = None,
    on_start: "Callable[[Run, int, bool], None] | None" = None,
    detach: "bool | Callable[[Run], Any]" = False,
    **backend_options: Any,
) -> "Run":
    """Run a simulation: `replications` times for each condition of a design.

    simulation: path of a script, a function, a program (with `args`), or image:NAME, an image that is the program (`docker run NAME
        train`); or a `Sweep`, which has all but on_progress, on_start and detach. function, args, include, constants,
        results_file, inputs, env, project and large_project: as for `Simulation`.
    design: a Design (grid, zipped, table, random, latin_hypercube, sobol), or anything that `table` reads; None is one
        condition without parameters.
    replications: of each condition: one number, or one for each condition, in the order of the design; or `sf.column("reps")`, a
        column of the design that holds them and is no parameter. None: 1, but a function needs a number.
    until: instead: go on until the Monte Carlo standard error (MCSE) of each condition is so small: {"coverage": 0.005, "bias": 0.01}, for
        measures or for means of outputs. least, most: replications of a condition [50, 100,000].
    seed: whole number from 0 to 2^31 - 1. None: one is drawn; `run.seed` has it.
    metric: not of a function: by the name of an output a regular expression whose first group is its number in the log; the last counts.
    replications_as: of an image: the hyperparameter that tells it to do so many replications in one job, with a row for each in its
        results file; without, each replication is a job. seed_as: the hyperparameter with the seed, which is in $SIMFERRY_SEED anyway.
    estimate, truth, se, interval, p_value, df, by, reference, alpha: what the outputs are, as for `measures`, which then need not be told.
    study: for its report, texts by the names title, aims, data_generating_mechanisms, estimands, methods, performance_measures, authors.
    common: names of parameters (or "all") that do not change the random numbers: conditions that differ only there share them.
    store: a folder, or an address such as s3://bucket/folder [$SIMFERRY_STORE; ./simferry-runs, or for sagemaker and batch
        the store of the stack of `simferry.infra`].
    cores: how many one replication uses (1 for functions, all workers for scripts and commands).
    backend: "local", "docker" (containers here), "sagemaker" (SageMaker Processing) or "batch" (AWS Batch). backend_options: its options,
        as further arguments: workers (cores of a job to use; by default all); for docker and sagemaker image, instance_type (such as
        ml.m5.xlarge), jobs, max_runtime (seconds, of a job) and hosts (containers to a job, which give a whole script one
        cluster); for sagemaker also role, budget (US dollars), spot (True: training jobs on Spot machines) and those of
        `simferry.sweep.options.SagemakerOptions`; for batch jobs (at most 10,000), vcpus, memory ("8G"), on ("spot", "demand" or
        "fargate") and those of `simferry.sweep.options.BatchOptions`.
    on_error: "continue", or "stop" to end the run at the first failed replication.
    replication_timeout: seconds after which a replication is ended and recorded as failed.
    retries: how often replications that a lost job left undone are tried again.
    many_jobs: agree to more than 100 jobs of an image that cost money each, on sagemaker and batch.
    keep_files: keep the files that a function writes into its working directory; those of scripts and commands are always kept.
    fresh: compute everything, even what an earlier run in the same store has computed.
    name: by which the run can be found; several runs may have the same. note: text on the run; `run.note` changes it.
    on_progress: called with a `Progress` while it runs; None shows a bar where standard error is a terminal.
    on_start: called once with the run, how many replications earlier runs had computed, and whether the seed was drawn.
    detach: return at once; the run goes on in the background. A function is called with the run instead, and makes it go on.

    Raises SimulationError, DesignError or UsageError before anything starts, Interrupted on Ctrl-C (the run can be resumed).
    """
    sweep = as_sweep(
        simulation, design, replications=replications, until=until, least=least, most=most, seed=seed,
        function=function, args=args, include=include, constants=constants, results_file=results_file, inputs=inputs, env=env,
        project=project, large_project=large_project, metric=metric, replications_as=replications_as, seed_as=seed_as,
        estimate=estimate, truth=truth, se=se, interval=interval, p_value=p_value, df=df, by=by, reference=reference, alpha=alpha,
        study=study, common=common, store=store, backend=backend, cores=cores, on_error=on_error, retries=retries, many_jobs=many_jobs,
        replication_timeout=replication_timeout, keep_files=keep_files, fresh=fresh, name=name, note=note, **backend_options,
    )  # fmt: skip
    return started(sweep, on_progress, on_start, detach)


def started(
    sweep: Sweep,
    on_progress: "ProgressCallback | None",
    on_start: "Callable[[Run, int, bool], None] | None",
    detach: "bool | Callable[[Run], Any]",
    search: "Mapping[str, Any] | None" = None,
) -> "Run":
    """A new run. search: what its record says of a search."""
    folder = create(sweep, meanwhile=None if detach else _load_the_rest, search=search or {})
    try:
        return _begun(folder, sweep, on_progress, on_start, detach)
    finally:
        folder.end_waiting()


def _begun(
    folder: "RunFolder",
    sweep: Sweep,
    on_progress: "ProgressCallback | None",
    on_start: "Callable[[Run, int, bool], None] | None",
    detach: "bool | Callable[[Run], Any]",
) -> "Run":
    """The run, once it was computed, or goes on in the background."""
    from ..driver.detach import start_detached  # these were loaded during the check
    from . import reuse
    from .compute import backend_of_run, compute
    from .runs import Run

    new = Run(folder)
    taken_over = 0 if sweep.options.fresh else reuse.take_over(folder, folder.home, sweep.design)
    if on_start is None and taken_over and in_notebook():
        print(reuse.in_words(taken_over, counts.total(folder.replications, folder.record.conditions)))
    if on_start:
        on_start(new, taken_over, sweep.seed is None)
    if detach:
        detach(new) if callable(detach) else start_detached(folder)
    else:
        try:
            compute(folder, backend_of_run(folder), "run", sweep.replications, on_progress=on_progress)
        except (ServiceError, BudgetReached) as error:
            # the run is removed if the service refused all jobs; without an answer, a job may have started
            nothing_started = error.nothing_started or not folder.plans()
            if nothing_started and not taken_over and not isinstance(error, NoAnswer):
                folder.remove()
            raise
    return new


def _load_the_rest() -> None:
    """Loads what is needed after the check."""
    from . import compute, reuse, runs  # noqa: F401
