"""Unpacks model.tar.gz for a container. The archive is not trusted: no links, no path that leads out, and room on the disk."""

import gzip
import posixpath
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import IO

from ..errors import UsageError
from ..hints import Shell
from ..system import untrusted

_PACK = ("tar", "czf", "model.tar.gz", "-C")


class ModelArchiveError(UsageError):
    """A model's archive is none, or holds what can't be unpacked."""

    code = "model"


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a model's archive, a tar.gz, into an empty folder of ours, where a container's user may write.

    Raises ModelArchiveError for an archive that is none, or has anything but plain files and folders, and if the disk has no room for it.
    """
    if archive.is_dir():
        raise ModelArchiveError(
            f"{archive} is a folder; a model is an archive", Shell(*_PACK, str(archive), ".") + "  makes one."
        )
    folder.chmod(0o777)
    try:
        with open(archive, "rb") as raw, gzip.open(raw) as plain, tarfile.open(fileobj=plain, mode="r|") as members:
            for member in members:
                _unpack_one(members, member, folder, archive)
    except FileNotFoundError as error:
        if error.filename != str(archive):
            raise
        raise ModelArchiveError(f"there is no model {archive}") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ModelArchiveError(
            f"{archive} is no tar.gz that can be unpacked: {error}",
            Shell(*_PACK, "FOLDER", ".") + "  makes one.",
        ) from None
    except OSError as error:
        raise ModelArchiveError(f"{archive} can't be unpacked: {error.strerror or error}") from None


def _unpack_one(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    name = posixpath.normpath(member.name)
    if name == ".":
        return
    if name.startswith(("/", "../")) or name == ".." or "\0" in name:
        raise ModelArchiveError(f"{archive} holds {member.name!r}, a path that leads out of the model's folder")
    target = folder / name
    if member.isdir():
        _make_folder(folder, target)
        return
    if not member.isreg():
        kind = "a link" if member.issym() or member.islnk() else "no plain file"
        raise ModelArchiveError(
            f"{archive} holds {member.name!r}, which is {kind}; a model has plain files and folders",
            Shell("tar", "czhf", "model.tar.gz", "--hard-dereference", "-C", "FOLDER", ".")
            + "  packs files in the place of links.",
        )
    _make_folder(folder, target.parent)
    untrusted.check_room(str(folder), member.size, str(archive))
    stream: IO[bytes] | None = members.extractfile(member)
    with open(target, "wb") as out:
        if stream:
            shutil.copyfileobj(stream, out, 1 << 20)
    target.chmod(0o777 if member.mode & 0o100 else 0o666)


def _make_folder(folder: Path, path: Path) -> None:
    """A folder below `folder`, and those above it."""
    if path != folder and not path.is_dir():
        _make_folder(folder, path.parent)
        path.mkdir()
        path.chmod(0o777)
