"""A run's inputs: files of the user's that a simulation reads in $SIMFERRY_INPUT/NAME, which in containers is
/opt/ml/processing/input/NAME. They lie in a folder here, and come along, or are named by their address in S3.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError, nearest
from .store import is_address

MODES = ("File", "Pipe")
_TAKEN = ("code", "plan")


@dataclass(frozen=True)
class Input:
    """place: a file or folder here, or an address in S3. mode: File, or Pipe (named pipes that are read once; containers
    of SageMaker only). sharded: each host gets its share of the files. version: changes with the content."""

    place: str
    mode: str = "File"
    sharded: bool = False
    version: str = ""

    @property
    def comes_along(self) -> bool:
        """Whether it is copied into the run folder."""
        return not is_address(self.place)


def as_inputs(given: Mapping[str, Any]) -> dict[str, Input]:
    """Inputs by their names, checked: they are there. given: by name a place, or the fields of `Input`."""
    out = {}
    for name, what in given.items():
        fields = {"place": str(what)} if isinstance(what, (str, Path)) else dict(what)
        if wrong := [key for key in fields if key not in ("place", "mode", "sharded")]:
            raise UsageError(f"input {name}: {wrong[0]} is not known", nearest(wrong[0], ["place", "mode", "sharded"]))
        one = Input(**fields)
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,60}", name) or name in _TAKEN:
            raise UsageError(f"input {name!r}: names are letters, digits, - and _; {' and '.join(_TAKEN)} are taken")
        if one.mode not in MODES:
            raise UsageError(f"input {name}: mode is {one.mode!r}; it can be {' or '.join(MODES)}")
        out[name] = Input(one.place, one.mode, bool(one.sharded), _version(name, one))
    return out


def _version(name: str, one: Input) -> str:
    """SHA-256 of the names and contents of its files; of those in S3 their names, sizes and ETags."""
    digest = hashlib.sha256()
    if one.comes_along:
        for relative, path in _files(name, Path(one.place).expanduser()):
            digest.update(f"{relative}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while part := file.read(1 << 20):
                    digest.update(part)
    else:
        from .objects import Objects

        objects, below = Objects.split(one.place)
        found = objects.versions(below)
        if not found:
            raise UsageError(f"input {name}: there is nothing at {one.place}", f"aws s3 ls {one.place}")
        digest.update("\n".join(f"{n} {size} {tag}" for n, size, tag in found).encode())
    return digest.hexdigest()


def _files(name: str, place: Path) -> list[tuple[str, Path]]:
    if not place.exists():
        raise UsageError(f"input {name}: there is no {place}", nearest(place.name, _beside(place)))
    if place.is_file():
        return [(place.name, place)]
    return sorted((p.relative_to(place).as_posix(), p) for p in place.rglob("*") if p.is_file())


def _beside(place: Path) -> list[str]:
    return [p.name for p in place.parent.iterdir()] if place.parent.is_dir() else []


def record_of(inputs: Mapping[str, Input]) -> dict[str, dict[str, Any]]:
    """What run.json says of them. The place of what came along is the run folder's input/NAME."""
    return {name: {**asdict(one), "place": "" if one.comes_along else one.place} for name, one in inputs.items()}


def write_inputs(inputs: Mapping[str, Input], folder: Path) -> None:
    """Copy those that come along to folder/NAME."""
    for name, one in inputs.items():
        if one.comes_along:
            for relative, path in _files(name, Path(one.place).expanduser()):
                target = folder / name / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


def bring(name: str, record: Mapping[str, Any], run_folder: Any) -> Path:
    """The folder on this machine with the files of a run's input; those in S3 are brought, once for each version."""
    if not record["place"]:
        return Path(run_folder.bring_input(name))
    return bring_address(record["place"], record["version"])


def bring_address(address: str, version: str) -> Path:
    from .objects import Objects
    from .remote_store import cache_folder, write_files

    folder = cache_folder() / "inputs" / version
    if not folder.exists():
        objects, below = Objects.split(address)
        names = [n for n, _, _ in objects.versions(below)]
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            inside = Path(draft) / "files"
            inside.mkdir()
            # as the service does: relative to the folder, and a single object by its own name
            named = ((n.removeprefix(below).lstrip("/") or n.rpartition("/")[2], n) for n in names)
            places = {n: name for name, n in named}
            write_files(inside, ((places[n], content) for n, content in objects.get_many(names)))
            if not folder.exists():
                os.rename(inside, folder)
    return folder


def show_inputs(inputs: Mapping[str, Input], root: Path, copied: bool) -> None:
    """Put the inputs that are here below a root folder in which a simulation is looked at, copied or as links."""
    if copied:
        return write_inputs(inputs, root / "input")
    for name, one in inputs.items():
        place = Path(one.place).expanduser().resolve()
        if one.comes_along and place.is_dir():
            (root / "input" / name).symlink_to(place)
        elif one.comes_along:
            (root / "input" / name).mkdir()
            (root / "input" / name / place.name).symlink_to(place)
