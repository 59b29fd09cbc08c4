"""Makes blocks of what an image's jobs have left in a service: archives in the run's store, a log, and how each ended."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

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


def kept(
    run: RunFolder,
    known: Mapping[str, ServiceJob],
    has_results: Callable[[ServiceJob], bool],
    printed: Callable[[str], Sequence[str]],
    log_seconds: float,
) -> Mapping[str, ServiceJob]:
    """Keep the results of a run's jobs that have ended. Returns the jobs: one whose log may lack lines that are needed goes on.

    known: by their names in the service. has_results: whether a job has come to its end, and is not done again. printed: the logs of a
    job's hosts. log_seconds: until a job's last lines are there. Raises StoreError and AwsError.
    """
    done = {block.job for block in run.block_names()}
    ended = {}
    for plan in run.plans():
        for job in plan.job_ids:
            one = known.get(job_name(run, job))
            if one and job not in done and has_results(one):
                ended[job] = one

    def is_late(one: ServiceJob) -> bool:
        needed = bool(run.record.simulation.get("metric")) or one.state == "failed"
        return needed and one.ended is not None and time.time() - one.ended.timestamp() < log_seconds

    late = {job for job, one in ended.items() if is_late(one)}
    keep_results(run, {job: one for job, one in ended.items() if job not in late}, printed)
    return {**known, **{job_name(run, job): replace(ended[job], state="running") for job in late}}


def keep_results(run: RunFolder, jobs: Mapping[str, ServiceJob], printed: Callable[[str], Sequence[str]]) -> None:
    """Write the blocks of jobs that have ended, and put them into the store. printed: as for `kept`."""
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
            found = pool.map(lambda job: _bring(run, job, jobs[job], Path(folder), printed), some)
            for job, ended in zip(some, found, strict=True):
                keep(run, job, ended)
                for path in ended.archives.values():
                    path.unlink(missing_ok=True)
    run.push()


def _bring(
    run: RemoteRunFolder, job: str, state: ServiceJob, folder: Path, printed: Callable[[str], Sequence[str]]
) -> Ended:
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
    texts = printed(job) if needed else []
    failure = ""
    if state.state == "failed" and state.cut_short:  # its time limit
        limit = run.record.options.replication_timeout
        failure = f"timed out after {limit * image_job(run, job).count:g} s" if limit else "it reached its time limit"
    elif state.state == "failed":
        failure = reason_of(*failure_of(state.reason), "".join(texts))
    return Ended(failure, paths, texts, state.ran, notes)
