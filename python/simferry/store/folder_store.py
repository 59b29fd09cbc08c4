"""A store: a folder in which each run has a folder of its own."""

import datetime
import json
import os
import re
import secrets
import shutil
import warnings
from pathlib import Path

from ..errors import AmbiguousRun, RunNotFound, SimferryError, StoreError, nearest
from ..hints import Command, Help
from ..system.files import write_whole, writing
from ..system.terminal import shown
from .records import RunRecord
from .run_folder import FORMAT, GROWS, RECORD, UNPUBLISHED, RunFolder, remove_folder

DEFAULT_STORE = "simferry-runs"
HOSTING = "hosting"  # a folder beside the runs of a store in S3: models of endpoints, files of transform jobs


def warn_of_skipped(run_id: str, error: SimferryError) -> None:
    name = run_id if run_id.isprintable() else repr(run_id)
    warnings.warn(shown(f"run {name} is left out: {error.message}"), stacklevel=3)


def is_whole_id(name: str) -> bool:
    """Whether a name is as long as an id that `create` makes."""
    return bool(re.search(r"^[^/\\?#]+-\d{8}-[0-9a-f]{8}$", name)) and name.isprintable()


class Store:
    """A folder of run folders."""

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder).expanduser().absolute()

    @property
    def address(self) -> str:
        """The store as users write it."""
        return str(self.path)

    @property
    def is_default(self) -> bool:
        """Whether commands use this store if none is named."""
        return self.path == Path(os.environ.get("SIMFERRY_STORE") or DEFAULT_STORE).expanduser().absolute()

    def check(self) -> None:
        """Raises an error if runs can't be kept here. Writes nothing."""

    def new_id(self, name: str) -> str:
        """An id for a new run. name: of its simulation."""
        return f"{name}-{datetime.date.today().strftime('%Y%m%d')}-{secrets.token_hex(4)}"

    def create(self, run_id: str, record: RunRecord) -> RunFolder:
        """Create a run folder, without its conditions and code. Until `publish` it is not a run. run_id: of `new_id`."""
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            path = self.path / run_id
            path.mkdir()
            try:
                for folder in ("plan", "blocks", "artifacts", "jobs"):
                    (path / folder).mkdir()
                content = {"id": path.name, "format": GROWS if record.search else FORMAT, **record.content()}
                write_whole(path / RECORD, json.dumps(content, indent=1).encode())
                made = self.folder(path.name)
                os.rename(path / RECORD, path / UNPUBLISHED)
                return made
            except BaseException:
                shutil.rmtree(path, ignore_errors=True)
                raise

    def folder(self, run_id: str) -> RunFolder:
        """The run with this id."""
        return RunFolder(self.path / run_id, self)

    def ids(self) -> list[str]:
        """The ids of all runs."""
        return [path.parent.name for path in self.path.glob("*/run.json")]

    def folders(self) -> list[RunFolder]:
        """All runs of the store, oldest first. Runs that can't be read are left out, with a warning."""
        found = []
        for run_id in self.ids():
            try:
                found.append(self.folder(run_id))
            except StoreError as error:
                warn_of_skipped(run_id, error)
        return sorted(found, key=lambda run: (run.record.created, run.id))

    def has_remains(self, run_id: str) -> bool:
        """Whether an interrupted deletion has left files of the run with this id."""
        path = self.path / run_id
        return is_whole_id(run_id) and path.is_dir() and not path.is_symlink() and not (path / "run.json").exists()

    def clear(self, run_id: str) -> None:
        """Remove what an interrupted deletion has left."""
        remove_folder(self.path / run_id)

    def find(self, name: str | Path) -> RunFolder:
        """A run by its id, its folder, its name, the beginning of its id, or `latest`. Raises RunNotFound."""
        text = str(name)
        if text == "latest":
            folders = self.folders()
            if not folders:
                raise RunNotFound(f"there is no run in {self.address} yet", Help("run"))
            return next((run for run in reversed(folders) if not run.record.pilot), folders[-1])
        ids = self.ids()
        folder = Path(text).expanduser().absolute()
        if text and text not in ids and (folder / "run.json").exists():
            return Store(folder.parent).folder(folder.name)
        named = [] if text in ids else [run for run in self.folders() if text and run.record.name == text]
        if len(named) == 1:
            return named[0]
        if named:
            listed = "\n".join(f"  {run.id}, of {run.record.created[:16].replace('T', ' ')}" for run in named)
            raise AmbiguousRun(
                f"{len(named)} runs in {self.address} have the name {text}:\n{shown(listed)}",
                "Use the id of one of them.",
            )
        begin = [run_id for run_id in ids if text and run_id.startswith(text)]
        if text in ids or len(begin) == 1:
            return self.folder(text if text in ids else begin[0])
        hint = f"Did you mean {' or '.join(sorted(begin)[:3])}?" if begin else nearest(text, ids)
        raise (AmbiguousRun if begin else RunNotFound)(
            f"there is no run {text} in {self.address}",
            hint or Command("list", store=self.address) + "  lists all runs.",
        )
