"""Makes blocks of what an image's jobs have left in a service: archives in the run's store, a log, and how each ended."""

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ..aws import logs
from ..aws.contracts.training import failure_of
from ..jobs.image_block import Ended, keep, reason_of
from ..jobs.image_job import image_job
from ..store.mirror import RemoteRunFolder
from ..store.run_folder import RunFolder
from ..system.files import writing
from ..words import size
from .names import job_name
from .service import ServiceJob

MOST_BYTES = 4 << 30  # of an archive that is brought to this machine
AT_ONCE = 8  # jobs


def keep_results(run: RunFolder, jobs: Mapping[str, ServiceJob], group: str) -> None:
    """Write the blocks of jobs that have ended, and put them into the store. group: of their logs. Raises StoreError and AwsError."""
    if not jobs:
        return
    assert isinstance(run, RemoteRunFolder)
    with (
        writing(run.path),
        tempfile.TemporaryDirectory(prefix=".archives-", dir=run.path) as folder,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        names = [*jobs]
        for first in range(0, len(names), AT_ONCE):  # so that few archives lie here at a time
            some = names[first : first + AT_ONCE]
            found = pool.map(lambda job: _bring(run, job, jobs[job], Path(folder), group), some)
            for job, ended in zip(some, found, strict=True):
                keep(run, job, ended)
                for path in ended.archives.values():
                    path.unlink(missing_ok=True)
    run.push()


def _bring(run: RemoteRunFolder, job: str, state: ServiceJob, folder: Path, group: str) -> Ended:
    """What a job has left, its archives in files of a folder."""
    name = job_name(run, job)
    place = f"archives/{name}/output"
    paths, notes, fetched = {}, [], []
    for key, many in run.objects.listing(f"{place}/"):
        kind, _, extension = key.removeprefix(f"{place}/").partition(".")
        if kind not in ("model", "output") or extension != "tar.gz":
            continue
        if many > MOST_BYTES:
            notes.append(
                f"{kind}.tar.gz, {size(many)}, stays at {run.address}/{key}: more than {size(MOST_BYTES)} are not brought here"
            )
            continue
        paths[kind] = folder / f"{name}-{kind}"
        fetched.append((key, paths[kind]))
    run.objects.download(fetched)
    simulation = run.record.simulation
    needed = simulation.get("metric") or state.state == "failed"
    printed = [*logs.read(name, group=group).values()] if needed else []
    failure = ""
    if state.state == "failed" and state.cut_short:  # its time limit
        limit = run.record.options.replication_timeout
        failure = f"timed out after {limit * image_job(run, job).count:g} s" if limit else "it reached its time limit"
    elif state.state == "failed":
        failure = reason_of(*failure_of(state.reason), "".join(printed))
    return Ended(failure, paths, printed, state.ran, notes)
