"""Makes the block and the artifacts of an image's job that has ended: from model.tar.gz, output.tar.gz, and its log.

Nothing in the archives is trusted: the user's program made them.
"""

import errno
import gzip
import json
import math
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..aws.contracts import training as contract
from ..containers.storage import is_inside
from ..results.outputs import read_typed
from ..store.keys import JobId
from ..store.run_folder import RunFolder
from ..sweep.template import has_wildcards
from ..system.files import write_whole, writing
from ..system.log_metrics import SECONDS, series_within
from ..words import size
from ..worker import blocks
from ..worker.metrics import SERIES, Series, as_csv
from ..worker.scripts import last_words
from ..worker.unsaved import Part, Unsaved
from .image_job import ImageJob, image_job


@dataclass
class Ended:
    """A job that has ended. failure: why its program failed; empty if it did not. archives: by folder, model and output. logs: all
    that its hosts printed, the first one's first. seconds: that it ran. notes: what to warn of."""

    failure: str
    archives: Mapping[str, Path]
    logs: Sequence[str]
    seconds: float
    notes: Sequence[str] = ()


@dataclass
class _Found:
    """What was found in the archives. results: of results files, by place: name and content. names: of all files.
    left_out: names of files that could not be kept. damage: why an archive can't be read; empty if they can.
    """

    results: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)
    damage: str = ""


def keep(run: RunFolder, job: str, ended: Ended) -> None:
    """Write the block of a job of a run, after its artifacts. Each replication of the job is done then, or has failed."""
    spec, made = run.record.simulation, image_job(run, job)
    metrics = spec.get("metric") or {}
    series, slow = _series(metrics, ended.logs)
    folder = run.path / "artifacts" / str(made.condition) / str(made.first)
    with writing(run.path):
        shutil.rmtree(folder, ignore_errors=True)
        found = _unpack(ended.archives, folder, made.results)
        if any(series.values()):
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(folder / SERIES, as_csv(series))
    unsaved = Unsaved()
    failure = ended.failure or found.damage
    if not failure:
        try:
            unsaved.outputs = _outputs(made, spec, found, series)
        except ValueError as error:
            failure = str(error)
    each = ended.seconds / made.count
    for replication in range(made.first, made.first + made.count):
        unsaved.parts.append(Part(0, made.condition, replication, 1, bool(failure), each))
        if failure:
            unsaved.failures.append((made.condition, replication, failure, "", ""))
    for note in ended.notes:
        unsaved.warn(made.condition, made.first, note)
    for name in found.left_out:
        unsaved.warn(made.condition, made.first, f"{name} is not kept: its name is unfit")
    for name, values in series.items():
        if name in slow:
            why = f"its expression {metrics[name]} takes more than {SECONDS:g} s on a log, and was given up"
            unsaved.warn(made.condition, made.first, f"metric {name}: {why}")
        elif not values and not failure:
            unsaved.warn(made.condition, made.first, f"metric {name}: no line of the log matches {metrics[name]}")
    facts = {"run": run.id, "interpreter": f"image {run.record.image}", "packages": "", "blas": "", "cpu": ""}
    failed = made.count if failure else 0
    name = f"{JobId(job).plan}-{JobId(job).number}-1-00.000001-r{made.count}-f{failed}"
    with writing(run.path):
        write_whole(run.blocks / name, blocks.encode(blocks.Block(facts, unsaved.tables(of_functions=False))))


def reason_of(words: str, said: str, log: str) -> str:
    """Why a program failed. words: how it ended. said: what it wrote in its failure file, else its last lines are shown."""
    return said or f"the image {words}: {last_words(log)}".rstrip(": \n")


def _series(metrics: Mapping[str, str], logs: Sequence[str]) -> tuple[dict[str, list[str]], set[str]]:
    """Each metric's values, of the first host that has printed any; and those metrics that took too long."""
    found: dict[str, list[str]] = {name: [] for name in metrics}
    slow: set[str] = set()
    for log in logs:
        left = {name: text for name, text in metrics.items() if not found[name] and name not in slow}
        for name, values in series_within(left, log).items():
            found[name] = values or []
            slow |= {name} if values is None else set()
    return found, slow


def _unpack(archives: Mapping[str, Path], folder: Path, results: str) -> _Found:
    """Put the files of archives into folder/NAME. results: what the names of results files match."""
    found = _Found()
    room = free = shutil.disk_usage(folder.parents[2]).free
    for place, path in archives.items():
        try:
            for name, stream, many in _members(path) if path.exists() else ():
                room -= many
                if room < 0:
                    found.damage = (
                        f"{place}.tar.gz does not fit on the disk at {folder.parents[2]}, where {size(free)} were free: its file "
                        f"{name} has {size(many)}"
                    )
                    shutil.rmtree(folder, ignore_errors=True)
                    return found
                if not _is_kept(folder / place, name, stream):
                    found.left_out.append(f"{place}/{name}")
                    continue
                found.names.add(f"{place}/{name}")
                if results and re.fullmatch(
                    results, os.path.normpath(name)
                ):  # of several hosts the last one's: see pack
                    found.results[f"{place}/{name}"] = name, (folder / place / name).read_bytes()
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            found.damage = f"{place}.tar.gz can't be read: {error}"
    return found


def _is_kept(folder: Path, name: str, stream: Any) -> bool:
    """Write a member into a folder. Returns False where its name leads out of it, or is that of a folder."""
    if not is_inside(name):
        return False
    target = folder / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "wb") as out:
            shutil.copyfileobj(stream, out)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return False
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False
    return True


def _members(path: Path) -> Iterator[tuple[str, Any, int]]:
    """The files in an archive: name, stream, and bytes."""
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.isreg() and (stream := archive.extractfile(member)):
                yield member.name, stream, member.size


def _outputs(
    made: ImageJob, spec: Mapping[str, Any], found: _Found, series: Series
) -> list[tuple[int, int, str, bytes]]:
    """The results files of the job's replications. Raises ValueError with the reason if they are not as they have to be."""
    files = sorted(found.results.values())
    if spec["results_file"] and not files:
        wrote = f". It wrote: {', '.join(sorted(found.names)[:5])}" if found.names else ""
        raise ValueError(f"the image ended without writing {spec['results_file']} in model/ or output/data/{wrote}")
    if len(files) > 1 and not has_wildcards(spec["results_file"]):
        raise ValueError(f"{spec['results_file']} is both in model/ and in output/data/: one of them is too many")
    told = bool(spec.get("replications_as"))
    if not (series or told):
        return [(made.condition, made.first, *file) for file in files]
    last = {name: float(values[-1]) if values else None for name, values in series.items()}
    rows = [row for file in files for row in read_typed(file[1], file[0])]
    if told and len(rows) != made.count:
        raise ValueError(
            f"{spec['results_file']} has {len(rows)} rows, and the image was told to do {made.count} replications: a row for each"
        )
    rows = [{**row, **{_free(name, row): value for name, value in last.items()}} for row in rows or [{}]]
    parts = [[row] for row in rows] if told else [rows]
    return [
        (made.condition, made.first + number, "results.json", json.dumps(list(map(_plain, part))).encode())
        for number, part in enumerate(parts)
    ]


def _free(name: str, row: Mapping[str, Any]) -> str:
    """The name of a metric's column, which the results may have too."""
    while name in row:
        name += "_metric"
    return name


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row that JSON holds: NaN and Inf as the contract's texts, which the reading of results knows."""
    return {
        name: contract.hyperparameter(v) if isinstance(v, float) and not math.isfinite(v) else v
        for name, v in row.items()
    }
