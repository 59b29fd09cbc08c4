"""Reads the blocks of a run, several at a time, and checks that they hold what their names say."""

import os
import warnings
from collections import deque
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from ..errors import SimferryError
from ..store.keys import BlockName
from ..store.run_folder import RunFolder
from ..worker import blocks
from .columns import KINDS, wrong_form

TEXTS = ("message", "call", "traceback")
_LARGE = 1 << 16  # bytes of a block: smaller ones take longer to hand over to a thread than to read
_Read = blocks.Block | blocks.DamagedBlock


def read_blocks(
    run: RunFolder, set_aside: bool = True, after: str = "", only: Collection[str] | None = None
) -> Iterator[tuple[str, blocks.Block]]:
    """The names and contents of the run's undamaged blocks, in the order of their names.

    set_aside: move damaged blocks aside and warn of them. after: read only blocks whose names sort after this one. only: read these,
    which are names of blocks of the run.
    """
    found = run.block_names() if only is None else filter(None, map(BlockName.parse, sorted(only)))
    names = {name.name: name for name in found if name.name > after}
    for name, read in _ahead(run, names):
        if isinstance(read, blocks.Block):
            yield name, read
        elif set_aside:
            try:
                where = f"was moved to {run.set_aside(name)}"
            except SimferryError:  # a run that can be read but not written
                where = f"is left out (it is in {run.address}/blocks)"
            warnings.warn(
                f"block {name} of run {run.id} is damaged ({read}) and {where}. "
                f"Its {names[name].replications} replications count as not done: {run.command('resume')}",
                stacklevel=2,
            )


def _ahead(run: RunFolder, names: dict[str, BlockName]) -> Iterator[tuple[str, _Read]]:
    """Each block, or what is wrong with it. Threads unpack some blocks ahead."""
    threads = min(os.cpu_count() or 1, 8)
    waiting: deque[tuple[str, _Read | Future[_Read]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for name, content in run.read_blocks(names):
                given = content, names[name], run.conditions
                waiting.append((name, pool.submit(_read, *given) if len(content) > _LARGE else _read(*given)))
                while len(waiting) > threads or (waiting and not isinstance(waiting[0][1], Future)):
                    yield _ready(*waiting.popleft())
            while waiting:
                yield _ready(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _ready(name: str, read: _Read | Future[_Read]) -> tuple[str, _Read]:
    return name, read.result() if isinstance(read, Future) else read


def _read(content: bytes, name: BlockName, conditions: int) -> _Read:
    try:
        block = blocks.decode(content)
        check_block(block, name, conditions)
    except blocks.DamagedBlock as damage:
        return damage
    return block


_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "replications": {"ok": ("logical",), "seconds": ("double",)},
    "results": {},
    "failures": {name: ("string",) for name in TEXTS},
    "warnings": {"message": ("string",), "count": ("integer",)},
    "outputs": {"name": ("string",), "content": ("raw",)},
    "objects": {"output": ("string",), "kind": ("string",)},
    "values": {"value": ("raw",)},
    "packs": {"value": ("raw",)},
}  # the columns of a block's tables, besides condition and replication


# the methods of arrays take twice as long for a few hundred values
_LEAST, _MOST = np.minimum.reduce, np.maximum.reduce
_IDS: dict[str, tuple[str, ...]] = {"condition": ("integer",), "replication": ("integer",)}


def check_block(block: blocks.Block, name: BlockName, conditions: int) -> None:
    """Raises DamagedBlock where a block's content does not agree with its name, or its tables lack a column."""
    for table in block.tables:
        if table.name not in _KINDS:
            continue
        kinds = _IDS | _KINDS[table.name]
        if table.name == "outputs" and "text" in table.columns:  # of earlier workers: the one results file
            kinds = _IDS | {"text": ("string",)}
        if table.name == "results":
            if problem := wrong_form(table):
                raise blocks.DamagedBlock(problem)
            kinds |= {o: ("raw",) if c.is_list else KINDS for o, c in table.columns.items() if o not in kinds}
        for column, kind in kinds.items():
            if column not in table.columns or table.columns[column].kind not in kind:
                raise blocks.DamagedBlock(
                    f"its table {table.name!r} has no column {column!r} of kind {' or '.join(kind)}"
                )
        ids, numbers = table.columns["condition"].values, table.columns["replication"].values
        if table.rows and not (_LEAST(ids) >= 1 and _MOST(ids) <= conditions and _LEAST(numbers) >= 1):
            raise blocks.DamagedBlock(
                f"its table {table.name!r} has conditions or replications that the run does not have"
            )
    status = block.table("replications")
    succeeded = int(np.count_nonzero(status.columns["ok"].values))
    if (status.rows, status.rows - succeeded) != (name.replications, name.failed):
        raise blocks.DamagedBlock("it holds other numbers of replications than its name says")
