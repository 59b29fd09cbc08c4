"""Files: atomic writes, the operating system's errors as messages, and names that stay below their folder."""

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


def is_address(source: object) -> bool:
    """Whether something is an address in an object store, and not a path."""
    return isinstance(source, str) and "://" in source


@contextlib.contextmanager
def writing(path: Path, hint: Words = "") -> Iterator[None]:
    """Turns the operating system's errors into a StoreError that names the path and what to do."""
    try:
        yield
    except OSError as error:
        where = error.filename2 or error.filename or path
        if error.errno in _REASONS:
            raise StoreError(
                f"can't write {where}: {_REASONS[error.errno]}",
                hint
                or Text(
                    "Correct this, or choose another folder: ", Option("store", "/another/folder"), " (SIMFERRY_STORE)."
                ),
            ) from None
        raise StoreError(f"can't write {where}: {error.strerror or error}", hint) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A draft beside a file, which it becomes in the end; it is removed where that fails."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield draft
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes, sync: bool = True) -> None:
    """Write a file atomically: it is there completely, or not at all. sync: also after a power failure."""
    with replacing(path) as draft, open(draft, "wb") as file:
        file.write(data)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Write a folder's entries to disk, so that renames survive a power failure."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def below(folder: Path, name: str) -> Path:
    """The path of a name below a folder. Others may choose names in a store: StoreError for one that leads out of the folder."""
    path = folder / name
    if not all(map(is_name, name.split("/"))) or not path.is_relative_to(folder):
        raise StoreError(f"{name!r} is not a valid name of a file in a run folder")
    return path


def is_name(part: str) -> bool:
    """Whether a text names a file or folder on any system, and not a parent folder."""
    return part not in ("", ".", "..") and not re.search(r"[\\\x00-\x1f\x7f]", part)


def cache_folder() -> Path:
    """simferry's folder in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "simferry"
