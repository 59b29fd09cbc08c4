"""What a process has computed and not written yet, and how it becomes a block."""

from array import array
from typing import Any, NamedTuple

import numpy as np

from . import blocks
from .rows import DOUBLES, MOST_BYTES, bytes_of, ids_of, plain, records, result_tables, results_table, table
from .set_seeds import SetSeeds

MOST_WARNINGS = 1000  # different ones of a replication that are told apart
OTHER_WARNINGS = f"other warnings, after {MOST_WARNINGS:,} different ones"
_WARNING = 300  # bytes of a warning without its text, about
_SINGLE = ""  # the names of numbers that have none
_all_doubles = DOUBLES.issuperset


class Part(NamedTuple):
    """Consecutive replications of a condition, which share their seconds. Only the last one may have failed."""

    row: int
    condition: int
    first: int
    size: int
    failed: bool
    seconds: float

    @property
    def good(self) -> int:
        return self.size - self.failed


class Segment:
    """Values of consecutive replications: doubles with the same names in one array, of which Python's garbage collector sees
    nothing, or others in a list. names: of a dict's values, `_SINGLE`, or None for others."""

    def __init__(self, names: list[str] | str | None, width: int = 1) -> None:
        self.names, self.width = names, width
        self.numbers = array("d")
        self.others: list[Any] = []

    @property
    def count(self) -> int:
        return len(self.numbers) // self.width if self.names is not None else len(self.others)

    def keep_first(self, n: int) -> None:
        del self.numbers[n * self.width :], self.others[n:]


class Values:
    """The values of the replications that did not fail, one after the other."""

    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.begin(Segment(None))
        self.others_bytes = 0

    def begin(self, segment: Segment) -> None:
        self.segments.append(segment)
        self.names, self.append, self.extend = segment.names, segment.numbers.append, segment.numbers.extend

    def add(self, value: Any) -> bool:
        """Keep a number, or a dict of numbers and texts, as most values are. Returns False for other values."""
        kind = type(value)
        if kind is dict:
            if [*value] == self.names and _all_doubles(map(type, value.values())):
                self.extend(value.values())
                return True
        elif kind in DOUBLES and self.names == _SINGLE:
            self.append(value)
            return True
        return self._add_new(value)

    def _add_new(self, value: Any) -> bool:
        """The same, for a value that is unlike the one before."""
        kept = plain(value)
        if kept is None:
            return False
        cells = kept.values() if type(kept) is dict else (kept,)
        if cells and _all_doubles(map(type, cells)):
            self.begin(Segment([*kept] if type(kept) is dict else _SINGLE, len(cells)))
            self.extend(cells)
        else:
            self.keep(kept, bytes_of(cells))
        return True

    def keep(self, value: Any, size: int) -> None:
        """Keep a value as it is. size: its bytes, about."""
        if self.names is not None:
            self.begin(Segment(None))
        self.others_bytes += size
        self.segments[-1].others.append(value)

    def keep_first(self, n: int) -> None:
        """Keep the values of the first n replications, and forget the others."""
        for segment in self.segments:
            segment.keep_first(n)
            n -= segment.count

    @property
    def bytes(self) -> int:
        return self.others_bytes + 8 * sum(len(segment.numbers) for segment in self.segments)

    def tables(self, condition: np.ndarray, replication: np.ndarray) -> list[blocks.Table]:
        """condition, replication: of each value."""
        alike: dict[tuple[str, ...], list[tuple[slice, np.ndarray]]] = {}
        others: list[Any] = []
        rest: list[slice] = []
        at = 0
        for segment in self.segments:
            where = slice(at, at := at + segment.count)
            if segment.names is None:
                others += segment.others
                rest.append(where)
            elif segment.count:
                names = ("value",) if segment.names == _SINGLE else tuple(segment.names)
                numbers = np.frombuffer(segment.numbers).reshape(-1, segment.width)
                alike.setdefault(names, []).append((where, numbers))
        tables = []
        for names, found in alike.items():
            places = [where for where, _ in found]
            columns = [np.concatenate([numbers[:, i] for _, numbers in found]) for i in range(len(names))]
            made = [blocks.numbers("double", column) for column in columns]
            ids = at_places(condition, places), at_places(replication, places)
            tables.append(results_table(*ids, dict(zip(names, made, strict=True))))
        if others:
            tables += result_tables(at_places(condition, rest).tolist(), at_places(replication, rest).tolist(), others)
        return tables


def at_places(column: np.ndarray, places: list[slice]) -> np.ndarray:
    return np.concatenate([column[where] for where in places])


class Unsaved:
    """What the next block will hold. Every other record belongs to a replication of the parts."""

    def __init__(self) -> None:
        self.set_seeds = SetSeeds()
        self.clear()

    def clear(self) -> None:
        self.parts: list[Part] = []
        self.checked = 0  # how many of them have been checked for what they left behind
        self.values = Values()
        self.failures: list[tuple[int, int, str, str, str]] = []
        self.warned: dict[tuple[int, int, str], int] = {}
        # the last replication that warned, and how many different warnings it gave
        self.warned_last, self.different = (0, 0), 0
        self.warned_bytes = 0
        self.outputs: list[tuple[int, int, str, bytes]] = []  # results files
        self.objects: list[tuple[int, int, str, str]] = []
        self.dropped: list[tuple[int, int, str]] = []
        self.set_seeds.rows.clear()

    @property
    def is_full(self) -> bool:
        return self.values.bytes + self.warned_bytes > MOST_BYTES

    def warn(self, condition: int, replication: int, message: str) -> None:
        """Count a warning."""
        key = (condition, replication, message)
        if key not in self.warned:
            if self.warned_last != key[:2]:
                self.warned_last, self.different = key[:2], 0
            self.different += 1
            if self.different > MOST_WARNINGS:
                key = (condition, replication, OTHER_WARNINGS)
            else:
                self.warned_bytes += _WARNING + len(message)
        self.warned[key] = self.warned.get(key, 0) + 1

    def keep_first(self, n: int) -> None:
        """Keep the first n parts, and forget the others, and what belongs to a replication that has not ended."""
        dropped = {(p.condition, r) for p in self.parts[n:] for r in range(p.first, p.first + p.size)}
        self.set_seeds.forget(dropped)
        del self.parts[n:]
        self.checked = min(self.checked, n)
        self.values.keep_first(sum(part.good for part in self.parts))
        if self.failures or self.outputs or self.objects or self.warned:
            whole = {(p.condition, r) for p in self.parts for r in range(p.first, p.first + p.size)}
            self.failures = [f for f in self.failures if f[:2] in whole]
            self.outputs = [output for output in self.outputs if output[:2] in whole]
            self.objects = [o for o in self.objects if o[:2] in whole]
            self.warned = {at: count for at, count in self.warned.items() if at[:2] in whole}

    def tables(self, of_functions: bool) -> list[blocks.Table]:
        parts = self.parts
        counts = [part.size for part in parts]
        ends = np.cumsum(counts)
        first = np.repeat([part.first for part in parts] - (ends - counts), counts)
        condition, replication = np.repeat([part.condition for part in parts], counts), first + np.arange(ends[-1])
        ok = np.ones(len(condition), dtype=bool)
        ok[ends[[part.failed for part in parts]] - 1] = False
        seconds = np.repeat([part.seconds for part in parts], counts)
        status = {"ok": blocks.numbers("logical", ok), "seconds": blocks.numbers("double", seconds)}
        tables = [table("replications", ids_of(condition, replication), status)]
        if self.dropped:  # first: readers look for it at the beginning of a block
            tables.append(records("dropped", ("file",), self.dropped))
        if of_functions:
            tables += self.values.tables(condition[ok], replication[ok])
        if self.failures:
            tables.append(records("failures", ("message", "call", "traceback"), self.failures))
        if self.warned:
            tables.append(records("warnings", ("message",), list(self.warned)))
            tables[-1].columns["count"] = blocks.numbers("integer", list(self.warned.values()))
        if self.set_seeds.rows:
            tables.append(records("seeds", ("seed",), self.set_seeds.rows))
        if self.outputs:
            tables.append(records("outputs", ("name",), [output[:3] for output in self.outputs]))
            tables[-1].columns["content"] = blocks.raws([output[3] for output in self.outputs])
        if self.objects:
            tables.append(records("objects", ("output", "kind"), self.objects))
        return tables
