"""A pilot: a few replications, computed here to forecast the time of all of them."""

import shutil
import time
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..backends.base import Backend
from ..driver import drive
from ..errors import Interrupted, Note
from ..results import collect
from ..store import counts
from ..store.counts import Counts
from ..store.run_folder import RunFolder
from ..sweep.design import Design
from ..sweep.simulation import Simulation
from ..sweep.sweep import Sweep
from ..system.notebook import facts
from ..words import counted, dollars, duration, size
from ..worker import blocks
from .forecast import CloudForecast
from .precision import needed_until

PILOT_SECONDS = 20.0  # of wall time, at the most
PILOT_CONDITIONS = 200
PILOT_REPLICATIONS = 3


@dataclass
class Forecast:
    """What a run would compute, and how long it should take.

    conditions, replications (of each condition), total: numbers. already_there: replications that earlier runs in the store have
        computed, as far as a run with these arguments takes them over.
    stretches: their number (0 in the cloud); of an image that of its jobs. workers: cores of this machine to use. seed: of the pilot's
        run, or as given.
    pilot_run, pilot_replications: id of the pilot's run (None if it was not kept), and how many replications it computed.
    seconds_per_replication, longest_replication: seconds, as measured here. slowest_condition: parameters and seconds.
    disk_bytes: what the results of all that is left take on disk, about, without the files that replications write.
    core_seconds: seconds of one core for all that is left. seconds: estimated duration. Both are None without a pilot.
    cloud: time and cost (US dollars) by instance type; None for other backends.
    code: name and path of the files whose content decides whether earlier results are reused: the script, included files,
        your own modules and packages.
    project: of each project or package whose files go along: folder, files (their number), bytes, and in words what goes along.
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
    disk_bytes: float | None = None
    slowest_condition: dict[str, Any] | None = None
    longest_replication: float | None = None
    cloud: CloudForecast | None = None
    code: list[dict[str, str]] = field(default_factory=list)
    project: list[dict[str, Any]] = field(default_factory=list)

    def _repr_html_(self) -> str:
        each = None if self.seconds_per_replication is None else f"{self.seconds_per_replication:.3g} s on average"
        rows = {
            "already there": self.already_there,
            "a replication takes": each,
            "all of it takes about": None if self.seconds is None else duration(self.seconds),
            "cores": self.workers,
            "disk": None if self.disk_bytes is None else size(self.disk_bytes),
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


def size_of(sweep: Sweep) -> tuple[Simulation, Design, Counts, int]:
    total = counts.total(sweep.replications, len(sweep.design))
    return sweep.simulation, sweep.design, sweep.replications, total


def as_if(folder: RunFolder, replications: Counts) -> RunFolder:
    """A pilot's folder with the replications of the whole run, so that all that earlier runs have computed count."""
    folder.record = replace(folder.record, replications=replications)
    return folder


def pilot_of(sweep: Sweep) -> Sweep:
    """The sweep of a pilot: with a few replications; of a run that goes on until it is precise enough, with those before its first look."""
    many = PILOT_REPLICATIONS if sweep.until is None else sweep.until.least
    return sweep.replace(until=None, least=None, most=None, replications=counts.at_most(sweep.replications, many))


def foresee(out: Forecast, sweep: Sweep, folder: RunFolder) -> list[str]:
    """Write into `out` how many replications a run needs until it is precise enough, as far as its pilot tells. Returns notes."""
    if sweep.until is None:
        return []
    needed, known = needed_until(folder, sweep.until)
    out.replications = needed
    out.total = counts.total(needed, out.conditions)
    return [
        f"replications until {sweep.until.in_words()} are foreseen from {known:,} of {counted(out.conditions, 'condition')}, with up to "
        f"{sweep.until.least} replications each: take them as an order of magnitude"
    ]


def run_pilot(folder: RunFolder, backend: Backend, most: int = PILOT_REPLICATIONS) -> None:
    """Compute the first replications of conditions that are spread over the design, for a while. most: of each condition."""
    conditions = folder.record.conditions
    some = np.unique(np.linspace(1, conditions, min(conditions, PILOT_CONDITIONS)).round().astype(np.int64))
    until = time.monotonic() + PILOT_SECONDS

    def enough(_: Any) -> None:
        if time.monotonic() > until:
            raise KeyboardInterrupt

    few = counts.at_most(folder.record.replications, most)
    try:
        drive.drive(folder, backend, "pilot", replications=few, conditions=some, on_progress=enough)
    except Interrupted:
        if time.monotonic() <= until:
            raise


def bytes_of_replication(folder: RunFolder) -> float:
    """What a replication takes in the blocks of a pilot, without what a block says once."""
    names = folder.block_names()
    taken = 0
    for _, data in folder.read_blocks(one.name for one in names):
        facts = blocks.decode(data).facts if data else {}
        taken += max(0, len(data) - len(blocks.encode(blocks.Block(facts, []))))
    return taken / max(1, sum(one.replications for one in names))


def warn_of_full_disk(out: Forecast, folder: RunFolder) -> None:
    free = shutil.disk_usage(folder.path).free
    if (out.disk_bytes or 0) > free:
        warnings.warn(
            Note(
                f"the results take about {size(out.disk_bytes or 0)} of disk, and {size(free)} are free at {folder.path.parent}: "
                "the run would stop when the disk is full, and keep what is finished"
            ),
            stacklevel=4,
        )


def _later(condition: np.ndarray, replication: np.ndarray) -> np.ndarray:
    """Which replications are not the first of their condition, or are its only one. The first takes longer: what the function keeps
    is made then, and an Octave is told the arguments."""
    order = np.lexsort((replication, condition))
    starts = np.diff(condition[order], prepend=-1) != 0
    alone = starts & np.append(starts[1:], True)
    out = np.empty(len(order), dtype=bool)
    out[order] = ~starts | alone
    return out


def measure(out: Forecast, folder: RunFolder, design: Design, cores: int, there: np.ndarray) -> None:
    """Write what the pilot in a folder tells into `out`. there: how many replications of each condition need not be computed."""
    out.already_there = int(there.sum())
    table = collect.collect(folder).replications
    seconds, condition = table["seconds"].to_numpy(), table["condition"].to_numpy()
    known = ~np.isnan(seconds)
    seconds, condition = seconds[known], condition[known]
    out.pilot_replications = len(seconds)
    if not len(seconds):
        return
    later = _later(condition, table["replication"].to_numpy()[known])
    n = np.bincount(condition[later], minlength=out.conditions + 1)[1:]
    with np.errstate(invalid="ignore"):
        mean = np.bincount(condition[later], seconds[later], minlength=out.conditions + 1)[1:] / n
    slowest = int(np.nanargmax(mean))
    each = np.where(n > 0, mean, np.nanmean(mean))  # a condition that was not tried counts as the average one
    wanted = counts.each(out.replications, out.conditions)
    out.seconds_per_replication = float((each * wanted).sum()) / out.total
    out.core_seconds = float((each * (wanted - there)).sum()) * cores
    out.seconds = out.core_seconds / out.workers + 1.0
    out.disk_bytes = float((wanted - there).sum()) * bytes_of_replication(folder)
    out.longest_replication = float(seconds.max())
    out.slowest_condition = {"condition": slowest + 1, **design.condition(slowest), "seconds": float(mean[slowest])}
