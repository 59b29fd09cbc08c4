"""Single estimates for figures: those of a condition at a time, thinned by rank where there is no room for all."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..analysis.cells import Cells
from .grid import shown

MOST = 100_000  # rows of a method in a condition that are looked at


@dataclass
class Sample:
    """The rows of a method in a condition, in the order of their replications. unit: the number of each one's replication.
    features: as analysis/features.py names them, with lower and upper. many: rows that there are, of which at most MOST are here."""

    name: str
    unit: np.ndarray
    features: dict[str, np.ndarray]
    many: int

    def have(self, *names: str) -> np.ndarray:
        """Which rows have all of some features."""
        if any(name not in self.features for name in names):
            return np.zeros(len(self.unit), dtype=bool)
        return np.asarray(~np.logical_or.reduce([np.isnan(self.features[name]) for name in names]))


def name_of(cells: Cells, label: int) -> str:
    """What a method is called: its values of `by`, and its column where there are several estimates."""
    one = cells.estimates.labels[label]
    parts = list(map(shown, one.keys.values()))
    return ", ".join(parts + ([cells.roles.estimate[one.estimate]] if len(cells.roles.estimate) > 1 else []))


def samples(cells: Cells) -> Iterator[tuple[int, list[Sample]]]:
    """Each condition, from 0, with its methods. Conditions without rows are left out."""
    labels = len(cells.estimates.labels)
    held: dict[int, list[list[tuple[np.ndarray, dict[str, np.ndarray]]]]] = {}
    counts = np.zeros(cells.estimates.cells, dtype=np.int64)
    offset = 0
    for unit, parts in cells.estimates.blocks():
        last = 0
        for rows in parts:
            features = dict(rows.features)
            if rows.ends is not None:
                features["lower"], features["upper"] = rows.ends
            order = np.argsort(rows.cell, kind="stable")
            cell = rows.cell[order]
            begins = np.flatnonzero(np.r_[True, np.diff(cell) != 0]) if len(cell) else np.empty(0, dtype=int)
            for begin, end in zip(begins, np.r_[begins[1:], len(cell)], strict=True):
                condition, label = divmod(int(cell[begin]), labels)
                which = order[begin:end][: max(0, MOST - int(counts[cell[begin]]))]
                counts[cell[begin]] += end - begin
                last = max(last, condition)
                some = held.setdefault(condition, [[] for _ in range(labels)])
                some[label].append((unit[which] + offset, {name: values[which] for name, values in features.items()}))
        offset += int(unit.max(initial=0)) + 1
        for condition in sorted(one for one in held if one < last):
            yield condition, _joined(cells, held.pop(condition), counts[condition * labels :])
    for condition in sorted(held):
        yield condition, _joined(cells, held[condition], counts[condition * labels :])


def _joined(
    cells: Cells, held: list[list[tuple[np.ndarray, dict[str, np.ndarray]]]], counts: np.ndarray
) -> list[Sample]:
    out = []
    for label, parts in enumerate(held):
        if parts:
            features = {name: np.concatenate([some[name] for _, some in parts]) for name in parts[0][1]}
            out.append(
                Sample(name_of(cells, label), np.concatenate([one for one, _ in parts]), features, int(counts[label]))
            )
    return out


def evenly(many: int, room: int) -> np.ndarray:
    """Which of many rows in the order of their ranks are kept: at most `room`, the first and the last among them."""
    return np.unique(np.linspace(0, many - 1, min(many, max(room, 2))).astype(int)) if many else np.empty(0, dtype=int)
