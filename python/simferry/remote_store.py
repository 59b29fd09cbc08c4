"""Stores in S3 and the like: each run folder has a mirror on this machine.

All that a run folder holds, but for jobs/, is written once and never changes, so what the mirror has is what the store has.
What is needed is brought when it is needed; what is computed on this machine is written to the mirror, and pushed. The
mirror is a cache (~/.cache/simferry/stores): it can be removed when nothing is computed here.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import RunNotFound, StoreError
from .objects import ObjectNotFound, Objects
from .store import BlockName, RunFolder, Store, writing

PLAN_RECORD = "plan.json"


def cache_folder() -> Path:
    """simferry's folder among the user's caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "simferry"


def mirror_of(address: str) -> Path:
    """Where the mirrors of a store's runs lie."""
    return cache_folder() / "stores" / hashlib.sha256(address.encode()).hexdigest()[:16]


class RemoteStore(Store):
    """Run folders below an address such as s3://bucket/folder."""

    def __init__(self, address: str) -> None:
        self.objects = Objects(address)
        super().__init__(mirror_of(self.objects.address))

    @property
    def address(self) -> str:
        return self.objects.address

    def folder(self, run_id: str) -> RunFolder:
        return RemoteRunFolder(self.objects, run_id)

    def ids(self) -> list[str]:
        return self.objects.folders()


class RemoteRunFolder(RunFolder):
    """One run's folder in an object store; `path` is its mirror."""

    seconds_between_looks = 2.0

    def __init__(self, store: Objects, run_id: str) -> None:
        self.objects = store.below(run_id)
        path = mirror_of(store.address) / run_id
        if not (path / "run.json").exists():
            try:
                record = self.objects.get("run.json")
            except ObjectNotFound:
                raise RunNotFound(f"{self.objects.address} is not a run folder: it has no run.json") from None
            write_files(path, [("run.json", record)])
        for folder in ("plan", "blocks", "artifacts", "jobs"):
            (path / folder).mkdir(exist_ok=True)
        super().__init__(path)
        self._plans: list[str] | None = None
        self._blocks: set[str] | None = None
        self._artifacts: set[str] | None = None

    @property
    def address(self) -> str:
        return self.objects.address

    @property
    def code(self) -> Path:
        self._bring("code/")
        return super().code

    # ---- what is there ----

    def look(self) -> None:
        self._plans = sorted(
            number
            for number, _, name in (
                path.removeprefix("plan/").partition("/") for path, _ in self.objects.listing("plan/")
            )
            if name == PLAN_RECORD
        )
        found = (BlockName.parse(path.removeprefix("blocks/")) for path, _ in self.objects.listing("blocks/"))
        self._blocks = {block.name for block in found if block}

    def block_names(self) -> list[BlockName]:
        if self._blocks is None:
            self.look()
        names = (self._blocks or set()) | {block.name for block in super().block_names()}
        return [block for block in map(BlockName.parse, sorted(names)) if block]

    def read_blocks(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        names = list(names)
        missing = iter(self.objects.get_many(f"blocks/{name}" for name in names if not self._has(f"blocks/{name}")))
        for name in names:
            if self._has(f"blocks/{name}"):
                yield name, (self.blocks / name).read_bytes()
            else:
                _, content = next(missing)
                write_files(self.path, [(f"blocks/{name}", content)])
                yield name, content

    def set_aside(self, block: str) -> str:
        if self._has(f"blocks/{block}"):
            super().set_aside(block)
        if self._blocks and block in self._blocks:
            self.objects.put(f"damaged/{block}", self.objects.get(f"blocks/{block}"))
            self.objects.delete([f"blocks/{block}"])
            self._blocks.remove(block)
        return f"{self.address}/damaged/{block}"

    def conditions(self) -> Any:
        self._bring("conditions.csv")
        return super().conditions()

    def bring_artifacts(self, below: str = "") -> Path:
        self._bring(f"artifacts/{below}/" if below else "artifacts/", whole=False)
        return super().bring_artifacts(below)

    def bring_input(self, name: str) -> Path:
        self._bring(f"input/{name}/")
        return super().bring_input(name)

    # ---- plans ----

    def plans(self) -> list[dict[str, Any]]:
        if self._plans is None:
            self.look()
        names = [f"plan/{number}/{PLAN_RECORD}" for number in self._plans or []]
        missing = [name for name in names if not self._has(name)]
        write_files(self.path, self.objects.get_many(missing))
        return [json.loads((self.path / name).read_bytes()) for name in names]

    def _write_plan(self, record: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """First the jobs' files, then the record that names their place, put if absent: a plan is there whole or not at all."""
        place = f"plan/{record['plan']}-{secrets.token_hex(4)}"
        names = [f"{place}/{name}/job" for name in files]
        self.objects.put_many(list(zip(names, files.values(), strict=True)))
        record = {**record, "files": place}
        written = json.dumps(record, indent=1).encode()
        if not self.objects.create(f"plan/{record['plan']}/{PLAN_RECORD}", written):
            self.objects.delete(names)
            raise self.busy()
        mirrored = [(f"plan/{record['plan']}/{name}/job", content) for name, content in files.items()]
        write_files(self.path, [*mirrored, (f"plan/{record['plan']}/{PLAN_RECORD}", written)])
        self._plans = [*(self._plans or []), record["plan"]]

    def job_folder(self, job: str) -> Path:
        folder = super().job_folder(job)
        if not (folder / "job").exists():
            write_files(folder, [("job", self.objects.get(f"{self._place_of(job)}/job"))])
        return folder

    def job_address(self, job: str) -> str:
        return f"{self.address}/{self._place_of(job)}/"

    def _place_of(self, job: str) -> str:
        plan, _, number = job.partition("-")
        return f"{next(p['files'] for p in self.plans() if p['plan'] == plan)}/{number}"

    # ---- from here to there ----

    def publish(self) -> None:
        """Everything, then run.json, which makes it a run."""
        files = sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file())
        self._put(name for name in files if name != "run.json" and not name.startswith("jobs/"))
        if not self.objects.create("run.json", (self.path / "run.json").read_bytes()):
            raise StoreError(f"there is a run {self.id} in the store already", "Run it again: the id is drawn anew.")

    def push(self) -> None:
        """Artifacts before the blocks that say that they are there."""
        blocks = [block.name for block in super().block_names()]
        if self._blocks is None:
            self.look()
        here = {p.relative_to(self.path).as_posix() for p in (self.path / "artifacts").rglob("*") if p.is_file()}
        if here and self._artifacts is None:
            self._artifacts = {name for name, _ in self.objects.listing("artifacts/")}
        self._put(sorted(here - (self._artifacts or set())))
        self._artifacts = (self._artifacts or set()) | here
        assert self._blocks is not None
        self._put(f"blocks/{name}" for name in blocks if name not in self._blocks)
        self._blocks |= set(blocks)

    def remove(self) -> None:
        """run.json first: what is left of a run that was not removed whole is none."""
        with contextlib.suppress(StoreError):
            self.objects.delete(["run.json"])
            self.objects.delete([name for name, _ in self.objects.listing()])
        super().remove()

    def _put(self, names: Iterable[str]) -> None:
        self.objects.put_many([(name, self.path / name) for name in names])

    # ---- from there to here ----

    def _has(self, name: str) -> bool:
        return (self.path / name).exists()

    def _bring(self, name: str, whole: bool = True) -> None:
        """Bring a file, or all below a folder (`code/`). whole: a folder that is here at all is here whole."""
        if whole and self._has(name):
            return
        if not name.endswith("/"):
            write_files(self.path, [(name, self.objects.get(name))])
            return
        names = [found for found, _ in self.objects.listing(name) if not self._has(found)]
        if not whole:
            write_files(self.path, self.objects.get_many(names))
            return
        draft = self.path / f".draft-{secrets.token_hex(4)}"
        try:
            write_files(draft, self.objects.get_many(names))
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(draft / name, self.path / name)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def write_files(folder: Path, contents: Iterable[tuple[str, bytes]]) -> None:
    """Write files of a mirror, each whole or not at all. Without fsync: they are in the store."""
    with writing(folder):
        for name, content in contents:
            path = folder / name
            if ".." in path.parts or not path.is_relative_to(folder):  # whoever can write to a store names its objects
                raise StoreError(f"{name} is no name for a file of a run folder")
            path.parent.mkdir(parents=True, exist_ok=True)
            open_file = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            open_file.write_bytes(content)
            os.replace(open_file, path)
