"""Verbs of foreach loops."""

import warnings
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from ..errors import Note
from ..r.serialization import Vector, runs_code
from ..worker.blocks import Column
from .arguments import Arguments, backend_of, plain, verb
from .drivers import LIKE_LOOP, drivers, keep_spare, order, start_worker
from .runs import head_of, open_run, simulation_of

_RUNS_CODE = (
    "its value, from a container, could run code in this session: it has an argument that was not evaluated yet, for example "
    "of a returned function. Return numbers, lists or data frames, or force() the arguments"
)
T = TypeVar("T")
_PAGE_BYTES = 200_000_000  # of values that are returned to R at once


def _loop_backend(given: Arguments) -> Arguments:
    """A backend's name, and its other settings as `backend_options`."""
    settings = backend_of(given["backend"])
    return {"backend": settings.pop("name", ""), "backend_options": settings}


@verb
def loop_backend(given: Arguments) -> Arguments:
    """Check a backend for loops, and start a driver for the first one, with a worker. Returns the number of workers."""
    from ..backends import backend
    from ..store.places import store_at
    from ..sweep.options import RunOptions, check

    check(RunOptions, plain({"seed": given.get("seed")}))
    settings = _loop_backend(given)
    where = backend(settings["backend"], **settings["backend_options"])
    keep_spare()
    if where.name == "local":
        store = given.get("store")
        folder = store_at(store.plain() if store is not None else None, where.default_store).path
        if folder.exists():  # it is made by the first loop
            start_worker(LIKE_LOOP, folder, idle=True)
    return {"workers": where.traits.workers * where.traits.jobs}


@verb
def loop(given: Arguments) -> Arguments:
    """Create the run of a loop and start its driver. named: use the run with the same name, code and data, if there is one. If it
    is incomplete, resume it. If it is complete, use it only if it has the seed that was asked for.

    label: the loop's name or number; it is a part of the hash. drawn: the seed is only for a new run.
    """
    from dataclasses import replace

    from ..sweep.design import Design
    from ..sweep.simulation import Simulation
    from ..sweep.sweep import Sweep, with_setup
    from ..verbs import create
    from ..verbs.runs import Run

    function = given["simulation"]
    environment = dict(function.items())["environment"]
    simulation = Simulation(replace(simulation_of(given), environment=environment.plain()))
    rest = ("label", "replications", "seed", "drawn", "named", "store", "on_error", "chunk_size")
    options = {name: value for name, value in plain({n: given.get(n) for n in rest}).items() if value is not None}
    label, drawn, named = options.pop("label"), options.pop("drawn"), options.pop("named")
    options |= _loop_backend(given)
    simulation = with_setup(simulation, options["backend_options"].get("before"))
    earlier = _earlier_loop(simulation, None if drawn else options["seed"], options) if named else None
    if earlier is not None:
        found, whole = earlier
        if not whole:
            again = {"verb": "resume", "options": {"retry_failed": True}}
            drivers[found.address] = order(found, again)
        return {**head_of(found), "complete": whole}
    sweep = Sweep(simulation, Design({"loop": [label]}), **options.pop("backend_options"), **options)
    new = Run(create.create(sweep))
    drivers[new.address] = order(new, {"verb": "run"})
    return {**head_of(new), "complete": False}


def _earlier_loop(simulation: Any, seed: Any, options: Arguments) -> "tuple[Any, bool] | None":
    """The latest run of the same loop, and whether all its iterations have succeeded."""
    from ..backends import backend
    from ..results import collect
    from ..store.counts import total
    from ..store.places import store_at
    from ..store.spans import size_of
    from ..verbs.runs import Run

    code_hash, environment = simulation.code_hash(), dict(simulation.target.environment)
    where = backend(options["backend"], **options["backend_options"])
    home = store_at(options.get("store"), where.default_store)
    for folder in reversed(home.folders()):
        record = folder.record
        same = record.code_hash == code_hash and record.replications == options["replications"]
        same = same and record.options.backend == options["backend"]
        same = same and (where.traits.contract or record.environment == environment)
        if same and seed in (None, record.seed):
            whole = size_of(collect.done_spans(folder, failed=False)) >= total(record.replications, record.conditions)
            return None if whole and seed is None else (Run(folder), whole)
    return None


@verb
def loop_values(given: Arguments) -> Arguments:
    """The values of iterations, in R's serialisation, one after the other, or packs: lists of many. And which iterations failed or
    warned.

    given: after, the name of the last block that was read. In the value, `after` is empty if no blocks are left.
    """
    from ..results import same_seeds
    from ..results.read import read_blocks
    from ..verbs.compute import backend_of_run
    from ..worker.blocks import Block, Table

    run = open_run(given)
    folder = run._folder
    read: list[Block] = []
    size, last = 0, ""
    for name, block in read_blocks(folder, after=given["after"].plain()):
        read.append(block)
        size += sum(len(t.columns["value"].text) for t in block.tables if t.name in ("values", "packs"))
        if size >= _PAGE_BYTES:
            last = name
            break

    def tables(name: str) -> list[Table]:
        return [table for block in read for table in block.tables if table.name == name]

    def joined(name: str, column: str) -> np.ndarray:
        return _joined([table.columns[column].values for table in tables(name)])

    def texts(name: str) -> list[str | None]:
        return [text for table in tables(name) for text in table.columns["message"].strings()]

    if same := same_seeds.conditions(same_seeds.found(tables("seeds"))):
        warnings.warn(Note(same_seeds.note(folder.id, same, "iterations")), stacklevel=1)
    done = joined("replications", "replication")
    iteration, single = joined("values", "replication"), [table.columns["value"] for table in tables("values")]
    packed = [table.columns["replication"].values for table in tables("packed")]
    packs = [table.columns["value"].text for table in tables("packs")]
    values = [column.text for column in single]
    refused = np.empty(0, dtype="<i4")
    if backend_of_run(run._folder).traits.contract:  # values from containers must not run code here
        values = [part for column in single for part in _slices(column)]
        bad, bad_packs = [runs_code(part) for part in values], [runs_code(pack) for pack in packs]
        refused = np.concatenate([iteration[np.array(bad, dtype=bool)], _joined(_those(packed, bad_packs))])
        iteration = iteration[~np.array(bad, dtype=bool)]
        values = _those(values, [not one for one in bad])
        packed = _those(packed, [not one for one in bad_packs])
        packs = _those(packs, [not one for one in bad_packs])
    return {
        "iteration": iteration,
        "bytes": b"".join(values),
        "packed": _joined(packed),
        "packs": Vector("list", packs),
        "done": done,
        "ok": joined("replications", "ok").astype(bool) & ~np.isin(done, refused),
        "failed": np.concatenate([joined("failures", "replication"), refused]),
        "messages": Vector("string", [*texts("failures"), *[_RUNS_CODE] * len(refused)]),
        "warned": joined("warnings", "replication"),
        "warnings": Vector("string", texts("warnings")),
        "counts": joined("warnings", "count"),
        "after": last,
    }


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0, dtype="<i4")


def _those(parts: Sequence[T], wanted: Sequence[bool]) -> list[T]:
    return [part for part, want in zip(parts, wanted, strict=True) if want]


def _slices(column: Column) -> list[bytes]:
    ends = np.cumsum(column.values.astype(np.int64)).tolist()
    return [column.text[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
