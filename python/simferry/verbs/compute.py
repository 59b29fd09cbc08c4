"""Computes what is missing of a run, on the backend and with the options that it has recorded."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from ..analysis.oddities import files_not_found, files_not_kept
from ..backends import backend as backend_of
from ..backends.base import Backend, Settles
from ..driver import drive
from ..driver.progress import Progress, progress_of
from ..driver.search import drive_search
from ..errors import Note, SimferryError, StoreError, UsageError
from ..hints import Option, Text
from ..jobs.streams import note_other_version
from ..screen import shown_progress
from ..store.counts import Counts
from ..store.run_folder import RunFolder
from ..store.steps import over
from ..sweep import on_hosts, own_code
from .objective import search_of
from .precision import further

ProgressCallback = Callable[[Progress], None]


NEW_RUN = " A new run with the same seed takes over what this one has computed."


def backend_of_run(folder: RunFolder, **backend_options: Any) -> Backend:
    """The backend of a run, with the run's own options and those that are to change from now on.

    Raises StoreError if the recorded options can't be used, UsageError if the new ones can't.
    """
    options = folder.record.options
    plans = folder.plans()
    before = plans[-1].backend_options if plans else {}  # a resume may have changed some
    given = {name: value for name, value in backend_options.items() if value is not None}
    if fixed := next((name for name in ("before", *on_hosts.NAMES) if name in given), None):
        raise UsageError(
            f"{fixed} is part of the code of run {folder.id}, which goes on with its own",
            "A new run takes another one.",
        )
    if "hosts" in given and {"mpi", "each_host"} & folder.record.simulation.keys():
        raise UsageError(
            f"the hosts of run {folder.id} can't be changed: its processes are shared out to them" + NEW_RUN
        )
    kept = {**options.backend_options, **before}
    try:
        recorded = backend_of(options.backend, **kept)
    except (SimferryError, TypeError, ValueError, AttributeError, LookupError, OverflowError) as error:
        reason = error.message if isinstance(error, SimferryError) else str(error)
        raise StoreError(
            f"the options of run {folder.id} can't be used: {reason}",
            f"They are in run.json and plan/ of {folder.address}",
        ) from None
    for name in given:
        if name in recorded.options.lasting and given[name] != kept.get(name):
            raise UsageError(
                Text(Option(name), f" of run {folder.id} can't be changed"), recorded.options.lasting[name] + NEW_RUN
            )
    made = backend_of(options.backend, **{**kept, **given}) if given else recorded
    if made.options.runner != recorded.options.runner:
        raise UsageError(
            f"run {folder.id} has {'training' if recorded.options.runner == 'training' else 'processing'} jobs of SageMaker, which "
            "can't be changed",
            "Its jobs are looked for in one place." + NEW_RUN,
        )
    return made


def compute(
    folder: RunFolder,
    backend: Backend,
    reason: str,
    replications: Counts,
    *,
    retry_failed: bool = False,
    changed_code: Mapping[str, str] | None = None,
    on_progress: ProgressCallback | None = None,
) -> None:
    """Compute what is missing, and warn of what went wrong meanwhile without an error.

    reason: what is recorded as the reason. replications: of each condition, in all. changed_code: code outside of the
    snapshot, that has changed and may have: names and hashes. on_progress: None shows a bar on a terminal.

    Raises RunBusy, Interrupted, BudgetReached and ServiceError.
    """
    note_other_version(folder.record.streams, folder.record.simulation, folder.id)
    try:
        with shown_progress(on_progress) as report:
            plans = len(folder.plans())
            if folder.record.search and reason != "extend" and not over(folder.plans()):
                search = search_of(folder)
                drive_search(folder, backend, search, reason, changed_code=changed_code, on_progress=report)
                replications = folder.replications
            if (
                not folder.record.search
                or reason in ("extend", "retry failed")
                or not progress_of(folder, backend).done_all
            ):
                drive.drive(
                    folder, backend, reason, replications=replications, retry_failed=retry_failed,
                    changed_code=changed_code, on_progress=report, further=further,
                )  # fmt: skip
        if warning := own_code.changed_meanwhile(folder):
            warnings.warn(warning, stacklevel=3)
        for note in (files_not_kept(folder, plans), files_not_found(folder, plans)):
            if note:
                warnings.warn(Note(note), stacklevel=3)
    finally:
        if isinstance(backend, Settles):
            backend.settle()
