"""Files: written whole or not at all, the errors of the operating system in words, and names that stay below their folder."""

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from ..errors import StoreError
from ..hints import Option, Text, Words

_REASONS = {
    errno.ENOSPC: "there is no room left on its disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "its file system is read-only",
}


def is_address(place: object) -> bool:
    """Whether a place is an object store's address, and not a folder."""
    return isinstance(place, str) and "://" in place


@contextlib.contextmanager
def writing(place: Path, hint: Words = "") -> Iterator[None]:
    """Turns the operating system's errors into one that names the place and what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename or place
        if error.errno in _REASONS:
            raise StoreError(
                f"can't write {where}: {_REASONS[error.errno]}",
                hint
                or Text(
                    "Mend that, or choose another place: ", Option("store", "/another/folder"), " (SIMFERRY_STORE)."
                ),
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


def sync(folder: Path) -> None:
    """What was renamed in a folder stays renamed when the power goes."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def below(folder: Path, name: str) -> Path:
    """The file of a name below a folder. Whoever can write to a store names its objects."""
    path = folder / name
    if not all(map(is_name, name.split("/"))) or not path.is_relative_to(folder):
        raise StoreError(f"{name!r} is no name for a file of a run folder")
    return path


def is_name(part: str) -> bool:
    """Whether it names a file or folder, and nothing above it, on any system."""
    return part not in ("", ".", "..") and not re.search(r"[\\\x00-\x1f\x7f]", part)


def cache_folder() -> Path:
    """simferry's folder among the user's caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "simferry"
