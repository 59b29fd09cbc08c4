"""The cells of a table of estimates: a condition and a method in it, which rows they have, and which other cell each is compared with."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import UsageError, nearest
from ..sweep.roles import Roles
from ..sweep.truths import Truths
from ..words import counted
from .contrast import PairPieces, pairs_of
from .estimates import Chapter, Estimates, Label
from .measure import Measured
from .outliers import NONE, Outliers
from .sources import Source, keys_of
from .truth_table import TruthByCell


class Cells:
    """The cells of a source under roles.

    features: that the roles allow. reference: by label the number of the label that it is compared with, or -1;
    None where there is one method. Raises UsageError.
    """

    def __init__(self, source: Source, roles: Roles, complete: bool, outliers: Outliers = NONE) -> None:
        self.source, self.roles = source, replace(roles, by=keys_of(source, roles.by, roles.columns()))
        by_table = roles.truth and isinstance(roles.truth[0], Truths)
        self.estimates = Estimates(
            source.only, source.schema, self.roles, source.conditions, complete, outliers, source.outputs(),
            self._truths if by_table else None,
        )  # fmt: skip
        self.features = self.estimates.features()
        if self.roles.are_tests():
            self.features = {name for name in self.features if name.startswith("rejected")}
        self._across_estimates = self._by_column()
        self.reference = self._references()

    @property
    def present(self) -> np.ndarray:
        """The rows of each cell."""
        return self.estimates.tally.present

    def measured(self, compute: Callable[[Chapter], dict[str, Measured]]) -> dict[str, Measured]:
        """What `compute` makes of all conditions, of which it gets some at a time."""
        out: dict[str, Measured] = {}
        for chapter in self.estimates.chapters():
            for name, found in compute(chapter).items():
                if name not in out:
                    out[name] = found
                for mine, new in zip(out[name], found, strict=True):
                    mine[chapter.cells] = new[chapter.cells]
        return out

    def pairs(self, names: Collection[str], chapter: Chapter) -> PairPieces:
        """The methods beside their references, with some features."""
        return lambda: pairs_of(chapter.blocks(), self.reference or [], names)

    def _truths(self, labels: list[Label]) -> Callable[[np.ndarray], np.ndarray]:
        """What gives the truths of cells with some labels, from a table."""
        (table,), estimates = self.roles.truth, self.roles.estimate
        assert isinstance(table, Truths)
        named = [{**one.keys, **({"column": estimates[one.estimate]} if len(estimates) > 1 else {})} for one in labels]
        return TruthByCell(table, self.source, named).of

    def _references(self) -> list[int] | None:
        """By label the number of the label that it is compared with; None where there is no such choice."""
        labels, keys, given = self.estimates.labels, self.estimates.keys, self.roles.reference
        if not keys and len(self.roles.estimate) < 2:
            return None
        by_column = self._across_estimates
        values = list(dict.fromkeys(map(self._method, labels)))
        wanted = values[0] if given is None else next((value for value in values if _same(value, given)), None)
        if wanted is None:
            key = "estimate" if by_column else keys[0]
            known = [*map(_text, values), *(self.roles.estimate if len(self.roles.estimate) > 1 and keys else ())]
            raise UsageError(
                f"reference: no row has the {key} {given!r}",
                nearest(str(given), known) or f"There are: {', '.join(known)}.",
            )

        def rest(label: Label) -> tuple[Any, ...]:
            if by_column:
                return tuple(label.keys.values())
            return (*(label.keys[name] for name in keys[1:]), label.estimate)

        at = {rest(label): number for number, label in enumerate(labels) if self._method(label) == wanted}
        return [at.get(rest(label), -1) for label in labels]

    def _by_column(self) -> bool:
        """Whether the methods are columns of estimates: there is nothing else, or the reference is one of them and no value of `by`."""
        keys = self.estimates.keys
        if not keys or not self.roles.is_across_estimates():
            return not keys
        return not any(_same(label.keys[keys[0]], self.roles.reference) for label in self.estimates.labels)

    def _method(self, label: Label) -> Any:
        return self.roles.estimate[label.estimate] if self._across_estimates else label.keys[self.estimates.keys[0]]

    def name_of(self, label: int) -> str:
        """What a method is called among those that it is compared with."""
        return _text(self._method(self.estimates.labels[label]))

    def nonconvergence(self) -> Measured:
        """The share of replications without an estimate."""
        many = self.expected()
        with np.errstate(invalid="ignore", divide="ignore"):
            share = (many - self.estimates.tally.there) / many
            return Measured(share, np.sqrt(share * (1 - share) / many), many)

    def expected(self) -> np.ndarray:
        """The replications of each cell, with those that failed."""
        return np.repeat(self.source.done, len(self.estimates.labels)) if self.source.is_paired else self.present

    def shown(self) -> np.ndarray:
        """The cells that have rows, and those of a condition that has none at all: all of its replications failed."""
        there = self.present.reshape(-1, len(self.estimates.labels)) > 0
        there |= ~there.any(axis=1, keepdims=True) & (self.source.done > 0)[:, None]
        return np.flatnonzero(there.ravel())

    def notes(self) -> list[str]:
        """What was excluded, and what is not everywhere."""
        notes = [f"{what}: {many:,}" for what, many in self.estimates.excluded.counts.items()]
        labels = self.estimates.labels
        rows = self.present.reshape(-1, len(labels))
        expected = self._expected_rows(rows > 0)
        for number, label in enumerate(labels):
            without = int(((rows[:, number] == 0) & expected[:, number]).sum())
            if without:
                name = ", ".join(map(_text, label.keys.values()))
                notes.append(f"{name} has no rows in {counted(without, 'condition')}, and is left out there")
        if varying := self.estimates.tally.varying:
            notes.append(
                f"the truth varies within {varying} of {int((self.present > 0).sum())} cells: each replication has its own"
            )
        return notes

    def _expected_rows(self, there: np.ndarray) -> np.ndarray:
        """By condition and label whether rows are to be expected: where there are any, and with the values of the keys that have one value
        in each condition, as parameters do. there: whether there are rows."""
        out = np.repeat(there.any(axis=1, keepdims=True), there.shape[1], axis=1)
        for key in self.estimates.keys:
            values = [repr(label.keys[key]) for label in self.estimates.labels]
            number = np.unique(values, return_inverse=True)[1]
            has = np.stack([there[:, number == one].any(axis=1) for one in range(number.max(initial=-1) + 1)], axis=1)
            if (has.sum(axis=1) <= 1).all():
                out &= has[:, number]
        return out


def _same(value: Any, given: Any) -> bool:
    """Whether a value is meant by what was given, which may be a text."""
    return bool(value == given) or str(given) in (str(value), _text(value))


def _text(value: Any) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)
