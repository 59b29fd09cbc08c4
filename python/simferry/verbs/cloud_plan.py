"""The plan of a run in the cloud: what it would take over, how long the rest takes, and what that costs."""

import contextlib
import os
import tempfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..aws import prices, session
from ..backends import backend_of
from ..backends.base import Backend, Metered, Prepared, Sized
from ..backends.foreground import foreground_of
from ..errors import SimferryError, SimulationError, UsageError, WorkerError
from ..hints import Extra, Option, Text, Words
from ..images.find import Image
from ..store import counts
from ..store.folder_store import Store
from ..store.places import store_at
from ..store.run_folder import RunFolder
from ..sweep.image_program import number_of_jobs
from ..sweep.inputs import bytes_of
from ..sweep.sweep import Sweep
from ..words import size
from . import reuse
from .create import create, described
from .forecast import CloudForecast, Work, forecast, forecast_of, seconds_of
from .pilot import PILOT_SECONDS, Forecast, foresee, measure, pilot_of, run_pilot, size_of

MOST_UPLOADED = 100e6  # bytes of inputs, for a pilot


def plan_in_the_cloud(
    sweep: Sweep, metered: Metered, pilot: bool, deadline: float | str | None, refresh_prices: bool
) -> Forecast:
    """The forecast by instance type and number of jobs, or for one size of jobs by their number."""
    simulation, design, replications, total = size_of(sweep)
    given = sweep.backend.given()
    if given.get("hosts", 1) > 1 or given.get("mpi"):
        name = "hosts" if given.get("hosts", 1) > 1 else "mpi"
        raise UsageError(
            f"{name} is {given[name]}; a pilot on this machine can't measure a script on several hosts, or with MPI",
            f"Leave {name} out to plan for one.",
        )
    seconds = None if deadline is None else seconds_of(deadline)
    region, notes = _region()
    if given.get("spot"):
        notes.append(
            "dollars are those of machines on demand: Spot costs less, mostly by half or more, and may have to wait"
        )
    table = prices.refresh(region) if refresh_prices else prices.prices(region)
    types = [kind.name for kind in metered.instances] if "instance_type" in given else []
    for name in types:
        table.of(name)  # raises for an unknown type, before anything runs
    known = _known(sweep, metered)
    machine = metered.machine(simulation.spec(), known.image, region) if isinstance(metered, Sized) else None
    is_image = simulation.kind == "image"
    jobs = number_of_jobs(simulation.spec(), replications, len(design)) if is_image else 0
    out = Forecast(len(design), replications, total, 0, jobs, given.get("workers", 0), sweep.seed or 0)
    if not pilot or (is_image and not (known.image and known.image.local)):
        why = f" of {simulation.target}, which is not on this machine" if pilot else ""
        out.cloud = CloudForecast([], None, None, [f"time and cost are not known without a pilot{why}"])
        out.code = simulation.code()
        return out
    notes += _run_pilot(out, sweep, known)
    if out.core_seconds is None or out.longest_replication is None:
        nothing_ended = f"no replication ended within the pilot's {PILOT_SECONDS:.0f} s: time and cost are not known"
        out.cloud = CloudForecast([], None, None, [nothing_ended])
        return out
    cores = _cores(sweep, out.workers)
    whole_instance = is_image or (simulation.kind != "function" and not sweep.options.cores)
    if whole_instance and not is_image:
        notes.append(
            "an instance runs one whole script at a time, which is assumed to be no faster on more cores: "
            f"{Option('cores')} sets how many it uses"
        )
    total = out.total
    left = total - out.already_there
    work = Work(left, out.core_seconds / cores, out.longest_replication, cores, whole_instance)
    limits: dict[str, Any] = {"deadline": seconds, "budget": given.get("budget"), "jobs": given.get("jobs")}
    if is_image:
        limits |= {"jobs": max(1, round(jobs * left / total)), "only": True}
        types = types or [kind.name for kind in metered.instances]
        notes.append(
            f"an image is a job for each {'condition' if jobs == len(design) else 'replication'}, which pays for its start"
        )
    if machine:
        out.cloud = forecast_of(work, machine, **limits)
    else:
        out.cloud = forecast(work, table, instance_types=types, workers=given.get("workers"), **limits)
    out.cloud.notes += notes
    return out


def _region() -> tuple[str, list[str]]:
    """The configured region; without one, the region of simferry's table of prices, and a note."""
    name = None
    with contextlib.suppress(ImportError):  # without boto3 nothing is configured
        name = session.session().region_name
    return name or prices.REGION, [] if name else [f"no AWS region is set, so {prices.REGION} is used"]


def _cores(sweep: Sweep, workers: int) -> int:
    """The cores of one replication."""
    return sweep.options.cores or (1 if sweep.simulation.kind == "function" else workers)


def _run_pilot(out: Forecast, sweep: Sweep, run: "_Known") -> list[str]:
    """Run a pilot and write what it tells into `out`. Returns notes."""
    few = pilot_of(sweep)
    with tempfile.TemporaryDirectory(prefix="simferry-pilot-", ignore_cleanup_errors=True) as scrap:
        if run.image and run.image.local:  # as in the run's jobs, which can take its replications over
            kept = run.home if not run.why else None
            place = {"image": run.image.local, "before": sweep.simulation.before}
            pilot = few.replace(backend="docker", store=kept.address if kept else scrap, **place)
            folder, backend = create(pilot, pilot=True), backend_of(pilot.backend)
            where, record = f"the pilot ran in the image {run.image.local} on this machine", folder.record
        else:
            kept, image = None, sweep.backend.given().get("image")
            local = few.replace(backend="local", store=scrap)
            folder, backend, where = _pilot_here(local, image, sweep.simulation.before)
            record = folder.record
            if run.home and run.image and sweep.seed is not None:
                prepared = Prepared(image_digest=run.image.digest)
                record = described(
                    sweep, sweep.replications, prepared, foreground_of(backend_of(sweep.backend), "check")
                )
        there = np.zeros(out.conditions, dtype=np.int64)
        if run.home and run.image and sweep.seed is not None:
            there = reuse.already_there(replace(record, replications=sweep.replications), run.home, sweep.design)
        if kept:
            reuse.take_over(folder, kept, sweep.design)
        run_pilot(folder, backend, counts.most_of(few.replications))
        foreseen = foresee(out, sweep, folder)
        out.workers, out.seed, out.code = backend.traits.workers, folder.record.seed, sweep.simulation.code()
        measure(out, folder, sweep.design, _cores(sweep, out.workers), there)
        out.seconds = None
        failed = sum(name.failed for name in folder.block_names())
        if kept and not out.pilot_replications:
            folder.remove()
        elif kept:
            out.pilot_run = folder.id
            where += f", and is kept in {folder.handle}: {Option('seed', out.seed)}  uses its replications"
    notes = [where, *foreseen]
    if not kept:
        notes.append(f"the pilot is not kept: {run.why or 'the image of the jobs is not on this machine'}")
    if not run.home:
        notes.append("what earlier runs have computed is not known")
    if failed:
        notes.append(
            f"{failed} of the pilot's {out.pilot_replications} replications failed: their time may mean nothing"
        )
    if out.already_there and run.home:
        notes.append(
            f"{out.already_there:,} of {out.total:,} replications are already in {run.home.address}: "
            "time and cost are those of the others"
        )
    return notes


@dataclass(frozen=True)
class _Known:
    """The store and the image of the run that is planned, as far as they are known. why: why a pilot can't be kept there."""

    home: Store | None
    image: Image | None
    why: Words = ""


def _known(sweep: Sweep, metered: Metered) -> _Known:
    spec = sweep.simulation.spec()
    image = metered.known_image(spec, in_ecr=False)
    try:
        if named := sweep.options.store or os.environ.get("SIMFERRY_STORE"):
            metered.check_store(store_at(named).address)
        session.check_credentials()
        home = store_at(named, metered.default_store)
        home.check()
        image = image or metered.known_image(spec, in_ecr=True)
    except ImportError:  # boto3
        return _Known(None, image, Text("AWS can't be asked; ", Extra("sagemaker")))
    except SimferryError as error:
        return _Known(None, image, error.message)
    inputs = bytes_of(sweep.simulation.inputs)
    return _Known(home, image, f"its inputs, {size(inputs)}, would be uploaded" if inputs > MOST_UPLOADED else "")


def _pilot_here(sweep: Sweep, image: str | None, before: str | None) -> tuple[RunFolder, Backend, str]:
    """A pilot's folder, its backend, and a note on where it runs: on this machine, or else in the image on this machine, after the
    setup script `before`."""
    try:
        return create(sweep, pilot=True), backend_of(sweep.backend), "the pilot ran on this machine"
    except (SimulationError, WorkerError) as error:  # WorkerError: R isn't installed here
        if not image:
            raise
        there = sweep.replace(backend="docker", image=image, before=before)
        try:
            folder = create(there, pilot=True)
        except SimferryError as failed:
            hint = f"{error.hint} In the image {image} on this machine: {failed.message}".strip()
            raise type(error)(error.message, hint) from None
        where = f"the pilot ran in the image {image} on this machine: without it, {error.message}"
        return folder, backend_of(there.backend), where
