"""Reuses replications that earlier runs in the same store have computed.

They are taken over only if everything that decides the numbers agrees: code, seed, streams, parameter types, interpreter,
packages. Conditions are matched by their canonical form, so a larger design takes over those of a smaller one.
"""

import filecmp
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import Note, StoreError
from ..hints import Option
from ..results.read import read_blocks
from ..store import own_runs
from ..store.counts import each
from ..store.keys import JobId, key_of, of_key
from ..store.records import RunRecord
from ..store.run_folder import Home, RunFolder
from ..store.spans import Growing, of_each_condition
from ..sweep import own_code
from ..sweep.conditions import read_conditions
from ..sweep.design import Design
from ..sweep.template import uses_condition
from ..system.files import write_whole, writing
from ..system.untrusted import Tree
from ..words import are, counted
from ..worker import blocks
from ..worker.own import CODE, Own


def identity(record: RunRecord) -> str:
    """Everything that decides what a replication returns, except its condition."""
    parts = [record.code_hash, record.seed, record.streams, record.common]
    environment = {k: record.environment.get(k) for k in ("interpreter", "packages", "blas", "cpu")}
    return json.dumps([*parts, environment, record.image], sort_keys=True)


def take_over(run: RunFolder, store: Home, design: Design) -> int:
    """Copy what earlier runs have computed into a new run. Returns the number of replications."""
    taken, now = Growing(), own_code.Now()
    for earlier, ids in _alike(run.record, store, design):
        if earlier.id != run.id:
            before = len(taken)
            _take_from(run, earlier, ids, taken, now)
            if len(taken) > before and (changed := _changed_data(run, earlier)):
                warnings.warn(Note(_of_changed_data(earlier.id, changed)), stacklevel=4)
    if taken:
        run.push()
    return len(taken)


def already_there(record: RunRecord, store: Home, design: Design) -> np.ndarray:
    """How many replications of each condition a new run with this record would take over."""
    found, now = Growing(), own_code.Now()
    for earlier, ids in _alike(record, store, design):
        for _ in _new_in(earlier, record, ids, found, now):
            pass
    return of_each_condition(found.spans(), record.conditions)


def _alike(record: RunRecord, store: Home, design: Design) -> Iterator[tuple[RunFolder, np.ndarray]]:
    """The runs of a store from which one with this record takes replications over, and its condition ids by theirs: 0 for none."""
    same = identity(record)
    for earlier in store.folders():
        if identity(earlier.record) != same:
            continue
        if record.options.keep_files and not earlier.record.options.keep_files:
            continue
        try:
            old_design = read_conditions(earlier)
        except StoreError:  # reported when that run is read
            continue
        if any(design.types.get(name) != kind for name, kind in old_design.types.items()):
            continue
        # position: the earlier run's condition id; value: the new run's, or 0
        ids = np.concatenate([[0], design.rows_of(old_design) + 1])
        if uses_condition(record.simulation):
            ids[ids != np.arange(len(ids))] = 0
        if ids.any():
            yield earlier, ids


def _new_in(
    earlier: RunFolder,
    record: RunRecord,
    ids: np.ndarray,
    taken: Growing,
    now: own_code.Now,
    code: Path | None = None,
) -> Iterator[tuple[blocks.Block, np.ndarray]]:
    """The blocks of an earlier run, each with the keys there of replications to be taken over. Afterwards they are in `taken`.

    code: the new run's snapshot; None: it is not there yet, and blocks that loaded more of a project than is in the hash are left out.
    """
    wanted = np.append(0, each(record.replications, record.conditions))  # by condition id
    others = {plan.number for plan in earlier.plans() if plan.changed_code}  # these used other code
    for name, block in read_blocks(earlier, set_aside=False):
        if JobId(name).plan in others or _differs(own_code.news_of(block), record, now, code):
            continue
        status = block.table("replications").columns
        condition, replication, ok = (status[name].values for name in ("condition", "replication", "ok"))
        condition = np.where(condition < len(ids), condition, 0)  # others came while its design grew
        here = ids[condition]
        new = (ok != 0) & (here > 0) & (replication <= wanted[here]) & ~taken.holds(key_of(here, replication))
        if record.simulation.get("replications_as"):  # how many replications a job does may change all of them
            new &= np.bincount(condition)[condition] == wanted[here]
        if new.any():
            yield block, np.unique(key_of(condition[new], replication[new]))
            taken.add(key_of(here[new], replication[new]))


def _take_from(run: RunFolder, earlier: RunFolder, ids: np.ndarray, taken: Growing, now: own_code.Now) -> None:
    number = len(list(run.blocks.iterdir()))
    folders = earlier.bring_artifacts()
    with_artifacts = [int(p.name) for p in folders.iterdir() if p.name.isdecimal()] if folders.is_dir() else []
    own = own_runs.is_own(earlier)
    for block, new in _new_in(earlier, run.record, ids, taken, now, run.code):
        with writing(run.path):
            having = new[np.isin(of_key(new)[0], with_artifacts)]
            # before the block, which marks them as done
            for c, r in zip(*(part.tolist() for part in of_key(having)), strict=True):
                ours = _link(Tree(folders, (str(c), str(r))), run.path / "artifacts" / str(ids[c]) / str(r))
                if not (own and ours):
                    own_runs.forget(run)
            tables = [t for t in (_only(table, ids, new) for table in block.tables) if t.rows]
            number += 1
            # plan 0000: computed before this run had one
            new_name = f"0000-0000-1-00.{number:06d}-r{len(new)}-f0"
            write_whole(run.blocks / new_name, blocks.encode(blocks.Block(block.facts, tables)))


def _differs(used: list[Own], record: RunRecord, now: own_code.Now, code: Path | None) -> bool:
    """Whether any code that replications have loaded, and that is not in the hash, is other than what a run would load."""
    elsewhere = [] if record.image else [one for one in used if one.path]
    inside = [one for one in used if not one.path]
    same = not inside or (code is not None and all(own_code.in_snapshot(one, record, code) for one in inside))
    return any(map(now.differs, elsewhere)) or not same


def _changed_data(run: RunFolder, earlier: RunFolder) -> list[str]:
    """Files of a project that are no code, and that an earlier run had with another content, or only one of the two has."""

    def data_of(one: RunFolder) -> dict[str, Path]:
        top = one.code / one.record.simulation.get("loaded_from", "")
        paths = [path for path in top.rglob("*") if path.is_file() and path.suffix.lower() not in CODE]
        return {path.relative_to(top).as_posix(): path for path in paths}

    if not run.record.simulation.get("loaded_from") or not earlier.code.is_dir():
        return []
    ours, theirs = data_of(run), data_of(earlier)
    both = [name for name in ours if name in theirs and not filecmp.cmp(ours[name], theirs[name], shallow=False)]
    return sorted([*both, *(ours.keys() ^ theirs.keys())])


def _of_changed_data(earlier: str, names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (
        f"replications of run {earlier} are taken over, though files of the project that are no code differ from those that it had: "
        f"{', '.join(names[:3])}{more}. {Option('fresh', True)}  computes anew"
    )


def _only(table: blocks.Table, ids: np.ndarray, wanted: np.ndarray) -> blocks.Table:
    """The rows of a table that belong to some replications, given by their keys, under their new condition ids."""
    columns = table.columns
    keep = np.isin(key_of(columns["condition"].values, columns["replication"].values), wanted)
    out = {}
    for name, column in columns.items():
        if column.kind == "raw":
            out[name] = blocks.raws([r for r, k in zip(column.raws(), keep.tolist(), strict=True) if k])
        elif column.kind == "string":
            out[name] = blocks.strings([s for s, k in zip(column.strings(), keep.tolist(), strict=True) if k])
        else:
            values = column.values[keep]
            out[name] = blocks.numbers(column.kind, ids[values] if name == "condition" else values)
        out[name].form, out[name].levels = column.form, column.levels
    return blocks.Table(table.name, int(keep.sum()), out)


def _link(source: Tree, target: Path) -> bool:
    """Put the files into a folder of ours, where copies are ours too. Returns whether nobody else could write the files."""
    ours = True
    for file in source.files():
        path = target / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        ours &= own_runs.only_ours(source.root.parent, "/".join(["artifacts", *source.parts, file.name]))
        file.keep(path)
    return ours


def in_words(taken_over: int, total: int) -> str:
    """How many replications of a new run were taken over."""
    was = "was" if taken_over == 1 else "were"
    return (
        f"{taken_over:,} of {counted(total, 'replication')} {was} computed by earlier runs and {are(taken_over)} taken over "
        f"({Option('fresh', True)} computes anew)"
    )
