"""Which runs this user's local backend computed: what they left may be unpickled, or read by R's readRDS, which can run code.

The owner of a file proves little: who unpacks a stranger's run owns it. A run of the local backend is therefore signed when it is made,
with a key in the user's home that no run holds. The signature is of the folder itself: a copy of it is no longer signed.
"""

import contextlib
import grp
import hashlib
import hmac
import os
import pwd
import secrets
import stat
from pathlib import Path

from ..system import untrusted
from ..system.files import write_whole
from .run_folder import RunFolder

_SIGNATURE = "local-user"  # in the run folder


def sign(run: RunFolder) -> None:
    """Sign a run folder that was made just now. Without a key, as in a home that can't be written, it stays unsigned."""
    with contextlib.suppress(OSError):
        write_whole(run.path / _SIGNATURE, _signature(run, _key(make=True)).encode())


def forget(run: RunFolder) -> None:
    """Take the signature back: the run now holds what others computed."""
    (run.path / _SIGNATURE).unlink(missing_ok=True)


def is_own(run: RunFolder) -> bool:
    """Whether this user's local backend computed the run, in this folder."""
    if type(run) is not RunFolder or run.record.options.backend != "local":
        return False
    try:
        found = untrusted.read(run.path, _SIGNATURE, 200) or b""
        return hmac.compare_digest(found, _signature(run, _key(make=False)).encode())
    except OSError:
        return False


def only_ours(root: Path, name: str) -> bool:
    """Whether the file root/name, and each folder from root on, can be written by this user alone."""
    try:
        paths = [root, *(root.joinpath(*name.split("/")[: i + 1]) for i in range(name.count("/") + 1))]
        return all(map(_is_ours, paths))
    except OSError:
        return False


def _is_ours(path: Path) -> bool:
    found = os.lstat(path)
    others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid))
    return found.st_uid == os.geteuid() and not others and not stat.S_ISLNK(found.st_mode)


def _is_private(gid: int) -> bool:
    """Whether a group is the user's private one, which has the user's name and no other members."""
    with contextlib.suppress(KeyError):
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
        return group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}
    return False


def _signature(run: RunFolder, key: bytes) -> str:
    folder = os.stat(run.path)
    return hmac.new(key, f"{run.id} {folder.st_dev} {folder.st_ino}".encode(), hashlib.sha256).hexdigest()


def _key(make: bool) -> bytes:
    """The user's key. Raises OSError if there is none, or others could have written it."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "simferry"
    path = home / "key"
    if make and not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = home / f".{secrets.token_hex(8)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):  # another process was first
            os.link(draft, path)
        draft.unlink()
    if not _is_ours(path) or len(key := path.read_bytes()) != 32:
        raise PermissionError(f"{path} is not a key of this user alone")
    return key
