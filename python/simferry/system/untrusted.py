"""Reads files that others wrote and may still change: in folders of containers, and in shared stores.

The root folder is ours; others may write below it. Each folder is opened from its parent, no link is followed, and whatever is
neither a plain file nor a folder (links, devices, fifos, sockets) is passed over. A file is checked after it has been opened, so
that nobody can replace it between check and use.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

Sent = dict[tuple[Path, str], tuple[int, int]]  # by folder and name: time of change, and size
DEEPEST = 100  # nested folders: each stays open while its content is read
MOST_LISTED = 100  # names of files that are passed over
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# non-blocking: opening a fifo would wait for its writer
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_UNFIT = (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EMLINK, errno.ENAMETOOLONG, errno.ENXIO)


class Unfit(OSError):
    """A path is not a plain file, or not a folder."""


@contextlib.contextmanager
def opened(folder: Path, *parts: str, make: bool = False) -> Iterator[int]:
    """The descriptor of a folder below one of ours. make: create missing folders. Raises FileNotFoundError or Unfit."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            inner = _inside(number, part, _FOLDER, make)
            os.close(number)
            number = inner
        yield number
    finally:
        os.close(number)


def _checked(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Unfit(errno.EINVAL, "it is not a valid file name", name)
    return name


def _inside(folder: int, name: str, flags: int, make: bool = False) -> int:
    _checked(name)
    try:
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=folder)
        return os.open(name, flags, dir_fd=folder)
    except OSError as error:
        if error.errno in _UNFIT:
            raise Unfit(error.errno, "it is a link, or not a plain file or folder", name) from None
        raise


@dataclass(frozen=True)
class File:
    """A plain file, usable while its folder is being read. name: path below the tree, with slashes."""

    name: str
    mtime_ns: int
    size: int
    _folder: int
    on_disk: int = 0  # bytes; fewer than its size where it has holes

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it for reading. Raises FileNotFoundError if it is gone, Unfit if it is no plain file now."""
        number = _inside(self._folder, self.name.rpartition("/")[2], _FILE)
        if not stat.S_ISREG(os.fstat(number).st_mode):  # Python opens no folder
            os.close(number)
            raise Unfit(errno.EINVAL, "it is not a plain file", self.name)
        with os.fdopen(number, "rb") as stream:
            yield stream

    def copy(self, stream: BinaryIO) -> BinaryIO:
        """A copy of its content that nobody can change while it is sent, no longer than the file was when it was found."""
        check_room(tempfile.gettempdir(), self.size)
        content: BinaryIO = tempfile.SpooledTemporaryFile(max_size=1 << 26)  # type: ignore[assignment]  # noqa: SIM115
        _copy(stream, content, self.size)
        content.seek(0)
        return content

    def keep(self, path: Path) -> None:
        """Put it at a path of ours too: as a hard link if the file is our own, else as a copy."""
        with self.open() as stream:
            if os.fstat(stream.fileno()).st_uid == os.geteuid():
                with contextlib.suppress(OSError):  # another disk, or a file system without hard links
                    short = self.name.rpartition("/")[2]
                    os.link(short, path, src_dir_fd=self._folder, follow_symlinks=False)
                    return
            with open(path, "xb") as out:
                _copy(stream, out, self.size)


@dataclass
class Tree:
    """The folder root/parts[0]/parts[1]/..., of which root is ours. at_most: bytes of a file; larger ones are passed over.

    passed_over: why `files` left out a file, by its name.
    """

    root: Path
    parts: tuple[str, ...] = ()
    at_most: int | None = None
    passed_over: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.root.joinpath(*self.parts)

    def files(self) -> Iterator[File]:
        """All plain files, sorted; none if there is no such folder. Use each before the iterator moves on."""
        try:
            with opened(self.root, *self.parts) as folder:
                yield from self._walk(folder, "", 1)
        except FileNotFoundError:
            return
        except Unfit as error:
            self.pass_over("", error)

    def send(self, sent: Sent, take: Callable[[File, BinaryIO], None]) -> None:
        """Call `take` with each file that is not in `sent` or has changed, and its open stream; then record it in `sent`.

        take: raises Unfit for a file that can't be sent.
        """
        for file in self.files():
            key, state = (self.path, file.name), (file.mtime_ns, file.size)
            if sent.get(key) == state:
                continue
            with contextlib.ExitStack() as until_sent:
                try:
                    stream = until_sent.enter_context(file.open())
                except FileNotFoundError:  # it was moved meanwhile
                    continue
                except (Unfit, PermissionError) as error:
                    self.pass_over(file.name, error)
                    continue
                try:
                    take(file, stream)
                    sent[key] = state
                except OSError as error:
                    # a full disk is an error; a file with holes that does not fit is passed over
                    if not (isinstance(error, Unfit) or (error.errno == errno.ENOSPC and file.on_disk < file.size)):
                        raise
                    self.pass_over(file.name, error)

    def mark(self, sent: Sent) -> None:
        """Record every file as sent: it has come from there."""
        sent.update({(self.path, file.name): (file.mtime_ns, file.size) for file in self.files()})

    def pass_over(self, name: str, why: OSError) -> None:
        if len(self.passed_over) < MOST_LISTED:
            self.passed_over["/".join([*self.parts, name]).rstrip("/")] = why.strerror or str(why)

    def _walk(self, folder: int, above: str, depth: int) -> Iterator[File]:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries)
        for short in names:
            name = f"{above}{short}"
            try:
                found = os.stat(short, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    if self.at_most is not None and found.st_size > self.at_most:
                        raise Unfit(
                            errno.EFBIG, f"it has {found.st_size:,} bytes, more than the {self.at_most:,} allowed"
                        )
                    yield File(name, found.st_mtime_ns, found.st_size, folder, found.st_blocks * 512)
                elif stat.S_ISDIR(found.st_mode):
                    if depth == DEEPEST:
                        raise Unfit(errno.ELOOP, f"it is nested more than {DEEPEST} folders deep")
                    inner = _inside(folder, short, _FOLDER)
                    try:
                        yield from self._walk(inner, f"{name}/", depth + 1)
                    finally:
                        os.close(inner)
                else:
                    raise Unfit(errno.EINVAL, _KINDS.get(stat.S_IFMT(found.st_mode), "it is not a plain file"))
            except FileNotFoundError:  # it was moved meanwhile
                continue
            except (Unfit, PermissionError) as error:
                self.pass_over(name, error)


_KINDS = {
    stat.S_IFLNK: "it is a link",
    stat.S_IFIFO: "it is a fifo",
    stat.S_IFSOCK: "it is a socket",
    stat.S_IFBLK: "it is a device",
    stat.S_IFCHR: "it is a device",
}


def read(root: Path, name: str, at_most: int, absent: bool = False) -> bytes | None:
    """The first `at_most` bytes of the plain file root/name; None if there is none. absent: raise FileNotFoundError if nothing is
    there."""
    *parts, short = name.split("/")
    try:
        with opened(root, *parts) as folder, File(short, 0, 0, folder).open() as stream:
            return stream.read(min(at_most, os.fstat(stream.fileno()).st_size + 1))  # it allocates what is asked for
    except FileNotFoundError:
        if absent:
            raise
        return None
    except Unfit:
        return None


def read_many(root: Path, folder: str, names: Iterable[str], at_most: int) -> Iterator[tuple[str, bytes | None]]:
    """Each name, and the first `at_most` bytes of the plain file root/folder/name; None if there is no plain file.

    Raises FileNotFoundError for a name that does not exist.
    """
    with opened(root, folder) as number:
        for name in names:
            try:
                file = _inside(number, name, _FILE)
                try:
                    found = os.fstat(file)
                    yield name, _content(file, min(found.st_size, at_most)) if stat.S_ISREG(found.st_mode) else None
                finally:
                    os.close(file)
            except Unfit:
                yield name, None


def _content(file: int, size: int) -> bytes:
    content = os.read(file, size)
    while len(content) < size and (more := os.read(file, size - len(content))):
        content += more
    return content


def is_plain(path: Path, at_most: int) -> bool:
    """Whether a path is a plain file of at most so many bytes."""
    with contextlib.suppress(OSError):
        found = os.lstat(path)
        return stat.S_ISREG(found.st_mode) and found.st_size <= at_most
    return False


def is_open(folder: Path) -> bool:
    """Whether we may read all plain files and folders of a folder. Another user, perhaps root, made them."""
    for path, folders, files in os.walk(folder):
        below = [(os.path.join(path, name), os.R_OK | os.X_OK) for name in folders]
        below += [(os.path.join(path, name), os.R_OK) for name in files]
        if not all(os.path.islink(name) or os.access(name, mode, effective_ids=True) for name, mode in below):
            return False
    return True


def write(root: Path, name: str, stream: BinaryIO, size: int) -> None:
    """Write the file root/name atomically. size: the number of bytes to read at most."""
    *parts, short = name.split("/")
    with opened(root, *parts, make=True) as folder:
        check_room(folder, size, str(root / name))
        draft = f".{secrets.token_hex(8)}"
        number = os.open(
            draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666, dir_fd=folder
        )
        try:
            with os.fdopen(number, "wb") as out:
                _copy(stream, out, size)
                out.flush()
                os.fsync(number)
            try:
                os.replace(draft, _checked(short), src_dir_fd=folder, dst_dir_fd=folder)
            except IsADirectoryError as error:
                raise Unfit(errno.EISDIR, "a folder has its name", short) from error
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise


def _copy(stream: BinaryIO, out: BinaryIO, size: int) -> None:
    """Copy at most `size` bytes: the file's writer may never stop adding to it."""
    while size and (part := stream.read(min(size, 1 << 20))):
        out.write(part)
        size -= len(part)


def check_room(folder: str | int, size: int, name: str = "") -> None:
    """Raise OSError if so many bytes do not fit on a folder's disk. A file with holes takes room only when it is copied."""
    room = os.statvfs(folder)
    if size > room.f_bavail * room.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


def touch(root: Path, name: str) -> None:
    """Create the empty file root/name, unless something has that name."""
    *parts, short = name.split("/")
    with opened(root, *parts) as folder, contextlib.suppress(FileExistsError):
        os.close(os.open(_checked(short), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder))


@contextlib.contextmanager
def scrap_folder(prefix: str) -> Iterator[Path]:
    """A temporary folder to which containers may write. Files that can't be removed stay: tempfile's own removal would change the
    permissions of the targets of links."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
