"""The user's own code outside of a run's snapshot: its hashes when the run was made, and whether it has changed."""

import contextlib
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from ..errors import SimferryError, SimulationError
from ..hints import Option, Text
from ..store.records import RunRecord
from ..store.run_folder import RunFolder
from ..worker import blocks
from ..worker.own import Own, hash_of, reachable, with_hashes
from .fingerprint import fingerprint

_NOWHERE = Path("/nowhere")  # the snapshot of a function object is its pickle
# parts of an R package that are not code, or that hold the time of its build
_NOT_CODE = {"help", "html", "Meta", "doc", "man", "tests", "vignettes", "demo", "INDEX", "MD5", "DESCRIPTION"}
_SCRIPTS = {".r", ".py", ".sh", ".jl", ".m", ".pl", ".do", ".sas", ".stan", ".js", ".lua", ".rb", ".awk", ".sql"}
_SYSTEM = tuple(
    f"{folder}/" for folder in ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/snap")
)


def of_callable(function: Callable[..., Any], constants: Mapping[str, Any], sent_along: str = "") -> list[Own]:
    """Own modules that a function refers to or imports, and those that they import. sent_along: the module in its pickle."""
    modules: set[str] = set()
    fingerprint((function, dict(constants)), modules)
    modules.discard(sent_along)
    return with_hashes(reachable(_NOWHERE, names=sorted(modules)))


def of_command(program: str, arguments: Sequence[str], text: bytes) -> list[Own]:
    """The program, if it is neither in the snapshot nor part of the system, and code that its arguments or its text name by an
    absolute path. text: of a program in the snapshot."""
    named = [*arguments, program]
    if b"\0" not in text[:1000]:
        named += [os.fsdecode(path) for path in re.findall(rb"(?<![\w.~/-])/[^\s\"'`;|&()<>$]+", text[:1_000_000])]
    files = {path: path for path in named if os.path.isabs(path) and _is_code(path)}
    return with_hashes(files)


def _is_code(path: str) -> bool:
    """Whether a file is the user's code: a script by its name, or a program. Other files of a command may be large data."""
    theirs = os.path.isfile(path) and not os.path.realpath(path).startswith(_SYSTEM)
    return theirs and (os.path.splitext(path)[1].lower() in _SCRIPTS or os.access(path, os.X_OK))


def from_block(answer: blocks.Block) -> list[Own]:
    """The own code that the worker's check found."""
    columns = answer.table("own").columns
    rows = zip(*(columns[name].strings() for name in ("name", "path", "hash")), strict=True)
    return [Own(*(text or "" for text in row)) for row in rows]


def news_of(block: blocks.Block) -> list[Own]:
    """The own code that a block's replications loaded and that differs from the run's record, or is not in it."""
    lines = [line.split("\t") for line in block.facts.get("own_code", "").splitlines()]
    return [
        Own(line[1], line[2], line[0]) if len(line) == 3 else Own("(unreadable in a block)", "?", "?") for line in lines
    ]


def known_to(record: RunRecord) -> str:
    """The own code of a run, as its job files hold it."""
    return "\n".join(f"{one['hash']} {one['name']}" for one in record.own_code or ())


def of_hash(own: Iterable[Own]) -> list[tuple[str, str]]:
    """What enters a code hash: names and hashes, but no folders other than those of a project."""
    return sorted((os.path.basename(one.name) if one.path else one.name, one.hash) for one in own)


def in_snapshot(one: Own, record: RunRecord, code: Path) -> bool:
    """Whether a run's snapshot, its folder `code`, has a file of its project as another run's replications have loaded it.

    one: without a path; its name is relative to the script's folder.
    """
    path = os.path.normpath(code / record.simulation.get("folder", "") / one.name)
    return Path(path).is_relative_to(code) and hash_of(path) == one.hash


def hash_now(one: Own) -> str:
    """The present hash of a module that would be imported now, or of a package or file at its path; empty if it is gone."""
    if one.name == one.path:
        return hash_of(one.path)
    if Path(one.path, "DESCRIPTION").exists():
        return package_hash(Path(one.path))
    return hash_of(imported_from(one.name) or one.path)


def imported_from(name: str) -> str:
    """The file from which a worker would import a module. Unlike this process, a worker has no script's folder on its path."""
    asked = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    started_in = {"", os.getcwd(), os.path.dirname(os.path.abspath(sys.argv[0]))}
    folders = [p for p in sys.path if p not in started_in or p in asked]
    top, *below = name.split(".")
    with contextlib.suppress(Exception):  # finders of other packages
        spec = PathFinder.find_spec(top, folders)
        for finder in [] if spec else sys.meta_path:  # of packages that are installed editable
            if finder is not PathFinder and (spec := finder.find_spec(top, None)):
                break
        for i in range(len(below)):
            inside = spec.submodule_search_locations if spec else None
            spec = PathFinder.find_spec(".".join([top, *below[: i + 1]]), list(inside)) if inside else None
        return str(spec.origin) if spec and spec.has_location else ""
    return ""


def package_hash(path: Path) -> str:
    """The hash of an R package, as own.R computes it."""
    lines = []
    for folder, inner, files in os.walk(path, followlinks=True):
        inner[:] = [name for name in inner if not name.startswith(".")]
        at = Path(folder).relative_to(path)
        names = [(at / name).as_posix() for name in files if not name.startswith(".") and not name.endswith(".o")]
        lines += [f"{name} {hash_of(path / name)}\n" for name in names if name.partition("/")[0] not in _NOT_CODE]
    return hashlib.md5("".join(sorted(lines, key=str.encode)).encode(), usedforsecurity=False).hexdigest()


class Now:
    """The present state of own code; each module is read once."""

    def __init__(self) -> None:
        self.hashes: dict[tuple[str, str], str] = {}

    def differs(self, one: Own) -> bool:
        key = (one.name, one.path)
        if key not in self.hashes:
            self.hashes[key] = hash_now(one)
        return self.hashes[key] != one.hash


def changes(run: RunFolder) -> tuple[list[str], dict[str, str]]:
    """The own code of a run that has changed.

    Returns the names of what has changed since the run was computed last, and the present hashes of all that differs from what
    the run began with. Both are empty for runs in containers, whose code is in the image.
    """
    record = run.record
    if record.image or record.own_code is None:
        return [], {}
    # what has no path is in the snapshot
    began = [Own(one["name"], one["path"], one["hash"]) for one in record.own_code if one["path"]]
    last = {one.name: one for one in began}
    news = _news(run)
    last |= {one.name: one for one in news}
    for plan in run.plans():
        for name, hash_ in plan.changed_code.items():
            if name in last:
                last[name] = last[name]._replace(hash=hash_)
    now = Now()
    changed = sorted(name for name, one in last.items() if now.differs(one))
    differing = [one for one in began if now.differs(one)] + [last[name] for name in changed]
    return changed, {one.name: now.hashes[one.name, one.path] for one in differing}


def check_changes(run: RunFolder, allowed: bool) -> dict[str, str]:
    """Names and present hashes of own code that differs from what the run began with.

    Raises SimulationError where some of it has changed since the run was computed last, unless that is `allowed`.
    """
    changed, others = changes(run)
    if changed and not allowed:
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        raise SimulationError(
            f"code that run {run.id} uses outside its snapshot has changed since: {', '.join(changed[:5])}{more}",
            Text(
                "A new run uses the present code for all replications. ",
                Option("changed_code", True),
                " continues this run, and its table then holds results of both.",
            ),
        )
    return others


def script_changed(run: RunFolder) -> bool:
    """Whether the script differs from the run's snapshot of it."""
    path = Path(run.record.simulation["path"] or "/nowhere")
    snapshot = run.code / run.record.simulation["script"]
    return path.is_file() and snapshot.is_file() and path.read_bytes() != snapshot.read_bytes()


def changed_meanwhile(run: RunFolder) -> str:
    """A warning that names own code which changed while the run was computed; empty where none did, or the user allowed it."""
    found: dict[str, set[str]] = {}
    for one in [*(Own(**one) for one in run.record.own_code or () if one["path"]), *_news(run)]:
        found.setdefault(one.name, set()).add(one.hash)
    agreed = {name for plan in run.plans() for name in plan.changed_code}
    mixed = sorted(name for name, hashes in found.items() if len(hashes) > 1 and name not in agreed)
    if not mixed:
        return ""
    return f"{', '.join(mixed)} changed while run {run.id} was computed: its replications may have used different code"


def _news(run: RunFolder) -> list[Own]:
    """The own code in the last block of each process, oldest first: a process's last block has all that the earlier ones have."""
    last = {name.name.rpartition(".")[0]: name.name for name in sorted(run.block_names(), key=lambda b: b.name)}
    found: list[Own] = []
    with contextlib.suppress(SimferryError, blocks.DamagedBlock):  # other parts of simferry report these
        for _, content in run.read_blocks(last.values()):
            with contextlib.suppress(blocks.DamagedBlock):
                found += [one for one in news_of(blocks.decode(content)) if one.path]
    return found


def shown(code: Sequence[Mapping[str, str]]) -> str:
    """What a hash covers, as text: names, with paths where the name does not show them; modules of a package together."""
    groups: dict[str, list[Mapping[str, str]]] = {}
    for one in code:
        is_file = os.path.basename(one["path"]) == os.path.basename(one["name"])
        groups.setdefault(one["name"] if is_file else one["name"].partition(".")[0], []).append(one)
    out = []
    for name, members in groups.items():
        path = members[0]["path"]
        if len(members) > 1:
            out.append(f"{name} ({len(members)} modules in {os.path.commonpath([one['path'] for one in members])})")
        elif not path or os.path.basename(path) == os.path.basename(name):
            out.append(name)
        else:
            out.append(f"{members[0]['name']} ({path})")
    return ", ".join(out)
