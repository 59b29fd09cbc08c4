"""A run folder: what lies where in it, and its reading and writing.

run.json            what the run is; never changes
conditions.csv      id and parameters
plan/NNNN/          one per submission: plan.json, and a folder with a file `job` per job
code/               the script, its helper files, constants, the worker
input/              files of the user's that came along (see inputs.py)
blocks/             one file per finished block
artifacts/          files that replications wrote: artifacts/<condition>/<replication>/
jobs/               per job: what was asked of the backend, its state, its log
results.parquet     the collected table; can always be rebuilt
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
from ..hints import Command, Upgrade
from ..system import untrusted
from ..system.files import sync, write_whole, writing
from . import records
from .keys import BlockName, JobId
from .records import PlanRecord, RunRecord

CANCELLED = "cancelled"
LOCK = "driver.lock"  # in jobs/: whoever computes the run holds it
MOST_BYTES = 1 << 32  # of a block, and of conditions.csv
FORMAT = 2  # of run folders; a folder with a higher one was written by a newer simferry


def read_plan(path: Path) -> PlanRecord:
    """A plan's record; its number is that of its folder, whatever it says."""
    return PlanRecord.of(records.read(path.parent, path.name), path)


def read_block(run: Path, name: str) -> bytes:
    """The bytes of a block; empty where something that is not a file has its name. Raises StoreError where nothing has."""
    try:
        data = untrusted.read(run, f"blocks/{name}", MOST_BYTES + 1, absent=True)
    except OSError as error:
        raise StoreError(f"{run / 'blocks' / name} can't be read: {error.strerror}") from None
    return data if data is not None and len(data) <= MOST_BYTES else b""


class Home(Protocol):
    """What a run asks of the store that it lives in (folder_store.Store)."""

    @property
    def address(self) -> str: ...

    @property
    def is_default(self) -> bool: ...

    def folders(self) -> "list[RunFolder]": ...


class RunFolder:
    """One run's folder on this machine, in the store `home`.

    What a store elsewhere does otherwise is in mirror.py: there this folder is a mirror, and `look`, `publish`, `push`
    and `bring_artifacts`, which have nothing to do here, carry files between the two.
    """

    seconds_between_looks = 0.25
    note = ""  # about where the run is computed; shown once, when it is made

    def __init__(self, path: Path, home: Home) -> None:
        self.path, self.home = path, home
        self.id = path.name
        if not self.id.isprintable():  # also bytes that are no UTF-8
            raise StoreError(f"the name of the folder {str(path)!r} can't be that of a run", "Rename it.")
        try:
            record = records.read(path, "run.json")
        except FileNotFoundError:
            raise RunNotFound(f"{path} is not a run folder: it has no run.json") from None
        written = record.get("format", 0) if isinstance(record, dict) else 0
        if isinstance(written, int) and written > FORMAT:
            raise StoreError(
                f"run {self.id} was written by a newer simferry ({record.get('simferry')}, run folder format {written})",
                "Update simferry to read it: " + Upgrade(),
            )
        self.record = RunRecord.of(record, path / "run.json")

    @property
    def address(self) -> str:
        """The run's address, as a user would write it."""
        return str(self.path)

    @property
    def handle(self) -> str:
        """What a user calls it by in a command: its id where its store is the default, else its address."""
        return self.id if self.home.is_default else self.address

    def command(self, verb: str, **options: Any) -> Command:
        """A command about it, to be shown and pasted."""
        return Command(verb, self.handle, **options)

    def look(self) -> None:
        """Forget the last listing: there may be more now."""

    def publish(self) -> None:
        """Called when the folder is complete: from now on the run can be found."""

    def push(self) -> None:
        """Bring to the store what was computed on this machine."""

    def bring_artifacts(self, below: str = "") -> Path:
        """Bring artifacts to this machine, of one replication (`3/17`) or all; returns their folder."""
        return self.path / "artifacts" / below

    def bring_conditions(self) -> Path:
        """Bring the table of conditions to this machine; returns its path."""
        return self.path / "conditions.csv"

    def bring_input(self, name: str) -> Path:
        """Bring an input that came along to this machine; returns its folder."""
        return self.path / "input" / name

    def remove(self) -> None:
        """Remove the run."""
        shutil.rmtree(self.path, ignore_errors=True)

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
        """The finished blocks, from a listing alone."""
        try:
            names = os.listdir(self.blocks)
        except OSError as error:
            raise StoreError(f"{self.blocks} can't be read: {error.strerror}") from None
        return sorted((b for b in map(BlockName.parse, names) if b), key=lambda b: b.name)

    def read_blocks(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The bytes of blocks, with their names."""
        for name in names:
            yield name, read_block(self.path, name)

    def set_aside(self, block: str) -> str:
        """Move a damaged block where nobody reads it; returns its new address."""
        folder = self.path / "damaged"
        with writing(folder):
            folder.mkdir(exist_ok=True)
            return str((self.blocks / block).rename(folder / block))

    def plans(self) -> list[PlanRecord]:
        """The plans, oldest first."""
        paths = (self.path / "plan").glob("[0-9]*/plan.json")
        return [read_plan(path) for path in sorted(paths) if re.fullmatch("[0-9]{4,9}", path.parent.name)]

    def plan(self, number: str) -> PlanRecord:
        """The plan of that number (0001)."""
        for plan in self.plans():
            if plan.number == number:
                return plan
        raise StoreError(f"plan {number} of run {self.id} is no longer in {self.address}")

    def cancel_plan(self) -> None:
        """Ask the driver of the last plan, on any machine, to start no more jobs."""
        if plans := self.plans():
            with writing(self.path):
                (self.path / "plan" / plans[-1].number / CANCELLED).touch()

    def is_cancelled(self, plan: str) -> bool:
        return (self.path / "plan" / plan / CANCELLED).exists()

    @property
    def inputs(self) -> dict[str, dict[str, Any]]:
        """The run's inputs (see inputs.py): by name place, mode, sharded, version."""
        return self.record.inputs

    def job_folder(self, job: str) -> Path:
        """The folder with a job's file. job: plan-job, such as 0001-0003."""
        return self.path / "plan" / JobId(job).plan / JobId(job).number

    @property
    def replications(self) -> int:
        """How many replications of each condition are wanted, after all extensions."""
        return max([self.record.replications, *(plan.replications for plan in self.plans())])

    def add_plan(self, record: PlanRecord, jobs: Mapping[str, Callable[[str], bytes]]) -> str:
        """Put a whole plan into the folder; returns its number. Raises RunBusy where another process has added one meanwhile.

        jobs: by its number (0001) a function that makes a job's file, given the number of the plan.
        """
        number = f"{len(self.plans()) + 1:04d}"
        self._write_plan(replace(record, number=number), {name: make(number) for name, make in jobs.items()})
        return number

    def _write_plan(self, record: PlanRecord, files: Mapping[str, bytes]) -> None:
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
        return RunBusy(f"run {self.id} was just taken up by another process", self.command("watch"))

    def job_address(self, job: str) -> str:
        """Where that folder is in the store."""
        return f"{self.job_folder(job)}/"
