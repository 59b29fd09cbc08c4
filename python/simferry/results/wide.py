"""Results of more outputs than rows, all of them doubles: joined at once. One output after the other takes a second for 20,000."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from ..store.keys import key_of
from ..worker.blocks import Block, Table

_COLUMNS = 1000
_BYTES = 1 << 27  # of rows that are kept apart
_IDS = ("condition", "replication")


def is_wide(columns: int, rows: int) -> bool:
    """Whether a table of so many columns and rows is read more slowly from Parquet than from the blocks."""
    return columns > max(_COLUMNS, rows)


class Wide:
    """Takes the results out of blocks while all of them can be joined at once.

    hold: takes results, with the number of their block, where that can't be.
    """

    def __init__(self, hold: Callable[[int, Table], None]) -> None:
        self._hold = hold
        self._taken: list[tuple[int, Table]] = []
        self._rows = self._bytes = 0
        self._possible = True

    def without_results(self, number: int, block: Block) -> Block:
        """The block without its results, if they are kept here."""
        results = [table for table in block.tables if table.name in ("results", "outputs") and table.rows]
        if not results or not self._possible:
            return block
        if not all(map(self._fits, results)):
            self.give_back()
            return block
        for table in results:
            self._taken.append((number, table))
            self._rows += table.rows
            self._bytes += 8 * table.rows * len(table.columns)
        return Block(block.facts, [table for table in block.tables if table not in results])

    def _fits(self, table: Table) -> bool:
        first = self._taken[0][1] if self._taken else table
        names = [*table.columns]
        return (
            is_wide(len(names), self._rows + table.rows)
            and self._bytes < _BYTES
            and table.name == "results"
            and names == [*first.columns]
            and names[:2] == [*_IDS]
            and all(c.kind == "double" and not c.form for name, c in table.columns.items() if name not in _IDS)
        )

    def give_back(self) -> None:
        """From now on the results stay where they are."""
        for number, table in self._taken:
            self._hold(number, table)
        self._taken, self._possible = [], False

    def table(self) -> pa.Table | None:
        """The rows sorted by condition and replication, of blocks that have no copies; None if they were given back."""
        tables = [table for _, table in self._taken]
        if not tables:
            return None
        ids = [np.concatenate([table.columns[name].values for table in tables]) for name in _IDS]
        order = np.argsort(key_of(*ids), kind="stable")
        names = [name for name in tables[0].columns if name not in _IDS]
        parts = [np.array([table.columns[name].values for name in names]) for table in tables]
        values = np.ascontiguousarray(np.concatenate(parts, axis=1)[:, order])  # outputs x rows
        n, in_one = len(order), pa.py_buffer(values)
        arrays = [pa.Array.from_buffers(pa.int32(), n, [None, pa.py_buffer(one[order])]) for one in ids]
        arrays += [pa.Array.from_buffers(pa.float64(), n, [None, in_one], 0, i * n) for i in range(len(names))]
        return pa.table(arrays, names=[*_IDS, *names])
