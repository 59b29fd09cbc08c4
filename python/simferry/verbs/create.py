"""Makes the run folder of a new run."""

import datetime
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .._version import __version__
from ..backends import backend_of
from ..backends.base import Foreground, GoesOn, Prepared
from ..backends.foreground import foreground_of
from ..errors import ManyJobs, UsageError, WorkerError, nearest
from ..hints import Option, Text
from ..jobs import streams
from ..screen import last_line, on_terminal
from ..store.counts import Counts
from ..store.folder_store import Store
from ..store.own_runs import sign
from ..store.places import remember, store_at
from ..store.records import RecordedOptions, RunRecord
from ..store.run_folder import RunFolder
from ..sweep.conditions import write_conditions
from ..sweep.inputs import record_of, write_inputs
from ..sweep.sweep import Sweep
from ..system.files import writing
from ..system.git import asked_ahead
from .check import check


def create(
    sweep: Sweep,
    pilot: bool = False,
    meanwhile: Callable[[], None] | None = None,
    search: Mapping[str, Any] = MappingProxyType({}),
) -> RunFolder:
    """A new run folder, in which nothing is computed yet, after all checks that are possible beforehand.

    meanwhile: what is done while a worker checks the simulation, which may then wait for the run's first job, as `waiting` of
    the folder (jobs/waiting.py). None: no worker waits. search: of a run that searches, what its record says of it.
    """
    simulation, design, options = sweep.simulation, sweep.design, sweep.options
    replications = sweep.replications  # raises if it is not given
    for name in sweep.common if sweep.common != "all" else []:
        if name not in design.types:
            raise UsageError(
                f"common: there is no parameter {name!r} in the design",
                nearest(name, design.names) or f"It has: {', '.join(design.names) or 'none'}.",
            )
    _ = sweep.jobs_of_image  # raises if there are too many
    if many := sweep.many_jobs:
        raise ManyJobs(many, Text(Option("many_jobs", True), "  starts them; ", Option("replications_as", "n"),
                                  "  makes a condition one job, whose program is told how many to do."))  # fmt: skip
    where = backend_of(sweep.backend)
    home = store_at(options.store, where.default_store)
    home.check()
    with last_line(show=on_terminal()) as on_progress:  # a first push takes minutes
        prepared = where.prepare(simulation.spec(), home.address, on_progress)
    run_id = home.new_id(simulation.name)
    if meanwhile is None or not isinstance(where, GoesOn):
        return _made(sweep, replications, home, run_id, prepared, foreground_of(where, "check"), pilot, search)
    foreground = where.staying(simulation.spec(), home, run_id, meanwhile)
    try:
        folder = _made(sweep, replications, home, run_id, prepared, foreground, pilot, search)
    except BaseException:
        foreground.end()
        raise
    folder.waiting = foreground.waiting
    return folder


def _made(
    sweep: Sweep,
    replications: Counts,
    home: Store,
    run_id: str,
    prepared: Prepared,
    foreground: Foreground,
    pilot: bool,
    search: Mapping[str, Any],
) -> RunFolder:
    simulation, note = sweep.simulation, sweep.options.note
    record = replace(described(sweep, replications, prepared, foreground, pilot), search=dict(search))
    folder = home.create(run_id, record)
    folder.backend_note = prepared.note
    try:
        if note and not pilot:
            folder.write_note(note)
        write_conditions(folder, sweep.design)
        with writing(folder.path):
            simulation.write_code(folder.path / "code")
            write_inputs(simulation.inputs, folder.path / "input")
        if sweep.backend.table == "local":
            sign(folder)
        folder.publish()
    except BaseException:
        folder.remove()
        raise
    if not pilot:
        remember(folder, sweep.options.store)
    return folder


def described(
    sweep: Sweep, replications: Counts, prepared: Prepared, foreground: Foreground, pilot: bool = False
) -> RunRecord:
    """The record of a new run, after a check of its simulation where its jobs will run or, if that can't be, on this machine."""
    simulation = sweep.simulation
    simulation.renew_inputs()  # a sweep may be older than its files
    own = [file for file in simulation.own_files().values() if isinstance(file, Path)]
    commit = asked_ahead(simulation.folder, own)
    try:
        with last_line(show=on_terminal() and simulation.before is not None) as on_progress:
            on_progress(f"{simulation.before} runs in a container, and then the check of the simulation")
            check(simulation, sweep.design, foreground)
    except WorkerError:  # no interpreter here
        if not foreground.substitute:
            raise
    # a substitute's interpreter is not that of the jobs
    environment = {} if foreground.substitute else simulation.environment
    return _record(sweep, replications, prepared, environment, commit(), pilot)


def _record(
    sweep: Sweep,
    replications: Counts,
    prepared: Prepared,
    environment: dict[str, str],
    git: dict[str, Any] | None,
    pilot: bool,
) -> RunRecord:
    """run.json of a new run."""
    simulation, options = sweep.simulation, sweep.options
    spec = simulation.spec()
    return RunRecord(
        version=__version__,
        created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="microseconds"),
        simulation=spec,
        parameters=sweep.design.types,
        conditions=len(sweep.design),
        replications=replications,
        seed=secrets.randbelow(2**31) if sweep.seed is None else sweep.seed,
        streams=streams.version_of(spec),
        common=sweep.common,
        inputs=record_of(simulation.inputs),
        code_hash=simulation.code_hash(),
        own_code=[one._asdict() for one in simulation.own_code],
        environment=environment,
        image=prepared.image_digest,
        pilot=pilot,
        name="" if pilot else options.name or "",
        git=git,
        measures=sweep.measures.given(),
        study=sweep.study.given(),
        until={} if pilot or sweep.until is None else sweep.until.as_record(),
        options=RecordedOptions(
            backend=sweep.backend.table,
            backend_options={**sweep.backend.given(), **prepared.options},
            cores=options.cores,
            on_error=options.on_error,
            replication_timeout=options.replication_timeout,
            retries=options.retries,
            chunk_size=options.chunk_size,
            keep_files=options.keep_files,
        ),
    )
