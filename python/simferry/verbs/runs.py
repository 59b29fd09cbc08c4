"""A run that exists: its status, logs and results, and going on with it."""

import os
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.base import follow, log_text
from ..driver.cancel import cancel
from ..driver.progress import Progress, job_names, progress_of
from ..errors import RunNotFound, StoreError, UsageError, nearest
from ..hints import Command, Option
from ..results import table as results
from ..results.messages import messages
from ..screen import MOST_ROWS, Head, most_columns, shown_progress
from ..store import counts
from ..store.counts import Counts
from ..store.folder_store import warn_of_skipped
from ..store.places import find_run, store_to_list
from ..store.run_folder import RunFolder
from ..sweep import own_code
from ..sweep.conditions import read_conditions
from ..sweep.options import RunOptions, check
from ..sweep.sweep import check_replications
from ..system.notebook import facts
from ..words import counted
from .compute import ProgressCallback, backend_of_run, compute
from .measuring import Measuring

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pyarrow.dataset import Dataset


class Run(Measuring):
    """One sweep, from design to results. Made by `run()`, `open()` and `runs()`."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @property
    def id(self) -> str:
        """Its name in its store."""
        return self._folder.id

    @property
    def folder(self) -> Path:
        """The run folder on this machine. Of a run in an object store it is the local copy."""
        return self._folder.path

    @property
    def address(self) -> str:
        """Where the run lives: its folder, or its address in an object store."""
        return self._folder.address

    @property
    def handle(self) -> str:
        """Its name in commands: its id, or its address if the id alone does not find it."""
        return self._folder.handle

    def command(self, verb: str, **options: Any) -> Command:
        """A command about this run, as text that can be pasted: simferry.open("ID").resume(budget=5), or the same in R or the shell.

        verb: such as "resume". options: of the verb, by name. Raises nothing.
        """
        return self._folder.command(verb, **options)

    @property
    def record(self) -> dict[str, Any]:
        """run.json: simulation, parameters, seed, versions, code hash; it never changes."""
        return self._folder.record.written

    @property
    def seed(self) -> int:
        """The seed, from 0 to 2^31 - 1: the one that was given, or that was drawn."""
        return self._folder.record.seed

    @property
    def replications(self) -> Counts:
        """How many replications of each condition are wanted, after all extensions; a tuple where conditions differ."""
        return self._folder.replications

    def __repr__(self) -> str:
        try:
            now = self.status()
        except RunNotFound:
            return f"<Run {self.id}: it is no longer in {self.address.rpartition(os.sep)[0]}>"
        failed = f", {now.failed:,} failed" if now.failed else ""
        done, where = f"{now.done:,} of {counted(now.total, 'replication')}{failed}", self.address.rpartition(os.sep)[0]
        return f"<Run {self.id}: {now.state}, {done}, in {where}>"

    @property
    def name(self) -> str:
        """The name that it was given; else empty."""
        return self._folder.record.name

    @property
    def note(self) -> str:
        """The user's note on the run; else empty. It can be changed: `run.note = "seed of the paper"`."""
        return self._folder.read_note()

    @note.setter
    def note(self, text: str) -> None:
        self._folder.look()  # no note is left of a deleted run
        self._folder.write_note(check(RunOptions, {"note": text}).note or "")

    @property
    def backend_note(self) -> str:
        """What the backend says of where a new run computes; else empty."""
        return self._folder.backend_note

    def _repr_html_(self) -> str:
        try:
            now, record = self.status(), self._folder.record
        except RunNotFound as error:
            return facts(f"Run {self.id}", {"state": error.message})
        rows = {
            "state": now.state,
            "replications": f"{now.done:,} of {now.total:,} done, {now.failed:,} failed",
            "conditions": f"{self._folder.conditions:,}"
            + (f" ({', '.join(record.parameters)})" if record.parameters else ""),
            "seed": str(self.seed),
            "in": self.address,
        }
        if now.state == "incomplete":
            rows["goes on with"] = str(self.command("resume"))
        elif now.failed:
            rows["why some failed"] = str(self.command("errors"))
        return facts(f"Run {self.id}", rows)

    def design(self) -> "pd.DataFrame":
        """The conditions: pandas.DataFrame of condition (from 1) and the parameters."""
        if self._folder.record.search:
            self._folder.look()  # it may have grown
        frame: pd.DataFrame = read_conditions(self._folder).to_pandas()
        frame.insert(0, "condition", np.arange(1, self._folder.conditions + 1, dtype=np.int32))
        return frame

    def status(self) -> Progress:
        """How far the run is: total, done and failed replications, its state, and the states of its jobs."""
        self._folder.look()
        return progress_of(self._folder, backend_of_run(self._folder))

    def watch(self, on_progress: ProgressCallback | None = None, seconds_between_looks: float = 0.25) -> Progress:
        """Wait until the run is no longer being computed. Returns the last progress. Raises StoreError if the run can't be read.

        on_progress: called with each Progress; None shows a bar on a terminal. seconds_between_looks: minimum pause.
        """
        with shown_progress(on_progress) as report:
            while True:
                now, pause = self._look()
                report(now)
                if now.state != "running":
                    return now
                time.sleep(max(seconds_between_looks, pause))

    def _look(self) -> tuple[Progress, float]:
        """The progress, and the seconds to wait before the next look: one takes the longer the more blocks there are."""
        began, now = time.monotonic(), self.status()
        return now, max(self._folder.seconds_between_looks, 10 * (time.monotonic() - began))

    def logs(self, job: str | None = None) -> dict[str, str]:
        """What the jobs have printed, by the name of the job.

        job: a single job, such as "0001-0001" (submission and job); None gives all. Raises UsageError for an unknown job.
        """
        backend = backend_of_run(self._folder)
        return {name: log_text(backend, self._folder, name) for name in self._jobs(job)}

    def follow(self, job: str | None = None) -> Iterator[tuple[str, str]]:
        """The lines that jobs print, as they come: pairs of the job's name and a line. Ends when the jobs have ended.

        job: a single job, such as "0001-0001"; None gives all. Raises UsageError for an unknown job.
        """
        return follow(backend_of_run(self._folder), self._folder, self._jobs(job))

    def _jobs(self, job: str | None) -> Sequence[str]:
        jobs = job_names(self._folder)
        if job is not None and job not in jobs:
            raise UsageError(
                f"run {self.id} has no job {job}", nearest(job, jobs) or f"Its jobs: {', '.join(jobs[:10]) or 'none'}"
            )
        return [job] if job else jobs

    def cancel(self, seconds_to_wait: float = 10) -> Progress:
        """Stop computing. Finished replications stay, and the run can be resumed.

        seconds_to_wait: how long the process that computes the run may take to end before it is killed. Raises RunBusy if another
        machine computes the run.
        """
        cancel(self._folder, backend_of_run(self._folder), seconds_to_wait)
        return self.status()

    def resume(
        self,
        *,
        retry_failed: bool = False,
        changed_code: bool = False,
        on_progress: ProgressCallback | None = None,
        **backend_options: Any,
    ) -> "Run":
        """Compute what is missing, with the run's own snapshot of the code; with `retry_failed` failed replications too.

        changed_code: continue even if your own code outside the snapshot has changed.
        on_progress: as for `run`. backend_options: options of the backend to change from now on, such as workers, jobs or budget.

        Raises SimulationError if your code has changed, RunBusy if the run is being computed, Interrupted on Ctrl-C.
        """
        if own_code.script_changed(self._folder):
            warnings.warn(
                f"{self._folder.record.simulation['path']} has changed since run {self.id} began; the run goes on with its own snapshot",
                stacklevel=2,
            )
        others = self.changed_code(allowed=changed_code)
        reason = "retry failed" if retry_failed else "resume"
        compute(
            self._folder, backend_of_run(self._folder, **backend_options), reason, self.replications,
            retry_failed=retry_failed, changed_code=others, on_progress=on_progress,
        )  # fmt: skip
        return self

    def extend(
        self,
        replications: int | Sequence[int] | None = None,
        *,
        add: int | None = None,
        changed_code: bool = False,
        on_progress: ProgressCallback | None = None,
        **backend_options: Any,
    ) -> "Run":
        """Compute more replications, up to `replications` of each condition in all. Existing ones are kept.

        replications: of each condition, in all: one number, or one for each condition. add: instead, how many more each condition
            gets. changed_code, on_progress, backend_options: as for `resume`.

        Raises UsageError if the run has more replications already, and as `resume` does.
        """
        wanted = self._extended(replications, add)
        others = self.changed_code(allowed=changed_code)
        compute(
            self._folder, backend_of_run(self._folder, **backend_options), "extend", wanted,
            changed_code=others, on_progress=on_progress,
        )  # fmt: skip
        return self

    def _extended(self, replications: Any, add: Any = None) -> Counts:
        """The replications of each condition after `extend`. Raises UsageError."""
        conditions, before = self._folder.conditions, self.replications
        if (replications is None) == (add is None):
            hint = f"{Option('replications', 1000)}  in all, or  {Option('add', 100)}  more of each condition"
            raise UsageError("how many replications?" if add is None else "replications and add are both given", hint)
        if add is not None:
            more = check_replications(add, conditions)
            if not isinstance(more, int):
                raise UsageError("add is one number for all conditions", Option("add", 100))
            return counts.plus(before, more)
        wanted = check_replications(replications, conditions)
        if (counts.each(wanted, conditions) < counts.each(before, conditions)).any():
            more_than = f"more than {wanted}" if isinstance(wanted, int) else "and some conditions more than is wanted"
            raise UsageError(
                f"run {self.id} has {before if isinstance(before, int) else counts.in_words(before)}"
                f"{' replications' if isinstance(before, int) else ''} of each condition, {more_than}",
                "extend takes the number of replications in all. " + Option("add", 100) + "  adds to each condition.",
            )
        return wanted

    def changed_code(self, allowed: bool = True) -> dict[str, str]:
        """Your own code outside the snapshot that has changed since the run began: present hashes by name.

        Raises SimulationError if some has changed since the run was computed last, unless `allowed`.
        """
        return own_code.check_changes(self._folder, allowed)

    def results(self) -> "pd.DataFrame":
        """The run's table of results, as a pandas.DataFrame: condition, replication, the parameters, the outputs."""
        table = results.table(self._folder, copies=2)
        self._warn_of_oddities(table)
        return results.as_pandas(table, self._folder.record.parameters)

    def _results_head(self) -> Head:
        """What a terminal shows of the results."""
        table = results.table(self._folder)
        self._warn_of_oddities(table)
        head = table.select(table.column_names[: most_columns()]).slice(0, MOST_ROWS)
        return Head(results.as_shown(head, self._folder.record.parameters), table.num_rows, table.column_names)

    def results_table(self) -> "pa.Table":
        """The same as a pyarrow.Table."""
        return results.table(self._folder)

    def dataset(self) -> "Dataset":
        """The same as a pyarrow.dataset.Dataset, of which no more is read than is asked for. Ask again when the run has grown."""
        return results.dataset(self._folder)

    def errors(self) -> "pd.DataFrame":
        """The failed replications: condition, replication, parameters, message, call, traceback, as a pandas.DataFrame."""
        return self._messages("failures")

    def warnings(self) -> "pd.DataFrame":
        """The warnings of replications: condition, replication, parameters, message, count, as a pandas.DataFrame."""
        return self._messages("warnings")

    def _messages(self, name: str) -> "pd.DataFrame":
        with messages(self._folder, name) as found:
            return results.as_pandas(found.table(), self._folder.record.parameters)

    def _messages_head(self, name: str) -> Head:
        """What a terminal shows of the failures or warnings, without calls and tracebacks."""
        with messages(self._folder, name) as found:
            head = found.head(MOST_ROWS)
            return Head(results.as_shown(head, self._folder.record.parameters), found.rows, head.column_names)

    def report(self, path: str | Path, **options: Any) -> Path:
        """Write the report of the run: one page of HTML, for readers who do not have simferry.

        path: of the page, ending in .html. options: as for `measures`, where the run does not know them; without an estimate it has means
        only. Returns the path. Raises UsageError for columns that are not there or do not fit, StoreError if the run can't be read.
        """
        from .report import report

        return report(self, path, **options)

    def artifacts(
        self,
        condition: int | None = None,
        replication: int | None = None,
        *,
        pattern: str | None = None,
        folder: str | Path | None = None,
    ) -> list[Path]:
        """The paths of the files that replications left: of a script or command, those in its working directory; of a
        function, value.rds or value.pkl, and with `keep_files` those in its working directory.

        condition, replication: counted from 1; None stands for all. pattern: condition/replication/file, such as "3/*/plot.png":
        * stands for any part of a name, ** also for folders. folder: the files are copied there, in folders of their condition and
        replication, and the paths are those of the copies. Symbolic links are neither followed, listed nor copied.

        Raises UsageError for a condition that the run does not have, for a pattern that nothing matches, and, before anything is
        copied, if `folder` has one of the files already; StoreError if the files cannot be read.
        """
        from . import artifacts

        names = artifacts.find(self._folder, condition, replication, pattern)
        if folder is not None:
            return artifacts.copy(self._folder, names, folder)
        return [self._folder.path / "artifacts" / name for name in names]

    def delete(self) -> None:
        """Delete the run with all its files, here and in its store. This cannot be undone.

        Other runs that have taken over results of it keep them. A run in an object store that another machine computes without
        jobs of a service can't be seen from here.

        Raises RunBusy if the run is being computed, StoreError if not all of it can be removed.
        """
        from .delete import delete

        delete(self._folder)

    def values(self, trust: bool = False) -> "pd.DataFrame":
        """What replications returned that is not, or not whole, in the table of results: objects, nested lists, fitted models.

        trust: read files that could run code, whoever wrote them: those of Python are pickles. Without it they are read only where
        your local backend wrote them, in a folder of this machine. Values of R are always read without running code.

        Returns a pandas.DataFrame with a row for each replication with such a value: condition, replication, the parameters, value
        (of R as `sf.r.read_rds` returns it).

        Raises UsageError for a value that needs `trust`, and for runs of scripts and commands; StoreError if a file can't be read.
        """
        from ..results.kept_whole import kept_whole, with_ids  # loads pandas

        found = list(kept_whole(self._folder, trust))
        frame = results.as_pandas(with_ids(self._folder, found), self._folder.record.parameters)
        column = np.empty(len(found), dtype=object)
        for i, one in enumerate(found):
            column[i] = one.value()
        frame["value_result" if "value" in frame.columns else "value"] = column
        return frame

    def replay(self, condition: int, replication: int) -> Any:
        """Run one replication again in the foreground, on its stream, with the run's own snapshot of the code.

        condition, replication: counted from 1.

        Returns what the simulation returned (for R's values see r/values.py; for a script or a command it is the text of its
        results file, if it has one). What it prints is shown.

        With rpy2 an R function runs in this process, so that `browser()` works; a crash of R would end the process.

        Raises ReplicationError with call and traceback where it fails; of a simulation in R that is an RError.
        """
        from .replay import replay

        return replay(self, condition, replication).value()


def open(name: str | Path, store: str | Path | None = None) -> Run:
    """An existing run.

    name: the run's id or its beginning, its name, its folder or address, or "latest". store: where to look, as for `run`.

    Raises RunNotFound, with the most similar names, or with all runs of this name.
    """
    return Run(find_run(name, store))


def runs(store: str | Path | None = None) -> list[Run]:
    """All runs in a store, oldest first. A run that can't be read is named in a warning and left out.

    store: as for `run`. Raises StoreError if the store cannot be read.
    """
    return [Run(folder) for folder in store_to_list(store).folders()]


def standing(store: str | Path | None = None) -> list[tuple[Run, Progress]]:
    """Every run in a store (see `runs`), with its progress."""
    found = []
    for one in runs(store):
        try:
            found.append((one, one.status()))
        except StoreError as error:
            warn_of_skipped(one.id, error)
    return found
