"""From what a user calls a store or a run to the object: a folder, an address, an id or its beginning."""

import os
from pathlib import Path

from ..errors import UsageError
from ..system.files import is_address
from .folder_store import DEFAULT_STORE, Store
from .run_folder import RunFolder


def store_at(place: str | Path | None = None, default: str = DEFAULT_STORE) -> Store:
    """The store at a folder or an address (s3://bucket/folder): $SIMFERRY_STORE or the default unless told otherwise."""
    place = place or os.environ.get("SIMFERRY_STORE") or default
    if not isinstance(place, (str, Path)):
        raise UsageError(f"store is {place!r}", 'A store is a folder, or an address such as "s3://bucket/folder".')
    if not is_address(place):
        return Store(place)
    from .mirror import RemoteStore

    return RemoteStore(str(place))


def find_run(name: str | Path, place: str | Path | None = None) -> RunFolder:
    """A run by its id, the beginning of it, `latest`, its folder or its address."""
    if is_address(name):
        above, _, run_id = str(name).rstrip("/").rpartition("/")
        return store_at(above).find(run_id)
    return store_at(place).find(name)
