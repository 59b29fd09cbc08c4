"""The truths of a table by cell: a condition, and a method in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..sweep.truths import Key, Truths, key_of, without
from .sources import Source


class TruthByCell:
    """Truths that are found by condition, parameters, the columns that tell methods apart, and `column`, where several estimates have
    their names."""

    def __init__(self, truths: Truths, source: Source, labels: Sequence[dict[str, Any]]) -> None:
        """labels: what a cell is besides its condition. Raises UsageError where the table has other columns, or two truths for one cell."""
        self._source, self._labels = source, labels
        design = source.design
        self._conditions = {name: design.table[name].to_pylist() for name in design.names} if design else {}
        known = {name: any(isinstance(one, str) for one in values) for name, values in self._conditions.items()}
        known |= {name: any(isinstance(label[name], str) for label in labels) for name in labels[0]}
        self._keys, found = truths.keyed(known if source.is_single else {"condition": False, **known})
        self._numbers: dict[Key, int] | None = None
        if source.whole is not None:
            columns = [source.whole.table[name].to_pylist() for name in source.whole.names]
            self._numbers = {key_of(row): number for number, row in enumerate(zip(*columns, strict=True), 1)}
        self._values = np.array([found.get(self._key(cell), np.nan) for cell in range(source.conditions * len(labels))])

    def of(self, cell: np.ndarray) -> np.ndarray:
        """The truth of each row. cell: the number of each one's cell. Raises UsageError where there is none."""
        out = self._values[cell]
        if np.isnan(out).any():
            wrong = int(cell[np.isnan(out)][0])
            condition = None if self._source.is_single else self._values_of(wrong)["condition"]
            raise without(condition, self._keys, self._key(wrong))
        return np.asarray(out)

    def _key(self, cell: int) -> Key:
        values = self._values_of(cell)
        return key_of([values[name] for name in self._keys])

    def _values_of(self, cell: int) -> dict[str, Any]:
        """What a table of truths may tell a cell by. condition: the run's own."""
        condition, label = divmod(cell, len(self._labels))
        own = {name: values[condition] for name, values in self._conditions.items()} | self._labels[label]
        number: int | None = condition + 1
        if self._numbers is not None and self._source.whole is not None:
            number = self._numbers.get(key_of([own.get(name) for name in self._source.whole.names]))
        return {"condition": number, **own}
