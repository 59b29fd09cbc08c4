"""Spans of replications that follow each other: what is done is held as such, because there may be very many.

A span is the keys (see keys.py) of its first and its last replication. Spans are two arrays (int64) of one length: all first keys, all
last keys. They are "apart" if they are sorted and no two of them have a key in common.
"""

import numpy as np

from .keys import of_key

Spans = tuple[np.ndarray, np.ndarray]


def distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values of an array, sorted. As np.unique(), which loads numpy.ma: that takes as long as a short job."""
    values = np.sort(values, axis=None)
    found: np.ndarray = values[np.append(True, values[1:] != values[:-1])[: len(values)]]
    return found


def joined(*several: Spans) -> Spans:
    """The spans of all of these, apart: as few as possible."""
    first, last = (np.concatenate([spans[i] for spans in several]) for i in (0, 1))
    order = np.argsort(first, kind="stable")
    first, last = first[order], np.maximum.accumulate(last[order])
    begins = np.flatnonzero(np.append(True, first[1:] > last[:-1] + 1)[: len(first)])
    return first[begins], last[np.append(begins[1:], len(first))[: len(begins)] - 1]


def without(spans: Spans, keys: np.ndarray) -> Spans:
    """The spans, apart, without some keys. spans: apart. keys: sorted, each once."""
    keys = keys[holds(spans, keys)]
    first, last = np.sort(np.append(spans[0], keys + 1)), np.sort(np.append(spans[1], keys - 1))
    return first[first <= last], last[first <= last]


def holds(spans: Spans, keys: np.ndarray) -> np.ndarray:
    """Whether each key is in one of the spans, which are apart: a logical array."""
    if not len(spans[0]):
        return np.zeros(len(keys), dtype=bool)
    at = np.searchsorted(spans[0], keys, "right") - 1
    return (at >= 0) & (keys <= spans[1][at])


def overlap(spans: Spans, others: Spans) -> bool:
    """Whether a key is in both. spans: apart. others: in any order."""
    begun = np.searchsorted(spans[0], others[1], "right")  # how many begin before its end
    last_end = np.append(-1, spans[1])[begun]
    return bool((last_end >= others[0]).any())


def of_each_condition(spans: Spans, conditions: int) -> np.ndarray:
    """How many replications of each condition there are in spans that are apart: int64, by condition."""
    first, last = spans
    many = np.bincount(of_key(first)[0], last - first + 1, minlength=conditions + 1)
    return many[1:].astype(np.int64)


def size_of(spans: Spans) -> int:
    """How many keys there are in spans that are apart."""
    return int((spans[1] - spans[0] + 1).sum())


class Growing:
    """A set of keys that grows: spans that are apart, in few parts of which each has at most half as many as the one before it."""

    def __init__(self) -> None:
        self._parts: list[Spans] = []

    def __len__(self) -> int:
        return sum(map(size_of, self._parts))

    def add(self, keys: np.ndarray) -> None:
        """Add keys, in any order, none of which is there."""
        keys = distinct(keys)
        part = joined((keys, keys))
        while self._parts and len(self._parts[-1][0]) < 2 * len(part[0]):
            part = joined(self._parts.pop(), part)
        self._parts.append(part)

    def holds(self, keys: np.ndarray) -> np.ndarray:
        """Whether each key is there: a logical array."""
        found = np.zeros(len(keys), dtype=bool)
        for part in self._parts:
            found |= holds(part, keys)
        return found

    def spans(self) -> Spans:
        """All keys, as spans that are apart."""
        none = np.empty(0, dtype=np.int64)
        return joined((none, none), *self._parts)
