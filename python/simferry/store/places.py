"""Finds stores and runs by the names that users give: a folder, an address, an id or its beginning."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..system.files import is_address
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
    """A run by its id, the beginning of its id, `latest`, its folder or its address. store: as for `store_at`."""
    if is_address(name):
        above, _, run_id = str(name).rstrip("/").rpartition("/")
        return store_at(above).find(run_id)
    return store_at(store).find(name)


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
