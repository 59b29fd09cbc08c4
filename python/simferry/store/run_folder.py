"""A run folder: its layout, and how it is read and written.

run.json            the record of the run; never changes
note.txt            the user's note on the run, if there is one
precision.json      of a run that goes on until it is precise enough: how far it is
conditions.csv      id and parameters
plan/NNNN/          one per submission: plan.json, and a folder with a file `job` per job
code/               the script, its helper files, constants, the worker
input/              input files that were uploaded (see inputs.py)
blocks/             one file per finished block
artifacts/          files that replications wrote: artifacts/<condition>/<replication>/
checkpoints/        in an object store, of training jobs: blocks and artifacts of each, as the two above
archives/           of images' training jobs: what each has left; restarts/: the checkpoints of its program
jobs/               per job: its state and its log
results.parquet     the collected table; can always be rebuilt, as all that is named results
results-*.parquet   rows of blocks that came later
results.index       what they were made of
"""

import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..errors import RunBusy, RunNotFound, StoreError
from ..hints import Command, Shell, Upgrade
from ..system import untrusted
from ..system.files import sync, write_whole, writing
from . import records, steps
from .counts import Counts, largest
from .keys import BlockName, JobId
from .records import MOST_BYTES as MOST_RECORD
from .records import PlanRecord, Precision, RunRecord

CANCELLED = "cancelled"
NOTE, PRECISION = "note.txt", "precision.json"
LOCK = "driver.lock"  # in jobs/; the driver of the run holds it
MOST_BYTES = 1 << 32  # of a block, and of conditions.csv
_REMOVE = "Only who may write there can delete the run."
RECORD, UNPUBLISHED = "run.json", "run.json.unpublished"
FORMAT, GROWS = 2, 3  # of run folders; of those whose design grows. A newer simferry writes higher numbers


def read_plan(path: Path) -> PlanRecord:
    """The record of a plan."""
    return PlanRecord.of(records.read(path.parent, path.name), path)


def read_blocks(run: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of blocks; empty of one that is not a regular file. Raises StoreError if one does not exist."""
    try:
        for name, data in untrusted.read_many(run, "blocks", names, MOST_BYTES + 1):
            yield name, data if data is not None and len(data) <= MOST_BYTES else b""
    except OSError as error:
        where = run / "blocks" / (error.filename or "")
        raise StoreError(f"{where} can't be read: {error.strerror}") from None


def remove_folder(path: Path) -> None:
    """Remove a folder with all in it, of others too where that is allowed. Raises StoreError if something stays."""
    if path.exists():
        try:
            shutil.rmtree(path)
        except OSError as error:
            shutil.rmtree(path, ignore_errors=True)
            if path.exists():
                where, why = error.filename or path, error.strerror or error
                raise StoreError(
                    f"the run is deleted, but not all of its files: {where} can't be removed: {why}",
                    Shell("rm", "-r", str(path)) + "  removes them if you may.",
                ) from None


class Home(Protocol):
    """The part of a store (folder_store.Store) that its runs use."""

    @property
    def address(self) -> str: ...

    @property
    def is_default(self) -> bool: ...

    def folders(self) -> "list[RunFolder]": ...


class RunFolder:
    """A run folder on this machine, in the store `home`.

    For object stores, mirror.py derives from it: this folder is then a mirror, and `look`, `publish`, `push` and the `bring_`
    functions copy files between mirror and store.
    """

    seconds_between_looks = 0.25
    backend_note = ""  # of a new run, on where it computes
    waiting: Any = None  # of a new run: the process that checked its simulation, and may run its first job

    def end_waiting(self) -> None:
        """End the process that waits for the run's first job, if no job took it."""
        if self.waiting:
            self.waiting.end()
            self.waiting = None

    def __init__(self, path: Path, home: Home) -> None:
        self.path, self.home = path, home
        self.id = path.name
        self._known_blocks: dict[str, BlockName | None] = {}
        self._known_plans: dict[str, tuple[tuple[int, int], PlanRecord]] = {}
        self._conditions: int | None = None  # of a design that grows, when blocks were listed
        self.first_results: dict[
            str, tuple[float, int]
        ] = {}  # by plan, for rates: when they were seen, how many there were
        if not self.id.isprintable():  # also bytes that are not UTF-8
            raise StoreError(f"the folder name {str(path)!r} is not valid for a run", "Rename the folder.")
        try:
            record = records.read(path, "run.json")
        except FileNotFoundError:
            raise RunNotFound(f"{path} is not a run folder: it has no run.json") from None
        written = record.get("format", 0) if isinstance(record, dict) else 0
        if isinstance(written, int) and written > GROWS:
            raise StoreError(
                f"run {self.id} was written by a newer simferry ({record.get('simferry')}, run folder format {written})",
                "Update simferry to read it: " + Upgrade(),
            )
        self.record = RunRecord.of(record, path / "run.json")

    @property
    def address(self) -> str:
        """The run's address as users write it."""
        return str(self.path)

    @property
    def handle(self) -> str:
        """The name of the run in commands: its id if its store is the default, else its address."""
        return self.id if self.home.is_default else self.address

    def command(self, verb: str, **options: Any) -> Command:
        """A command with this run, for hints."""
        return Command(verb, self.handle, **options)

    def look(self) -> None:
        """Forget the last listing of plans and blocks, so that new ones are found. Raises RunNotFound if the run was deleted."""
        self._conditions = None
        if not (self.path / "run.json").exists():
            raise RunNotFound(f"run {self.id} is no longer in {self.home.address}")

    def publish(self) -> None:
        """Make the complete run visible in the store: without run.json the folder is not a run."""
        with writing(self.path):
            os.rename(self.path / UNPUBLISHED, self.path / RECORD)
            sync(self.path)

    def push(self) -> None:
        """Copy new blocks and artifacts of this machine to the store."""

    def bring_artifacts(self, below: str = "", wanted: Callable[[str], bool] | None = None) -> Path:
        """Copy artifacts to this machine, those of one replication (`3/17`) or all. Returns their folder.

        wanted: whether a file is needed, by its name below artifacts/.
        """
        return self.path / "artifacts" / below

    def bring_conditions(self) -> Path:
        """Copy the table of conditions to this machine. Returns its path."""
        return self.path / "conditions.csv"

    def bring_input(self, name: str) -> Path:
        """Copy an uploaded input to this machine. Returns its folder."""
        return self.path / "input" / name

    def read_note(self) -> str:
        """The user's note on the run; empty if there is none."""
        return (untrusted.read(self.path, NOTE, MOST_RECORD) or b"").decode(errors="replace")

    def write_note(self, text: str) -> None:
        """Replace the user's note."""
        with writing(self.path):
            write_whole(self.path / NOTE, text.encode())

    def read_precision(self) -> Precision | None:
        """How far a run is that goes on until it is precise enough; None before its first look. Raises StoreError."""
        written = untrusted.read(self.path, PRECISION, MOST_RECORD)
        return None if written is None else Precision.of(written, self.path / PRECISION)

    def write_precision(self, precision: Precision) -> None:
        """Replace it."""
        with writing(self.path):
            write_whole(self.path / PRECISION, precision.content())

    def remove(self) -> None:
        """Remove a new run that could not start, as far as possible."""
        shutil.rmtree(self.path, ignore_errors=True)

    def check_removable(self) -> None:
        """Raise StoreError if the folder is a link: the run is elsewhere."""
        if self.path.is_symlink():
            raise StoreError(f"{self.path} is a link to a run", f"Delete the run itself: {self.path.resolve()}")

    def delete(self) -> None:
        """Remove the run. Without run.json, which goes first, it is not a run: an interrupted removal leaves no half of one."""
        with writing(self.path, _REMOVE):
            (self.path / "run.json").unlink(missing_ok=True)
        remove_folder(self.path)

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def blocks(self) -> Path:
        return self.path / "blocks"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    def block_names(self) -> list[BlockName]:
        """The names of finished blocks, sorted."""
        try:
            names = os.listdir(self.blocks)
        except OSError as error:
            self.look()
            raise StoreError(f"{self.blocks} can't be read: {error.strerror}") from None
        return self._parsed(names)

    @property
    def conditions(self) -> int:
        """How many conditions the run has. Where the design grows, it is what it was when blocks were last listed, or the run was last
        looked at: the conditions of these blocks are among them."""
        if not self.record.search:
            return self.record.conditions
        if self._conditions is None:
            self._conditions = steps.grown(self.record.conditions, self.plans())
        return self._conditions

    def _parsed(self, names: Iterable[str]) -> list[BlockName]:
        """The names that are those of blocks, sorted. Each is taken apart once: who follows a run lists many again and again."""
        self._conditions = None
        known, names = self._known_blocks, sorted(names)
        known.update((name, BlockName.parse(name)) for name in names if name not in known)
        return [block for name in names if (block := known[name])]

    def read_blocks(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yields (name, bytes) of blocks."""
        yield from read_blocks(self.path, names)

    def set_aside(self, block: str) -> str:
        """Move a damaged block into the folder damaged/. Returns its new address."""
        folder = self.path / "damaged"
        with writing(folder):
            folder.mkdir(exist_ok=True)
            return str((self.blocks / block).rename(folder / block))

    def plans(self) -> list[PlanRecord]:
        """The plans, oldest first."""
        folder = self.path / "plan"
        try:
            names = sorted((name for name in os.listdir(folder) if re.fullmatch("[0-9]{4,9}", name)), key=int)
        except OSError:
            return []
        return [plan for name in names if (plan := self._read_plan(f"{folder}/{name}/plan.json"))]

    def _read_plan(self, path: str) -> PlanRecord | None:
        """The record of a plan, which is read again only where its file has changed: progress looks at it several times. None if
        there is none."""
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        state = found.st_mtime_ns, found.st_size
        if path not in self._known_plans or self._known_plans[path][0] != state:
            self._known_plans[path] = state, read_plan(Path(path))
        return self._known_plans[path][1]

    def plan(self, number: str) -> PlanRecord:
        """The plan with this number (0001). Raises StoreError."""
        for plan in self.plans():
            if plan.number == number:
                return plan
        raise StoreError(f"plan {number} of run {self.id} is no longer in {self.address}")

    def cancel_plan(self) -> None:
        """Tell the driver of the last plan, on any machine, to start no more jobs."""
        if plans := self.plans():
            with writing(self.path):
                (self.path / "plan" / plans[-1].number / CANCELLED).touch()

    def is_cancelled(self, plan: str) -> bool:
        return (self.path / "plan" / plan / CANCELLED).exists()

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """The run's inputs (see inputs.py): by name their place, mode, sharded and version."""
        return self.record.inputs

    def job_folder(self, job: str) -> Path:
        """The folder with a job's file. job: plan-job, such as 0001-0003."""
        return self.path / "plan" / JobId(job).plan / JobId(job).number

    @property
    def replications(self) -> Counts:
        """The number of replications wanted for each condition, after all extensions. Raises StoreError."""
        return self.wanted(self.plans())

    def wanted(self, plans: Iterable[PlanRecord]) -> Counts:
        """The same, of a run with these plans."""
        try:
            if self.record.search:
                return steps.wanted(self.record.conditions, plans)
            return largest(self.record.replications, *(plan.replications for plan in plans))
        except ValueError:
            raise StoreError(f"a plan of run {self.id} has the replications of other conditions") from None

    def add_plan(self, record: PlanRecord, jobs: Mapping[str, Callable[[str], bytes]], in_one: bool = False) -> str:
        """Write a plan. Returns its number. Raises RunBusy if another process has added one meanwhile.

        jobs: by job number (0001), a function that makes the job's file from the number of the plan. in_one: in an object store, put all
        these files into one object.
        """
        number = f"{len(self.plans()) + 1:04d}"
        self._write_plan(replace(record, number=number), {name: make(number) for name, make in jobs.items()}, in_one)
        self._conditions = None
        return number

    def _write_plan(self, record: PlanRecord, files: Mapping[str, bytes], in_one: bool) -> None:
        draft = self.path / "plan" / f".draft-{secrets.token_hex(4)}"
        with writing(self.path):
            try:
                draft.mkdir()
                for name, content in files.items():
                    (draft / name).mkdir()
                    (draft / name / "job").write_bytes(content)
                write_whole(draft / "plan.json", json.dumps(record.content(), indent=1).encode())
                sync(draft)
                os.rename(draft, self.path / "plan" / record.number)
                sync(self.path / "plan")
            except OSError as error:
                shutil.rmtree(draft, ignore_errors=True)
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    raise self.busy() from None
                raise
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise

    def busy(self) -> RunBusy:
        return RunBusy(f"another process has just started to compute run {self.id}", self.command("watch"))

    def job_address(self, job: str) -> str:
        """The address of the folder with a job's file in the store, or of the object with those of all the plan's jobs."""
        return f"{self.job_folder(job)}/"
