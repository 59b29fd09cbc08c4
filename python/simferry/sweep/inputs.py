"""A run's inputs: files that a simulation reads in $SIMFERRY_INPUT/NAME (in containers /opt/ml/processing/input/NAME).
Local ones are copied into the run folder; others are addresses in S3.
"""

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StoreError, UsageError, nearest
from ..store.records import INPUT_NAME
from ..system.files import is_address, writing

MODES = ("File", "Pipe")
MOST = 8  # SageMaker takes ten, with the code and the plan


@dataclass(frozen=True)
class Input:
    """source: a local file or folder, or an address in S3. mode: File, or Pipe (named pipes that are read once; containers
    of SageMaker only). sharded: each host gets its share of the files. version: changes with the content."""

    source: str
    mode: str = "File"
    sharded: bool = False
    version: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is copied into the run folder."""
        return not is_address(self.source)

    @property
    def given(self) -> dict[str, Any]:
        """As `as_inputs` takes it."""
        return {"place": self.source, "mode": self.mode, "sharded": self.sharded}


def as_inputs(given: Mapping[str, Any]) -> dict[str, Input]:
    """The inputs by name. given: by name a path or an address in S3, or a dict of place, mode and sharded.

    Raises UsageError if a name or option is wrong, or if a file does not exist.
    """
    out = {}
    if len(given) > MOST:
        raise UsageError(
            f"there are {len(given)} inputs; a job takes {MOST}", "A folder with several files is one input."
        )
    for name, what in given.items():
        if isinstance(what, (str, Path)):
            what = {"place": what}
        if not isinstance(what, Mapping) or not isinstance(what.get("place"), (str, Path)):
            raise UsageError(
                f"input {name} is {what!r}; it has to be a path or an address in S3, or a dict of place, mode and sharded"
            )
        if wrong := [key for key in what if key not in ("place", "mode", "sharded")]:
            raise UsageError(f"input {name}: {wrong[0]} is not known", nearest(wrong[0], ["place", "mode", "sharded"]))
        fields = {key: value for key, value in what.items() if key != "place"}
        one = Input(str(what["place"]), **fields)
        if not re.fullmatch(INPUT_NAME, name):
            raise UsageError(f"input {name!r}: names are letters, digits, - and _; code and plan are reserved")
        if one.mode not in MODES:
            raise UsageError(f"input {name}: mode is {one.mode!r}; it can be {' or '.join(MODES)}")
        source, version = (_here if one.is_local else _in_s3)(name, one.source)
        out[name] = Input(source, one.mode, bool(one.sharded), version)
    return out


def bytes_of(inputs: Mapping[str, Input]) -> int:
    """The size of the local files, which are copied into each run folder."""
    local = {name: Path(one.source).expanduser() for name, one in inputs.items() if one.is_local}
    return sum(path.stat().st_size for name, place in local.items() for _, path in _files(name, place))


def _here(name: str, source: str) -> tuple[str, str]:
    """The source and its version: SHA-256 of the names and contents of its files."""
    digest = hashlib.sha256()
    files = _files(name, Path(source).expanduser())
    if not files:
        raise UsageError(f"input {name}: there is no file in {source}")
    for relative, path in files:
        digest.update(f"{relative}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return source, digest.hexdigest()


def _in_s3(name: str, address: str) -> tuple[str, str]:
    """The address and its version. A folder's address gets a slash at its end: SageMaker takes all objects that begin with it."""
    from ..store.objects import Objects

    objects, below = Objects.split(address)
    found = objects.versions(below)
    if not found:
        raise UsageError(f"input {name}: there is nothing at {address}", f"aws s3 ls {shlex.quote(address)}")
    one_object = [n for n, _, _ in found] == [below]
    if one_object:
        beside = [n for n, _ in objects.listing(below.rpartition("/")[0]) if n.startswith(below) and n != below]
        if beside:
            raise UsageError(
                f"input {name}: {address} would also bring {beside[0].rpartition('/')[2]}, which begins with its name",
                "Put the file into a folder of its own, and name the folder.",
            )
    return address if one_object else address.rstrip("/") + "/", _version(found)


def _version(found: list[tuple[str, int, str]]) -> str:
    """SHA-256 of names, sizes and ETags of objects."""
    return hashlib.sha256("\n".join(f"{n} {size} {tag}" for n, size, tag in found).encode()).hexdigest()


def _files(name: str, source: Path) -> list[tuple[str, Path]]:
    if not source.exists():
        raise UsageError(f"input {name}: there is no {source}", nearest(source.name, _beside(source)))
    if source.is_file():
        return [(source.name, source)]
    return sorted((p.relative_to(source).as_posix(), p) for p in below(source) if p.is_file())


def below(folder: Path, around: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Everything in a folder of the user's and in the folders that it links to, except links to a folder around them."""
    here = around | {os.path.realpath(folder)}
    for path in folder.iterdir():
        yield path
        if path.is_dir() and os.path.realpath(path) not in here:
            yield from below(path, here)


def files_in(path: Path, base: Path, ignored: set[str]) -> Iterator[tuple[Path, str]]:
    """A file, or those in a folder, with their names relative to `base`. ignored: names of folders and files to leave out."""
    for file in sorted(p for p in below(path) if p.is_file()) if path.is_dir() else [path]:
        if not ignored & set(file.relative_to(path).parts):
            yield file, file.relative_to(base).as_posix()


def _beside(path: Path) -> list[str]:
    return [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []


def record_of(inputs: Mapping[str, Input]) -> dict[str, dict[str, Any]]:
    """The inputs in run.json. `place` is empty for a copied input, which is in the run folder's input/NAME."""
    return {
        name: {
            "place": "" if one.is_local else one.source,
            "mode": one.mode,
            "sharded": one.sharded,
            "version": one.version,
        }
        for name, one in inputs.items()
    }


def write_inputs(inputs: Mapping[str, Input], folder: Path) -> None:
    """Copy the local inputs to folder/NAME."""
    for name, one in inputs.items():
        if one.is_local:
            for relative, path in _files(name, Path(one.source).expanduser()):
                target = folder / name / relative
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


def bring(name: str, record: Mapping[str, Any], run_folder: Any) -> Path:
    """The local folder with the files of a run's input; files in S3 are downloaded, once for each version."""
    if not record["place"]:
        return Path(run_folder.bring_input(name))
    return bring_address(record["place"], record["version"])


def bring_address(address: str, version: str) -> Path:
    from ..store.objects import Objects
    from ..system.files import below, cache_folder

    folder = cache_folder() / "inputs" / version
    if folder.exists():
        return folder
    found = unchanged(address, version)
    objects, name = Objects.split(address)
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as draft:
            inside = Path(draft) / "files"
            inside.mkdir()
            # named as by the service: relative to the folder, or a single object by its own name
            cut = len(name) if name.endswith("/") or not name else len(name.rpartition("/")[0])
            objects.download((n, below(inside, n[cut:].lstrip("/"))) for n, _, _ in found if n[cut:].strip("/"))
            with contextlib.suppress(OSError):  # another process was faster
                os.rename(inside, folder)
    return folder


def unchanged(address: str, version: str) -> list[tuple[str, int, str]]:
    """Names, sizes and ETags of the objects at an address. Raises StoreError if they have changed since the run began."""
    from ..store.objects import Objects

    objects, name = Objects.split(address)
    found = objects.versions(name)
    if _version(found) != version:
        raise StoreError(
            f"the files at {address} are not those with which the run began",
            "Restore them, or begin a new run with the present files.",
        )
    return found


def show_inputs(inputs: Mapping[str, Input], root: Path, copied: bool) -> None:
    """Put the local inputs below the root folder of a check. copied: as copies, not as links."""
    if copied:
        return write_inputs(inputs, root / "input")
    for name, one in inputs.items():
        source = Path(one.source).expanduser().resolve()
        if one.is_local and source.is_dir():
            (root / "input" / name).symlink_to(source)
        elif one.is_local:
            (root / "input" / name).mkdir()
            (root / "input" / name / source.name).symlink_to(source)
