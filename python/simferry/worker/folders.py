"""Working directories: each process has its own, with copies of the included files, made once for a process.

Files that a replication wrote are found by names, sizes and times, and moved away; changed files are copied again. Large files are
shared by all processes, through links. If a shared file has changed, the process drops the results that it has not saved, and the
job runs again with copies of all files. docs/decisions/working-directories.md has the reasons.
"""

import contextlib
import filecmp
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# files that simferry puts beside the script
WORKER_FILES = {"worker.R", "worker.py", "simferry_worker", "profile.R", "cluster.R", "private_mount.sh"}
COPIED_BYTES, COPIED_FILES = (
    16 * 2**20,
    1000,
)  # of all included files together, for each process; larger files are shared
LONG_AGO = 1_000_000_000 * 10**9  # the time set on all folders: a new entry in a folder changes it
CLOCK_STEP = 0.02  # seconds; times of files are coarser than the clock

Stamp = tuple[int, ...]


def stamp(path: str | Path) -> Stamp:
    """Values that change with a file. Times alone would miss two changes within one step of the clock."""
    s = os.stat(path, follow_symlinks=False)
    return (s.st_ino, s.st_mode, s.st_size, s.st_mtime_ns, s.st_ctime_ns)


def is_cache(name: str) -> bool:
    """Whether it is a cache of compiled code (Python, numba, Rcpp)."""
    return name == "__pycache__" or name.startswith("sourceCpp-")


def empty_folders(code: Path) -> list[str]:
    """The included folders that are empty. They are made beside the script if that is possible."""
    listed = code / "simferry_worker" / "folders"
    names = listed.read_text().splitlines() if listed.exists() else []
    for name in names:
        with contextlib.suppress(OSError):
            (code / name).mkdir(parents=True, exist_ok=True)
    return names


def held_open(folder: Path) -> list[str]:
    """Files of a folder that this process holds open for writing, as far as the system shows (such as a database)."""
    found = set()
    with contextlib.suppress(OSError):
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError, ValueError):
                path = Path(os.readlink(f"/proc/self/fd/{number}")).relative_to(folder.resolve())
                flags = Path(f"/proc/self/fdinfo/{number}").read_text().partition("flags:")[2].split()[0]
                if int(flags, 8) & os.O_ACCMODE:
                    found.add(str(path))
    return sorted(found)


class Included:
    """The included folders and files, by name. Small files are copied, large ones are shared.

    program: the command that is run, if it is one of them: its copies are executable, which a service forgets that moves files.
    """

    def __init__(self, code: Path, hidden: str = "", copies: bool = False, beside: str = "", program: str = "") -> None:
        self.program = program
        self.code, self.beside = str(code.resolve()), beside  # beside: the script's folder
        empty = empty_folders(code)
        self.folders: list[str] = []
        sizes: list[tuple[int, str]] = []
        self.files: dict[str, Path] = {}
        for folder, below, names in os.walk(code):
            relative = Path(folder).relative_to(code)
            skip = {*WORKER_FILES, hidden} if folder == str(code) else set()
            below[:] = sorted(name for name in below if name not in skip and not is_cache(name))
            self.folders += [str(relative / name) for name in below]
            for name in sorted(set(names) - skip):
                self.files[str(relative / name)] = code / relative / name
                sizes.append((os.path.getsize(code / relative / name), str(relative / name)))
        self.folders += [name for name in empty if name not in self.folders]
        total, self.shared = 0, dict[Path, Stamp]()
        for n, (size, name) in enumerate(sorted(sizes), start=1):
            total += size
            if not copies and name != program and (total > COPIED_BYTES or n > COPIED_FILES):
                self.shared[self.files[name]] = stamp(self.files[name])

    def shared_changed(self) -> str:
        """The name of a shared file that has changed; empty if none has."""
        for path, was in self.shared.items():
            with contextlib.suppress(OSError):
                if stamp(path) == was:
                    continue
            return next(name for name, source in self.files.items() if source == path)
        return ""


class Folder:
    """A working directory. path: emptied if it exists. spare: holds copies of files that the script wrote while it was loaded."""

    def __init__(self, path: Path, spare: Path, included: Included) -> None:
        self.path, self.spare, self.shared = path, spare, included.shared
        self.folders, self.files = list(included.folders), dict(included.files)
        self.stamps: dict[str, Stamp] = {}
        self.beside, self.program = included.beside, included.program
        self.home = path.resolve() / self.beside  # the current directory at the start of each replication
        path.mkdir(parents=True, exist_ok=True)
        for entry in list(path.iterdir()):
            remove(entry)
        self.make()

    def make(self) -> None:
        """Create the folders and files that are missing."""
        for name in ["", *self.folders]:
            path = self.path / name
            if not path.is_dir():
                path.mkdir(parents=True)
        for name, source in self.files.items():
            path = self.path / name
            if not os.path.lexists(path):
                if source in self.shared:
                    path.symlink_to(source)
                else:
                    shutil.copy2(source, path, follow_symlinks=False)
                if name == self.program and not os.access(path, os.X_OK):
                    os.chmod(path, 0o755)
                self.stamps[name] = stamp(path)
        for name in ["", *self.folders]:
            if os.stat(self.path / name).st_mtime_ns != LONG_AGO:
                with contextlib.suppress(PermissionError):  # a folder of another user, such as a container's output
                    os.utime(self.path / name, ns=(LONG_AGO, LONG_AGO))

    def changed(self) -> bool:
        """Whether anything was written since `make`. Takes a microsecond for each folder and file."""
        try:
            if os.getcwd() != str(self.home):
                return True
            for name in ["", *self.folders]:
                if os.stat(self.path / name).st_mtime_ns != LONG_AGO:
                    return True
            return any(stamp(self.path / name) != was for name, was in self.stamps.items())
        except OSError:
            return True

    def written(self, below: str = "") -> Iterator[str]:
        """The names of new and changed files and folders. For a new folder, only its own name."""
        for entry in sorted(os.scandir(self.path / below), key=lambda entry: entry.name):
            name = os.path.join(below, entry.name)
            if is_cache(entry.name):
                continue
            if name in self.folders and entry.is_dir(follow_symlinks=False):
                make_writable(Path(entry.path))
                yield from self.written(name)
            elif self.stamps.get(name) != stamp(entry.path):
                yield name

    def tidy(self, keep: Path | None = None) -> list[str]:
        """Restore the initial state. keep: a folder to which new and changed files are moved. Returns their names."""
        found = []
        make_writable(self.path)
        written = list(self.written())
        for name in written:
            path = self.path / name
            if self._is_unchanged(name):
                remove(path)
                continue
            kept_as = name_of(name, self.beside, written)
            found.append(kept_as)
            if keep is None:
                remove(path)
            else:
                target = keep / kept_as
                target.parent.mkdir(parents=True, exist_ok=True)
                if is_folder(path):
                    make_writable(path)
                if os.path.lexists(target):
                    remove(target)
                shutil.move(path, target)
        self.make()
        with contextlib.suppress(OSError):
            os.chdir(self.home)
        return found

    def _is_unchanged(self, name: str) -> bool:
        path, source = self.path / name, self.files.get(name)
        if source is None or path.is_symlink() or not path.is_file():
            return False
        same = stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(source.stat().st_mode)
        return same and filecmp.cmp(source, path, shallow=False)

    def adopt(self) -> None:
        """Take the present content and working directory as the initial state, after the script was loaded."""
        self.home = Path.cwd()
        fresh = [name for name in self.written() if (self.path / name).is_file() or (self.path / name).is_dir()]
        for name in fresh:
            path, copy = self.path / name, self.spare / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if is_folder(path):
                shutil.copytree(path, copy, symlinks=True)
                self.folders += [name, *(str(p.relative_to(self.spare)) for p in copy.rglob("*") if is_folder(p))]
                within = [p for p in copy.rglob("*") if not is_folder(p)]
            else:
                shutil.copy2(path, copy, follow_symlinks=False)
                within = [copy]
            self.files |= {str(p.relative_to(self.spare)): p for p in within}
        self.folders = [name for name in self.folders if (self.path / name).is_dir()]
        self.files = {name: source for name, source in self.files.items() if os.path.lexists(self.path / name)}
        self.stamps = {name: stamp(self.path / name) for name in self.files}
        if fresh:
            time.sleep(CLOCK_STEP)
        self.make()


def name_of(name: str, beside: str, written: list[str]) -> str:
    """The name of an artifact: relative to the script's folder where it was written there, else relative to the project's folder.

    Where both lead to one name, the file in the script's folder has its name relative to the project's, too.
    """
    top = beside.partition("/")[0]
    if not top:
        return name
    whole = name.removeprefix(f"{top}/")
    if not name.startswith(f"{beside}/"):
        return whole
    short = name[len(beside) + 1 :]
    others = (f"{one.removeprefix(f'{top}/')}/" for one in written if not one.startswith(f"{beside}/"))
    return whole if any(f"{short}/".startswith(one) or one.startswith(f"{short}/") for one in others) else short


def enter(path: Path, spare: Path, included: Included) -> Folder:
    """Make and enter the working directory of a process that calls a function. Modules are then imported from there."""
    folder = Folder(path, spare, included)
    code, ours = included.code, str(folder.path.resolve())
    sys.path[:] = [ours + entry[len(code) :] if f"{entry}/".startswith(f"{code}/") else entry for entry in sys.path]
    os.chdir(folder.home)
    return folder


def is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def make_writable(folder: Path) -> None:
    mode = folder.stat().st_mode
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(stat.S_IMODE(mode) | stat.S_IRWXU)


def remove(path: Path) -> None:
    if not is_folder(path):
        path.unlink()
        return
    for folder, below, _ in os.walk(path):
        for name in ["", *below]:
            if is_folder(Path(folder, name)):
                make_writable(Path(folder, name))
    shutil.rmtree(path)
