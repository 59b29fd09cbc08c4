"""Object stores such as S3: each run folder has a mirror on this machine.

Files of a run folder are written once and never change, except jobs/ and artifacts of a replication that is tried again. A file
of the mirror is therefore equal to that of the store. It is fetched when it is needed. Results of this machine are written to
the mirror, then pushed. The mirror is a cache (~/.cache/simferry/stores): it can be removed while no run is computed here.
"""

import contextlib
import datetime
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..aws.buckets import check_bucket, public_by
from ..errors import RunNotFound, SimferryError, StoreError, UsageError
from ..hints import Option, Text
from ..system.files import below as inside
from ..system.files import cache_folder, is_name, writing
from ..system.untrusted import Tree
from ..worker import blocks
from . import records
from .folder_store import HOSTING, Store, is_whole_id, warn_of_skipped
from .keys import BlockName, JobId
from .objects import ObjectNotFound, Objects
from .packed import packed, unpacked
from .records import PlanRecord
from .run_folder import CANCELLED, NOTE, PRECISION, RECORD, UNPUBLISHED, RunFolder, read_blocks, read_plan

PLAN_RECORD = "plan.json"
IN_ONE = "jobs"  # the object with all of a plan's job files
CHECKPOINTS = (
    "checkpoints"  # of training jobs: checkpoints/JOB has their blocks and artifacts, as the service has sent them
)


def mirror_of(address: str) -> Path:
    """The folder with the mirrors of a store's runs."""
    return cache_folder() / "stores" / hashlib.sha256(address.encode()).hexdigest()[:16]


class RemoteStore(Store):
    """Run folders below an address such as s3://bucket/folder."""

    def __init__(self, address: str) -> None:
        self.objects = Objects(address)
        super().__init__(mirror_of(self.objects.address))

    @property
    def address(self) -> str:
        return self.objects.address

    @property
    def is_default(self) -> bool:
        return os.environ.get("SIMFERRY_STORE", "").rstrip("/") == self.address

    def folder(self, run_id: str) -> RunFolder:
        return RemoteRunFolder(self, run_id)

    def find(self, name: str | Path) -> RunFolder:
        # a complete id needs no listing; the store is asked even if there is a mirror, because the run may have been removed
        whole = is_whole_id(str(name))
        found = list(self.objects.find_many([f"{name}/{RECORD}"])) if whole else []
        if found:
            write_files(self.path, found)
            return self.folder(str(name))
        if whole:
            (self.path / str(name) / RECORD).unlink(missing_ok=True)
        return super().find(name)

    def check(self) -> None:
        if self.objects.scheme != "s3":
            return
        check_bucket(self.objects.bucket)
        if how := public_by(self.objects.bucket):
            raise UsageError(
                f"bucket {self.objects.bucket} is public by {how}: anybody could read the run or change it",
                Text("Block public access to it, or choose another ", Option("store"), "."),
            )

    def ids(self) -> list[str]:
        names = [name for name in self.objects.folders() if name != HOSTING]
        for name in names:
            if not _is_id(name):
                warn_of_skipped(repr(name), StoreError("the name is not valid for a run"))
        return list(filter(_is_id, names))

    def has_remains(self, run_id: str) -> bool:
        names = [name for name, _ in self.objects.below(run_id).listing()] if is_whole_id(run_id) else []
        return bool(names) and RECORD not in names

    def clear(self, run_id: str) -> None:
        objects = self.objects.below(run_id)
        objects.delete([name for name, _ in objects.listing()])
        super().clear(run_id)

    def folders(self) -> list[RunFolder]:
        """As for any store. Missing records are fetched together."""
        missing = [f"{run_id}/{RECORD}" for run_id in self.ids() if not (self.path / run_id / RECORD).exists()]
        write_files(self.path, self.objects.find_many(missing, records.MOST_BYTES))
        return super().folders()


class RemoteRunFolder(RunFolder):
    """One run's folder in an object store; `path` is its mirror."""

    seconds_between_looks = 2.0

    def __init__(self, home: RemoteStore, run_id: str) -> None:
        self.objects = home.objects.below(run_id)
        path = home.path / run_id
        if not (path / RECORD).exists():
            try:
                record = self.objects.get(RECORD)
            except ObjectNotFound:
                raise RunNotFound(f"{self.objects.address} is not a run folder: it has no run.json") from None
            write_files(path, [(RECORD, record)])
        for folder in ("plan", "blocks", "artifacts", "jobs"):
            (path / folder).mkdir(exist_ok=True)
        try:
            super().__init__(path, home)
        except StoreError:
            (path / RECORD).unlink(missing_ok=True)  # so that it is fetched again: the one in the store may be repaired
            raise
        self._plans: list[str] | None = None
        self._blocks: dict[str, int] | None = None  # with their sizes
        self._keys: dict[str, str] = {}  # of blocks among checkpoints
        self._anothers = False  # another process has created the run with this id in the store

    @property
    def address(self) -> str:
        return self.objects.address

    @property
    def code(self) -> Path:
        self._bring("code/")
        return super().code

    # ---- blocks and files ----

    def look(self) -> None:
        super().look()
        self._plans = self._blocks = None  # the next use lists them again

    def _look_for_plans(self) -> list[str]:
        found = (name for name in self.objects.folders("plan") if re.fullmatch("[0-9]{4,9}", name))
        self._plans = sorted(found, key=int)
        return self._plans

    def _look_for_blocks(self) -> dict[str, int]:
        found = self.objects.listing("blocks/")
        for listed in self.objects.listings(f"{CHECKPOINTS}/{job}/blocks/" for job in self._jobs_with_checkpoints()):
            found += listed
        self._blocks, self._keys = {}, {}
        for key, size in found:
            folder, _, name = key.rpartition("/")
            if (block := BlockName.parse(name)) and folder in ("blocks", f"{CHECKPOINTS}/{block.job}/blocks"):
                self._blocks[name], self._keys[name] = size, key
        if self.record.search:  # of plans that came meanwhile, which have added conditions
            self._plans = None
        return self._blocks

    def _jobs_with_checkpoints(self) -> list[str]:
        """The training jobs that have sent something, oldest first."""
        jobs = [job for plan in self.plans() if plan.trains for job in plan.job_ids]
        there = set(self.objects.folders(CHECKPOINTS)) if jobs else set()
        return [job for job in jobs if job in there]

    def _there(self) -> dict[str, int]:
        return self._look_for_blocks() if self._blocks is None else self._blocks

    def block_names(self) -> list[BlockName]:
        return self._parsed({*self._there(), *(block.name for block in super().block_names())})

    def read_blocks(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        names, there = list(names), self._there()
        wanted = set(names)
        with os.scandir(self.blocks) as entries:  # also files that another thread is about to rename
            here = {entry.name: entry.stat().st_size for entry in entries if entry.name in wanted}
        # a block of another size is incomplete, for example after a power failure
        missing = {name for name in names if there.get(name, here.get(name)) != here.get(name)}
        fetched = self.objects.get_many(self._key(name) for name in names if name in missing)
        for name in names:
            if name in missing:
                _, content = next(fetched)
                with writing(self.blocks):
                    _write(self.blocks / name, content)
            else:
                ((_, content),) = read_blocks(self.path, [name])
            yield name, content

    def _key(self, block: str) -> str:
        return self._keys.get(block, f"blocks/{block}")

    def set_aside(self, block: str) -> str:
        if block not in self._there():  # not pushed yet
            return super().set_aside(block)
        self.objects.put(f"damaged/{block}", self.objects.get(self._key(block)))
        self.objects.delete([self._key(block)])
        del self._there()[block]
        (self.blocks / block).unlink(missing_ok=True)
        return f"{self.address}/damaged/{block}"

    def bring_conditions(self) -> Path:
        self._bring("conditions.csv")
        return super().bring_conditions()

    def bring_artifacts(self, below: str = "", wanted: Callable[[str], bool] | None = None) -> Path:
        newest: dict[
            str, tuple[datetime.datetime, int, str]
        ] = {}  # by name: a replication may have been tried again elsewhere
        for folder in ("", *(f"{CHECKPOINTS}/{job}/" for job in self._jobs_with_checkpoints())):
            begin = f"{folder}artifacts/{below}/" if below else f"{folder}artifacts/"
            for key, size, when in self.objects.listing_with_times(begin):
                name = key.removeprefix(folder)
                if wanted is None or wanted(name.removeprefix("artifacts/")):
                    newest[name] = max((when, size, key), newest.get(name, (when, size, key)))
        changed = [(key, name) for name, (when, size, key) in newest.items() if not self._has_since(name, size, when)]
        self.objects.download([(key, inside(self.path, name)) for key, name in changed])
        return super().bring_artifacts(below)

    def bring_input(self, name: str) -> Path:
        self._bring(f"input/{name}/")
        return super().bring_input(name)

    def read_note(self) -> str:
        found = list(self.objects.find_many([NOTE], records.MOST_BYTES))  # it may change at any time
        return found[0][1].decode(errors="replace") if found else ""

    def write_note(self, text: str) -> None:
        if self._has(UNPUBLISHED):
            super().write_note(text)
        else:
            self.objects.put(NOTE, text.encode())

    def read_precision(self) -> records.Precision | None:
        found = list(self.objects.find_many([PRECISION], records.MOST_BYTES))
        return records.Precision.of(found[0][1], PRECISION) if found else None

    def write_precision(self, precision: records.Precision) -> None:
        self.objects.put(PRECISION, precision.content())

    # ---- plans ----

    def plans(self) -> list[PlanRecord]:
        numbers = self._look_for_plans() if self._plans is None else self._plans
        names = [f"plan/{number}/{PLAN_RECORD}" for number in numbers]
        missing = [name for name in names if not self._has(name)]
        write_files(self.path, self.objects.get_many(missing))
        return [self._plan(self.path / name) for name in names]

    def _plan(self, path: Path) -> PlanRecord:
        record = read_plan(path)
        if not re.fullmatch(
            rf"plan/{record.number}-[0-9a-f]{{8}}(/{IN_ONE})?", record.files
        ):  # anybody who can write to the store may have written it
            raise StoreError(
                f"plan {record.number} of run {self.id} has a wrong folder of jobs: {record.files or None!r}"
            )
        return record

    def cancel_plan(self) -> None:
        if plans := self.plans():
            self.objects.put(f"plan/{plans[-1].number}/{CANCELLED}", b"")

    def is_cancelled(self, plan: str) -> bool:
        return bool(list(self.objects.find_many([f"plan/{plan}/{CANCELLED}"])))

    def _write_plan(self, record: PlanRecord, files: Mapping[str, bytes], in_one: bool) -> None:
        """Put the jobs' files first, then the record, unless there is one: a plan is complete or absent."""
        folder = f"plan/{record.number}-{secrets.token_hex(4)}" + (f"/{IN_ONE}" if in_one else "")
        contents = {folder: packed([*files.values()])} if in_one else {f"{folder}/{n}/job": f for n, f in files.items()}
        names = [*contents]
        self.objects.put_many([*contents.items()])
        written = json.dumps(replace(record, files=folder).content(), indent=1).encode()
        if not self.objects.create(f"plan/{record.number}/{PLAN_RECORD}", written):
            self.objects.delete(names)
            raise self.busy()
        mirrored = [(f"plan/{record.number}/{name}/job", content) for name, content in files.items()]
        write_files(self.path, [*mirrored, (f"plan/{record.number}/{PLAN_RECORD}", written)])
        self._plans = [*(self._plans or []), record.number]

    def job_folder(self, job: str) -> Path:
        folder = super().job_folder(job)
        if not (folder / "job").exists():
            files, number = self.plan(JobId(job).plan).files, JobId(job).number
            if files.endswith(IN_ONE):
                content = unpacked(partial(self.objects.get_range, files), int(number))
            else:
                content = self.objects.get(f"{files}/{number}/job")
            write_files(folder, [("job", content)])
        return folder

    def job_address(self, job: str) -> str:
        files, number = self.plan(JobId(job).plan).files, JobId(job).number
        return f"{self.address}/{files}" if files.endswith(IN_ONE) else f"{self.address}/{files}/{number}/"

    # ---- from the mirror to the store ----

    def publish(self) -> None:
        """Put all files, and run.json last: without it the folder is not a run."""
        files = [file.name for file in Tree(self.path).files()]
        self._put(name for name in files if name != UNPUBLISHED and not name.startswith("jobs/"))
        if not self.objects.create(RECORD, (self.path / UNPUBLISHED).read_bytes()):
            self._anothers = True
            raise StoreError(f"there is a run {self.id} in the store already", "Run it again: it gets a new id.")
        os.rename(self.path / UNPUBLISHED, self.path / RECORD)

    def push(self) -> None:
        """Put artifacts first, then the blocks that refer to them."""
        there = self._there()
        missing = [block.name for block in super().block_names() if block.name not in there]
        for name in missing:
            self._put(self._artifacts_of(name))
        self._put(f"blocks/{name}" for name in missing)
        there |= {name: (self.blocks / name).stat().st_size for name in missing}

    def _artifacts_of(self, block: str) -> list[str]:
        """The files of a block's replications; they may replace those of an earlier attempt."""
        columns = blocks.decode((self.blocks / block).read_bytes()).table("replications").columns
        pairs = zip(columns["condition"].values.tolist(), columns["replication"].values.tolist(), strict=True)
        folders = (("artifacts", str(c), str(r)) for c, r in pairs)
        return ["/".join([*folder, file.name]) for folder in folders for file in Tree(self.path, folder).files()]

    def remove(self) -> None:
        with contextlib.suppress(SimferryError):
            if not self._anothers:
                self._delete_objects()
        super().remove()

    def delete(self) -> None:
        (self.path / RECORD).unlink(missing_ok=True)  # from now on the store is asked
        self._delete_objects()
        super().delete()

    def _delete_objects(self) -> None:
        """run.json first: after an interrupted removal the rest is not a run."""
        self.objects.delete([RECORD])
        self.objects.delete([name for name, _ in self.objects.listing()])

    def _put(self, names: Iterable[str]) -> None:
        self.objects.put_many([(name, self.path / name) for name in names])

    # ---- from the store to the mirror ----

    def _has(self, name: str) -> bool:
        return (self.path / name).exists()

    def _has_since(self, name: str, size: int, when: datetime.datetime) -> bool:
        """Whether the mirror has this version of a file. A replication that is tried again replaces its files."""
        path = self.path / name
        return path.exists() and path.stat().st_size == size and path.stat().st_mtime >= when.timestamp()

    def _bring(self, name: str) -> None:
        """Copy a file, or all files of a folder (`code/`), to the mirror, where a folder is always complete."""
        if self._has(name):
            return
        if not name.endswith("/"):
            write_files(self.path, [(name, self.objects.get(name))])
            return
        names = [found for found, _ in self.objects.listing(name)]
        if not names:
            raise StoreError(f"there is nothing at {self.address}/{name}")
        draft = self.path / f".draft-{secrets.token_hex(4)}"
        try:
            self.objects.download((found, inside(draft, found)) for found in names)
            with writing(self.path):
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.rename(draft / name, self.path / name)
                except OSError:
                    if not self._has(name):  # else another process was faster
                        raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_files(folder: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write files of a mirror."""
    with writing(folder):
        for name, content in contents:
            path = inside(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)


def _is_id(name: str) -> bool:
    """Whether a name is valid for a run. It is a part of addresses."""
    return is_name(name) and not re.search("[?#]", name)


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically. It is not synced to the disk, because the store has it."""
    open_file = f"{path.parent}/.{path.name}.{secrets.token_hex(4)}"
    with open(open_file, "wb", buffering=0) as file:
        file.write(content)
    os.replace(open_file, path)
