"""The files that replications left: finds them by a pattern, and copies them."""

import os
import warnings
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..errors import Note, UsageError
from ..store.run_folder import RunFolder
from ..sweep.conditions import check_key
from ..system import untrusted
from ..system.files import writing


def matches(name: str, pattern: str) -> bool:
    """Whether a file (3/17/plot.png), or a folder that it is in, matches a pattern: * within a name, ** over folders too."""

    def fits(parts: list[str], wanted: list[str]) -> bool:
        if not wanted:
            return True
        if wanted[0] == "**":
            return any(fits(parts[i:], wanted[1:]) for i in range(len(parts) + 1))
        return bool(parts) and fnmatchcase(parts[0], wanted[0]) and fits(parts[1:], wanted[1:])

    return fits(name.split("/"), pattern.strip("/").split("/"))


def find(run: RunFolder, condition: Any, replication: Any, pattern: str | None) -> list[str]:
    """The names of files below artifacts/, by condition and replication; in this machine's copy. Raises UsageError."""
    if condition is None and replication is not None:
        raise UsageError("replication is given without condition", "Give both, or a pattern such as */17.")
    if condition is not None:
        check_key(run, condition, 1 if replication is None else replication)
    if pattern is not None and (not isinstance(pattern, str) or not pattern.strip("/")):
        raise UsageError(f"pattern is {pattern!r}; it has to be a text such as 3/*/plot.png")
    given = "/".join(str(one) for one in (condition, replication) if one is not None)
    run.look()
    begin = given or _folders_of(pattern or "")
    run.bring_artifacts(begin, lambda name: pattern is None or matches(name, pattern))
    tree = untrusted.Tree(run.path, ("artifacts", *filter(None, begin.split("/"))))
    names = [f"{begin}/{file.name}".lstrip("/") for file in tree.files()]
    if tree.passed_over:
        first, why = next(iter(tree.passed_over.items()))
        warnings.warn(Note(f"{len(tree.passed_over)} left out, such as {first}: {why}"), stacklevel=3)
    if pattern is None:
        return sorted(names, key=_in_order)
    found = [name for name in names if matches(name, pattern)]
    if not found:
        raise UsageError(
            f"no artifact of run {run.id} matches {pattern}",
            "A pattern is condition/replication/file, such as 3/*/plot.png or */*/*.csv",
        )
    return sorted(found, key=_in_order)


def copy(run: RunFolder, names: list[str], folder: str | Path) -> list[Path]:
    """Copy files below artifacts/ into a folder, with the folders of their condition and replication. Returns the copies' paths.

    Raises UsageError, before anything is copied, if one of them is there already.
    """
    out = Path(folder).expanduser().absolute()
    hint = "Choose another folder for the copies."
    there = [name for name in names if (out / name).is_symlink() or (out / name).exists()]
    if there:
        others = f", and {len(there) - 1:,} more" if there[1:] else ""
        raise UsageError(
            f"{out / there[0]} exists{others}: nothing is copied", "Choose another folder, or remove them."
        )
    with writing(out, hint):
        out.mkdir(parents=True, exist_ok=True)
        for name in names:
            parts = name.split("/")
            with untrusted.opened(run.path, "artifacts", *parts[:-1]) as inside:
                file = untrusted.File(parts[-1], 0, 0, inside)
                with file.open() as stream:
                    untrusted.write(out, name, stream, os.fstat(stream.fileno()).st_size)
    return [out / name for name in names]


def _folders_of(pattern: str) -> str:
    """The condition and the replication with which all matches begin, as far as a pattern says."""
    begin: list[str] = []
    for part in pattern.strip("/").split("/")[:2]:
        if not part.isdecimal():
            break
        begin.append(part)
    return "/".join(begin)


def _in_order(name: str) -> tuple[list[int], str]:
    first = name.split("/")[:2]
    return [int(part) if part.isdecimal() else 0 for part in first], name
