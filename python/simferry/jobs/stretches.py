"""Finds the missing replications, cuts them into stretches, and deals these to jobs.

How long a replication of a condition takes is not known beforehand, so stretches are cut in rounds. Each round takes the
same share of what is left of every condition, until stretches are single replications. Within a round, conditions are in
the order of their hashes. Processes claim consecutive stretches, fewer each time. See docs/decisions/dealing.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..store.counts import Counts, each
from ..store.keys import of_key
from ..store.spans import Spans

MOST_STRETCHES = 200_000  # and more for more than 5,000 cores, which could not end together otherwise
_OF_A_CORE, _OF_ALL = 40, 10_000_000


@dataclass(frozen=True)
class Work:
    """Replications: `count` consecutive ones of `condition` (ids from 1), starting with `first`. Arrays of one length."""

    condition: np.ndarray
    first: np.ndarray
    count: np.ndarray

    def __len__(self) -> int:
        return len(self.condition)

    @property
    def replications(self) -> int:
        return int(self.count.sum())

    def take(self, at: np.ndarray | slice) -> "Work":
        return Work(self.condition[at], self.first[at], self.count[at])


def all_work(conditions: int, replications: Counts) -> Work:
    """Every replication of every condition."""
    ids = np.arange(1, conditions + 1, dtype=np.int64)
    return Work(ids, np.ones_like(ids), each(replications, conditions))


def missing_work(conditions: int, replications: Counts, done: Spans) -> Work:
    """The replications of `all_work` that are not done. done: spans that are apart (see store/spans.py)."""
    (condition, first), last = of_key(done[0]), of_key(done[1])[1]
    if len(condition) == 0:
        return all_work(conditions, replications)
    wanted = each(replications, conditions)
    within = first <= wanted[condition - 1]
    # gaps between neighbours, with a fence before and after each condition
    ids = np.arange(1, conditions + 1, dtype=np.int64)
    condition = np.concatenate([condition[within], ids, ids])
    first = np.concatenate([first[within], np.zeros_like(ids), wanted + 1])
    last = np.concatenate(
        [np.minimum(last[within], wanted[condition[: within.sum()] - 1]), np.zeros_like(ids), wanted + 1]
    )
    order = np.lexsort((first, condition))
    condition, first, last = condition[order], first[order], last[order]
    gap = (first[1:] - last[:-1] - 1) * (condition[1:] == condition[:-1])
    at = np.flatnonzero(gap > 0)
    return Work(condition[at], last[at] + 1, gap[at])


def cut(work: Work, order: np.ndarray, cores: int) -> Work:
    """Stretches for so many cores, in the order in which they start.

    order: by row of `work` a number by which conditions are in order within a round.
    """
    work = work.take(np.argsort(order, kind="stable"))
    share = 1 / (2 * max(cores, 1))
    most = int(work.count.max(initial=0))
    at_most = max(MOST_STRETCHES, min(_OF_A_CORE * cores, _OF_ALL))
    while share < 1 and ((rounds := _rounds(most, share)) > MOST_STRETCHES or len(work) * rounds > at_most):
        share *= 2
    share = min(share, 1.0)
    parts = []
    while len(work):
        size = np.minimum(np.ceil(work.count * share).astype(np.int64), work.count)
        parts.append(Work(work.condition, work.first, size))
        left = Work(work.condition, work.first + size, work.count - size)
        work = left.take(left.count > 0)
    return Work(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("condition", "first", "count")))


def chunks(work: Work, size: int) -> Work:
    """Stretches of `size` replications; the last one of a condition may be smaller."""
    size = max(size, math.ceil(work.replications / MOST_STRETCHES))
    number = -(-work.count // size)
    at = np.repeat(np.arange(len(work)), number)
    before = size * (np.arange(len(at)) - np.repeat(np.cumsum(number) - number, number))
    return Work(work.condition[at], work.first[at] + before, np.minimum(work.count[at] - before, size))


def _rounds(count: int, share: float) -> float:
    """About how many rounds it takes to deal `count` replications in shares of what is left."""
    if share >= 1:
        return 1
    return min(count, math.log(max(count * share, 1)) / -math.log(1 - share) + 1 / share)


def deal(stretches: Work, jobs: int) -> list[Work]:
    """Stretches dealt to jobs in turn, like cards. Never more jobs than stretches."""
    return [stretches.take(slice(j, None, jobs)) for j in range(min(jobs, len(stretches)))]
