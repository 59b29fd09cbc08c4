"""Finds stores and runs by the names that users give: a folder, an address, an id or its beginning."""

import contextlib
import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import AmbiguousRun, Note, RunNotFound, UsageError
from ..hints import Command, Text
from ..system.files import cache_folder, is_address, write_whole
from .folder_store import DEFAULT_STORE, Store
from .run_folder import RunFolder


def store_at(store: str | Path | None = None, default: str | Callable[[], str] = DEFAULT_STORE) -> Store:
    """The store in a folder or at an address (s3://bucket/folder). None stands for $SIMFERRY_STORE, or else the default.

    default: an address, or what asks for it, which is called only if it is needed.
    """
    store = store or os.environ.get("SIMFERRY_STORE") or (default() if callable(default) else default)
    if not isinstance(store, (str, Path)):
        raise UsageError(f"store is {store!r}", 'A store is a folder, or an address such as "s3://bucket/folder".')
    if not is_address(store):
        return Store(store)
    from .mirror import RemoteStore

    return RemoteStore(str(store))


def find_run(name: str | Path, store: str | Path | None = None) -> RunFolder:
    """A run by its id, the beginning of its id, `latest`, its folder or its address. store: as for `store_at`.

    Where no store is named, runs are also found in the store where the last run of this working directory went by itself.
    """
    if is_address(name):
        above, _, run_id = str(name).rstrip("/").rpartition("/")
        return store_at(above).find(run_id)
    home, other = store_at(store), _last_used(store)
    if other is None:
        return home.find(name)
    address, created = other
    try:
        here = home.find(name)
    except AmbiguousRun:
        raise
    except RunNotFound:
        if there := _find_there(name, address):
            return there
        raise
    if name != "latest" or (here.record.created > created and not here.record.pilot):
        return here
    both = filter(None, (here, _find_there(name, address)))
    return max(both, key=lambda run: (not run.record.pilot, run.record.created))


def _find_there(name: str | Path, address: str) -> RunFolder | None:
    """The run in a store that was not named; None if it does not have it, or is gone with its stack."""
    from ..aws.session import AwsError

    try:
        return store_at(address).find(name)
    except RunNotFound:
        return None
    except AwsError as error:
        if error.service_code != "NoSuchBucket":
            raise
        return None


def remember(run: RunFolder, store: str | Path | None) -> None:
    """Note where a new run is, if its backend has chosen the store. store: that the user has named, if any."""
    if is_address(run.home.address) and not store and not os.environ.get("SIMFERRY_STORE"):
        with contextlib.suppress(OSError):
            _note_of_here().parent.mkdir(parents=True, exist_ok=True)
            write_whole(_note_of_here(), f"{run.home.address}\n{run.record.created}\n".encode())


def store_to_list(store: str | Path | None) -> Store:
    """The store whose runs are listed. Where none is named, a warning names the other store with runs of this working directory."""
    if other := _last_used(store):
        note = Text(f"runs of this folder are also in {other[0]}: ", Command("list", store=other[0]))
        warnings.warn(Note(note), stacklevel=3)
    return store_at(store)


def _last_used(store: str | Path | None) -> tuple[str, str] | None:
    """The address that was noted last in this working directory, and when its run was created. None if a store is named."""
    if store or os.environ.get("SIMFERRY_STORE"):
        return None
    try:
        address, created = _note_of_here().read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return address, created


def _note_of_here() -> Path:
    here = hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:20]
    return cache_folder() / "used-stores" / here


@dataclass(frozen=True)
class Remains:
    """What an interrupted deletion has left of a run: files, but no run.json."""

    home: Store
    run_id: str

    @property
    def address(self) -> str:
        return f"{self.home.address}/{self.run_id}"

    def delete(self) -> None:
        self.home.clear(self.run_id)


def remains_of(name: str, store: str | Path | None = None) -> Remains | None:
    """What an interrupted deletion has left of the run with this whole id, folder or address; None if nothing."""
    above, _, run_id = name.rstrip("/").rpartition("/")
    home = store_at(above or store)
    return Remains(home, run_id) if home.has_remains(run_id) else None
