"""The project around a script: its folder, and which of its files go along with the script."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

from ..errors import SimulationError
from ..system.git import files_known
from ..words import counted, size

MARKS = (".here", ".git", "DESCRIPTION", "pyproject.toml", "renv.lock", "*.Rproj")
LARGE = 100_000_000  # bytes that go along without a question
_NEVER = {".git", ".venv", "venv", "simferry-runs", "__pycache__", ".Rproj.user", ".ipynb_checkpoints"}
_CACHES = {"node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}  # where no git tells what counts
# variables and keys that may be credentials; .Rprofile is that of an interactive R, and renv's would install packages
_SECRET_FOLDERS = {".aws", ".ssh", ".gnupg", ".azure", ".gcloud", ".docker", ".kube"}
_SECRETS = (
    ".env*", "*.env", ".renviron*", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", ".git-credentials", ".dockercfg",
    ".httr-oauth", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.kdbx", "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    "credentials", "credentials.*", "*credentials*.json", "*service*account*.json", "client_secret*.json", "secrets.*",
    ".secrets*", "kaggle.json", "token.json", ".boto", ".s3cfg", "rclone.conf",
)  # fmt: skip


@dataclass
class Project:
    """What goes along of a folder. files: by names relative to it; secret: names that are left out because they may hold credentials;
    outside: links out of the folder, which are left out too; size: bytes."""

    folder: Path
    files: dict[str, Path] = field(default_factory=dict)
    secret: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    size: int = 0

    @property
    def largest(self) -> str:
        return max(self.files, key=lambda name: self.files[name].stat().st_size)

    def shown(self) -> str:
        """In words, what goes along and what is left out."""
        out = f"{counted(len(self.files), 'file')} of {self.folder}, {size(self.size)}"
        out += f"; left out as they may hold credentials: {_few(self.secret)}" if self.secret else ""
        return out + (f"; left out as they lead elsewhere: {_few(self.outside)}" if self.outside else "")


def _few(names: list[str]) -> str:
    return f"{', '.join(names[:3])} and {len(names) - 3} more" if len(names) > 4 else ", ".join(names)


def project_folder(folder: Path) -> Path | None:
    """The nearest folder from `folder` upwards that has one of the MARKS. The home folder is none, unless it has .here."""
    for around in (folder, *folder.parents):
        home = around in (Path.home(), Path(around.anchor))
        if any(next(around.glob(mark), None) for mark in (MARKS[:1] if home else MARKS)):
            return around
    return None


def project_of(folder: Path) -> Path:
    """The folder of the project. Raises SimulationError if there is none."""
    found = project_folder(folder)
    if found is None:
        raise SimulationError(
            f"project: neither {folder} nor a folder above it has one of {', '.join(MARKS)}",
            "An empty file .here in the project's folder marks it.",
        )
    return found


def files_of(folder: Path) -> Project:
    """What goes along of a folder: the files that git does not ignore, or all of them where there is no git, but never environments,
    runs or credentials. A link is followed where it stays in the folder.

    Raises SimulationError where git can't tell which files it ignores.
    """
    out, top, links = Project(folder), folder.resolve(), dict[str, Path]()
    for name in sorted({*_listed(folder), *_marks(folder)}):
        path = folder / name
        parts = name.split("/")
        if _NEVER & set(parts) or ("renv", "library") in pairwise(parts) or parts == [".Rprofile"]:
            continue
        if any(part.lower() in _SECRET_FOLDERS for part in parts[:-1]) or is_secret(parts[-1]):
            out.secret.append(name)
        elif path.is_symlink() and not path.resolve().is_relative_to(top):
            out.outside.append(name)
        elif path.is_symlink() and path.is_dir():
            links[name] = path.resolve().relative_to(top)
        elif path.is_symlink() and is_secret(path.resolve().name):
            out.secret.append(name)
        elif path.is_file():
            out.files[name] = path
    for name, target in links.items():
        below = f"{target.as_posix()}/" if target.parts else ""
        there = {
            one: path for one, path in out.files.items() if one.startswith(below) and not f"{name}/".startswith(below)
        }
        out.files |= {f"{name}/{one[len(below) :]}": path for one, path in there.items()}
    out.size = sum(path.stat().st_size for path in out.files.values())
    return out


def is_secret(name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in _SECRETS)


def _marks(folder: Path) -> list[str]:
    """By these, scripts find the project's folder, also where git ignores them."""
    return [path.name for mark in MARKS for path in folder.glob(mark) if path.is_file()]


def _listed(folder: Path) -> Iterator[str]:
    """The names of the files in a folder, and of links to folders, without those that git ignores."""
    names = files_known(folder)
    if names is None:
        yield from _walked(folder)
        return
    for name in names:
        path = folder / name
        if path.is_dir() and not path.is_symlink():  # a repository in this one
            yield from (f"{name.rstrip('/')}/{one}" for one in _listed(path))
        else:
            yield name


def _walked(folder: Path) -> Iterator[str]:
    for around, below, names in os.walk(folder):
        at = Path(around).relative_to(folder)
        links = [name for name in below if Path(around, name).is_symlink()]
        below[:] = [n for n in below if n not in _NEVER | _CACHES and not Path(around, n, "pyvenv.cfg").exists()]
        yield from ((at / name).as_posix() for name in [*names, *links])
