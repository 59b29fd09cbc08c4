"""How many replications conditions have: one number for all of them, or a tuple with one number for each.

Where all conditions have the same, it is always one number, also in records.
"""

from collections.abc import Iterable

import numpy as np

from ..words import counted

Counts = int | tuple[int, ...]


def simplest(numbers: Iterable[int]) -> Counts:
    """The numbers of all conditions, as one number where they are equal."""
    each_one = tuple(numbers)
    return each_one[0] if len(set(each_one)) == 1 else each_one


def each(counts: Counts, conditions: int) -> np.ndarray:
    """The number of each condition: int64 (conditions,). Raises ValueError if there are numbers of other conditions."""
    numbers = np.asarray(counts, dtype=np.int64)
    if numbers.ndim and len(numbers) != conditions:
        raise ValueError(f"{len(numbers)} numbers of replications for {conditions} conditions")
    return np.broadcast_to(numbers, (conditions,))  # of one number no copy: a damaged record may say any number


def total(counts: Counts, conditions: int) -> int:
    """The number of replications of all conditions together."""
    return conditions * counts if isinstance(counts, int) else int(each(counts, conditions).sum())


def largest(*several: Counts) -> Counts:
    """For each condition the largest of some numbers. Raises ValueError if they are of different conditions."""
    whole = max((one for one in several if isinstance(one, int)), default=0)
    tuples = [one for one in several if not isinstance(one, int)]
    return simplest(max(whole, *numbers) for numbers in zip(*tuples, strict=True)) if tuples else whole


def at_most(counts: Counts, most: int) -> Counts:
    """The numbers, but none above `most`."""
    return min(counts, most) if isinstance(counts, int) else simplest(min(one, most) for one in counts)


def plus(counts: Counts, more: int) -> Counts:
    """The numbers, each of them larger by `more`."""
    return counts + more if isinstance(counts, int) else tuple(one + more for one in counts)


def most_of(counts: Counts) -> int:
    """The largest of the numbers."""
    return counts if isinstance(counts, int) else max(counts)


def in_words(counts: Counts) -> str:
    """As text: "100 replications", or "100 to 5,000 replications"."""
    if isinstance(counts, int):
        return counted(counts, "replication")
    return f"{min(counts):,} to {counted(max(counts), 'replication')}"
