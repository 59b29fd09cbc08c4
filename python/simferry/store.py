"""Stores: where run folders live, and what lies where in one.

run.json            what the run is; never changes
conditions.csv      id and parameters
plan/NNNN/          one per submission: plan.json, and a file per job
code/               the script, its helper files, constants, the worker
blocks/             one file per finished block
artifacts/          files that replications wrote: artifacts/<condition>/<replication>/
jobs/               per job: what was asked of the backend, its state, its log
results.parquet     the collected table; can always be rebuilt
"""

import contextlib
import datetime
import errno
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import RunBusy, RunNotFound, StoreError, nearest

FORMAT = 1  # of run folders; a folder with a higher one was written by a newer simferry
_REASONS = {
    errno.ENOSPC: "there is no room left on its disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "its file system is read-only",
}


@contextlib.contextmanager
def writing(place: Path, hint: str = "") -> Iterator[None]:
    """Turns the operating system's errors into one that names the place and what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or place
        if error.errno in _REASONS:
            raise StoreError(
                f"can't write {where}: {_REASONS[error.errno]}",
                hint or "Mend that, or choose another place with --store (SIMFERRY_STORE).",
            ) from None
        raise StoreError(f"can't write {where}: {error.strerror or error}", hint) from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole, on disk, or not at all."""
    open_file = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(open_file, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(open_file, path)
    except BaseException:
        with contextlib.suppress(OSError):
            open_file.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    """What was renamed in a folder stays renamed when the power goes."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@dataclass(frozen=True)
class BlockName:
    """What a block file's name tells: plan-job-attempt-process.number-rREPLICATIONS-fFAILED."""

    name: str
    plan: str
    job: str
    replications: int
    failed: int

    @classmethod
    def parse(cls, name: str) -> "BlockName | None":
        m = re.fullmatch(r"(\d{4,})-(\d{4,})-\d+-\d+\.\d+-r(\d+)-f(\d+)", name)
        return cls(name, m[1], m[2], int(m[3]), int(m[4])) if m else None


class RunFolder:
    """One run's folder on this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        try:
            self.record: dict[str, Any] = json.loads((path / "run.json").read_bytes())
        except FileNotFoundError:
            raise RunNotFound(f"{path} is not a run folder: it has no run.json") from None
        except (OSError, ValueError) as error:
            raise StoreError(f"{path / 'run.json'} can't be read: {error}") from None
        written = self.record.get("format", 0)
        if written > FORMAT:
            raise StoreError(
                f"run {self.id} was written by a newer simferry ({self.record.get('simferry')}, run folder format {written})",
                "Update simferry to read it: pip install --upgrade simferry",
            )

    @property
    def blocks(self) -> Path:
        return self.path / "blocks"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    def block_names(self) -> list[BlockName]:
        """The finished blocks, from a listing alone."""
        with os.scandir(self.blocks) as entries:
            found = (BlockName.parse(entry.name) for entry in entries)
            return sorted((b for b in found if b), key=lambda b: b.name)

    def set_aside(self, block: str) -> Path:
        """Move a damaged block where nobody reads it."""
        folder = self.path / "damaged"
        with writing(folder):
            folder.mkdir(exist_ok=True)
            return (self.blocks / block).rename(folder / block)

    def plans(self) -> list[dict[str, Any]]:
        """What was asked in each submission, oldest first."""
        return [json.loads(path.read_bytes()) for path in sorted((self.path / "plan").glob("[0-9]*/plan.json"))]

    @property
    def replications(self) -> int:
        """How many replications of each condition are wanted, after all extensions."""
        return max([self.record["replications"], *(plan["replications"] for plan in self.plans())])

    def add_plan(self, record: Mapping[str, Any], jobs: Mapping[str, Any]) -> str:
        """Put a plan into the folder, whole; returns its number. Raises RunBusy when somebody else was faster.

        jobs: the bytes of each job file by its name, or functions that make them.
        """
        number = f"{len(list((self.path / 'plan').glob('[0-9]*'))) + 1:04d}"
        draft = self.path / "plan" / f".draft-{secrets.token_hex(4)}"
        with writing(self.path):
            draft.mkdir()
            try:
                for name, make in jobs.items():
                    (draft / name).write_bytes(make(number))
                write_whole(draft / "plan.json", json.dumps({"plan": number, **record}, indent=1).encode())
                _sync(draft)
                os.rename(draft, self.path / "plan" / number)
                _sync(self.path / "plan")
            except OSError as error:
                shutil.rmtree(draft, ignore_errors=True)
                if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                    raise RunBusy(
                        f"run {self.id} was just taken up by another process", f"simferry watch {self.id}"
                    ) from None
                raise
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        return number

    def write_conditions(self, table: Any) -> None:
        import pyarrow as pa
        import pyarrow.csv

        ids = pa.array(range(1, self.record["conditions"] + 1), pa.int32())
        table = table.add_column(0, "condition", ids) if table.num_columns else pa.table({"condition": ids})
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(table, sink)
        with writing(self.path):
            write_whole(self.path / "conditions.csv", sink.getvalue().to_pybytes())

    def conditions(self) -> Any:
        """The design, as it was."""
        from .design import TYPES, Design, read_csv

        path = self.path / "conditions.csv"
        types = self.record["parameters"]
        columns = {"condition": "int32", **{name: TYPES[kind] for name, kind in types.items()}}
        try:
            table = read_csv(path, types=columns, missing=[""])
        except Exception as error:
            raise StoreError(f"{path} can't be read: {error}") from None
        if table.num_rows != self.record["conditions"]:
            raise StoreError(f"{path} has {table.num_rows} rows where run.json says {self.record['conditions']}")
        return Design({name: table[name] for name in types}, types, known_distinct=True)


class Store:
    """A folder of run folders. The default is $SIMFERRY_STORE or ./simferry-runs."""

    def __init__(self, place: str | Path | None = None) -> None:
        self.path = Path(place or os.environ.get("SIMFERRY_STORE") or "simferry-runs").expanduser().absolute()
        if "://" in str(place):
            raise StoreError(f"{place} is not a folder on this machine", "Stores are local folders in this version.")

    def create(self, name: str, record: Mapping[str, Any]) -> RunFolder:
        """A new run folder, with everything but its conditions and code."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            today = datetime.date.today().strftime("%Y%m%d")
            for _ in range(100):
                path = self.path / f"{name}-{today}-{secrets.token_hex(2)}"
                with contextlib.suppress(FileExistsError):
                    path.mkdir()
                    break
            try:
                for folder in ("plan", "blocks", "artifacts", "jobs"):
                    (path / folder).mkdir()
                write_whole(
                    path / "run.json", json.dumps({"id": path.name, "format": FORMAT, **record}, indent=1).encode()
                )
                _sync(path)
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)
                raise
        return RunFolder(path)

    def folders(self) -> list[RunFolder]:
        """Every run in the store, oldest first; what can't be read is left out."""
        found = []
        for path in self.path.glob("*/run.json"):
            with contextlib.suppress(StoreError):
                found.append(RunFolder(path.parent))
        return sorted(found, key=lambda run: (run.record.get("created", ""), run.id))

    def find(self, name: str | Path) -> RunFolder:
        """A run by its id, the folder it lies in, the beginning of its id, or `latest`."""
        text = str(name)
        if text == "latest":
            folders = self.folders()
            if not folders:
                raise RunNotFound(f"there is no run in {self.path} yet", "simferry run --help")
            return next((run for run in reversed(folders) if not run.record.get("pilot")), folders[-1])
        for path in (self.path / text, Path(text).expanduser().absolute()):
            if (path / "run.json").exists():
                return RunFolder(path)
        ids = [path.parent.name for path in self.path.glob("*/run.json")]
        begin = [run_id for run_id in ids if text and run_id.startswith(text)]
        if len(begin) == 1:
            return RunFolder(self.path / begin[0])
        hint = f"Did you mean {' or '.join(sorted(begin)[:3])}?" if begin else nearest(text, ids)
        raise RunNotFound(
            f"there is no run {text} in {self.path}", hint or "simferry list  shows the runs that are there."
        )
