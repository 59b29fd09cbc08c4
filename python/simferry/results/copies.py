"""Which replications blocks hold, in little memory, and which copies are left out of those that were computed more than once.

Blocks hold stretches: consecutive replications of one condition. They are kept as such, failed replications one by one.
"""

import numpy as np

from ..store.keys import key_of
from ..store.spans import Spans, joined, of_each_condition
from ..worker.blocks import Table

WINDOW = 1 << 22  # replications that are compared at once


class Replications:
    """The replications of blocks, which are numbered in the order of their names."""

    def __init__(self) -> None:
        self._stretches: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # first keys, last keys, blocks
        self._failed: list[tuple[np.ndarray, np.ndarray]] = []  # keys, blocks
        self._added: list[tuple[int, Table]] = []
        self._rows = 0  # of these
        self._copies: Copies | None = None

    def add(self, block: int, status: Table) -> None:
        """The table `replications` of a block."""
        self._added.append((block, status))
        self._rows += status.rows
        self._copies = None
        if self._rows >= WINDOW // 4:
            self._compress()

    def _compress(self) -> None:
        if not self._rows:
            return
        tables = [table for _, table in self._added]
        condition, replication, ok = (
            np.concatenate([table.columns[name].values for table in tables])
            for name in ("condition", "replication", "ok")
        )
        key = key_of(condition, replication)
        block = np.repeat(np.array([number for number, _ in self._added], dtype=np.int32), [t.rows for t in tables])
        self._added, self._rows = [], 0
        failed = ok == 0
        if failed.any():
            self._failed.append((key[failed], block[failed]))
        if ((key[1:] <= key[:-1]) & (block[1:] == block[:-1])).any():
            order = np.lexsort((key, block))
            key, block = key[order], block[order]
        begins = np.flatnonzero(np.concatenate([[True], (key[1:] != key[:-1] + 1) | (block[1:] != block[:-1])]))
        ends = np.append(begins[1:], len(key)) - 1
        self._stretches.append((key[begins], key[ends], block[begins]))

    def add_stretches(self, first: np.ndarray, last: np.ndarray, blocks: np.ndarray) -> None:
        self._stretches.append((first, last, blocks))
        self._copies = None

    def add_failed(self, key: np.ndarray, blocks: np.ndarray) -> None:
        """Replications that failed; they are in a stretch too."""
        self._failed.append((key, blocks))
        self._copies = None

    @property
    def stretches(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """First keys, last keys and blocks, sorted by the first."""
        self._compress()
        empty = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))
        first, last, block = (np.concatenate(parts) for parts in zip(empty, *self._stretches, strict=True))
        order = np.lexsort((block, first))
        self._stretches = [(first[order], last[order], block[order])]
        return self._stretches[0]

    @property
    def failed(self) -> tuple[np.ndarray, np.ndarray]:
        """The keys and blocks of failed replications, each copy."""
        self._compress()
        empty = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int32))
        key, block = (np.concatenate(parts) for parts in zip(empty, *self._failed, strict=True))
        self._failed = [(key, block)]
        return key, block

    def copies(self) -> "Copies":
        """The copies to leave out: kept is a success, if any, of the latest block."""
        if self._copies is None:
            self._copies = Copies(self)
        return self._copies

    def spans(self, blocks: list[int] | None = None) -> Spans:
        """The replications of all blocks, or of some, as spans that are apart."""
        first, last, block = self.stretches
        some = slice(None) if blocks is None else np.isin(block, blocks)
        return joined((first[some], last[some]))

    def failed_keys(self) -> np.ndarray:
        """The keys of replications that failed, and have no copy that did not; sorted, each once."""
        key, block = self.failed
        return np.unique(key[~self.copies().has(key, block)])

    def done(self, conditions: int) -> np.ndarray:
        """How many replications of each condition are done, by condition."""
        return of_each_condition(self.spans(), conditions)


class Copies:
    """Pairs of a replication's key and a block that are left out, as intervals of keys by block."""

    def __init__(self, of: Replications) -> None:
        self.by_block: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        first, last, block = of.stretches
        if len(first) < 2:
            return
        before, after = np.maximum.accumulate(last), np.minimum.accumulate(first[::-1])[::-1]
        shared = np.zeros(len(first), dtype=bool)
        shared[1:] |= first[1:] <= before[:-1]
        shared[:-1] |= last[:-1] >= after[1:]
        if not shared.any():
            return
        first, last, block = first[shared], last[shared], block[shared]
        failed, failed_in = of.failed
        found: dict[int, list[np.ndarray]] = {}
        cuts = np.unique(
            first[np.searchsorted(np.cumsum(last - first + 1), np.arange(0, (last - first + 1).sum(), WINDOW))]
        )
        for begin, end in zip(cuts.tolist(), [*cuts[1:].tolist(), 2**63 - 1], strict=True):
            there = (first < end) & (last >= begin)
            inside = (failed >= begin) & (failed < end)
            key, number = _left_out(
                np.maximum(first[there], begin), np.minimum(last[there], end - 1), block[there],
                failed[inside], failed_in[inside],
            )  # fmt: skip
            for one in np.unique(number).tolist():
                found.setdefault(one, []).append(key[number == one])
        self.by_block = {one: _intervals(np.unique(np.concatenate(keys))) for one, keys in found.items()}

    def __bool__(self) -> bool:
        return bool(self.by_block)

    def has(self, key: np.ndarray, block: np.ndarray) -> np.ndarray:
        """Whether each pair of a key and a block is left out: a logical array."""
        out = np.zeros(len(key), dtype=bool)
        if self.by_block and len(key):
            for one in np.unique(block).tolist():
                if one in self.by_block:
                    first, last = self.by_block[one]
                    of = np.flatnonzero(block == one)
                    at = np.searchsorted(first, key[of], "right") - 1
                    out[of] = (at >= 0) & (key[of] <= last[at])
        return out


def _left_out(
    first: np.ndarray, last: np.ndarray, block: np.ndarray, failed: np.ndarray, failed_in: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The keys and blocks of copies that are left out, of stretches and failed replications within a window."""
    key, number = expanded(first, last), np.repeat(block, last - first + 1)
    known, at = np.unique(key, return_inverse=True)
    blocks = int(number.max(initial=0)) + 1
    of_failed = np.searchsorted(known, failed)
    there = of_failed < len(known)  # failed replications without copies are not
    there[there] = known[of_failed[there]] == failed[there]
    ok = ~np.isin(at * blocks + number, of_failed[there] * blocks + failed_in[there])
    order = np.lexsort((number, ok, key))  # the last of each key is kept
    lost = order[:-1][key[order][1:] == key[order][:-1]]
    return key[lost], number[lost]


def _intervals(key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last of consecutive keys. key: sorted."""
    begins = np.flatnonzero(np.r_[True, np.diff(key) != 1])[: len(key)]
    ends = np.r_[begins[1:], len(key)][: len(begins)] - 1
    return key[begins], key[ends]


def expanded(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """All keys of intervals, one interval after the other."""
    many = last - first + 1
    return np.repeat(first - np.r_[0, np.cumsum(many)[:-1]][: len(many)], many) + np.arange(many.sum())
