"""Results of more outputs than rows are joined at once, and are what they are one output after the other."""

import numpy as np
import pytest
import simferry as sf
from hand_made import NA, outputs_of, pairs
from simferry.results import wide
from simferry.results.cache import cached
from simferry.results.table import digest

NAMES = [f"x{i}" for i in range(12)]


def doubles(rows, start=0.0, names=NAMES):
    return {name: [start + i + row / 10 for row in range(rows)] for i, name in enumerate(names)}


def blocks_of(case):
    """(condition, replications, outputs) of each block."""
    first, second = (1, [2, 1], doubles(2)), (2, [1, 2], doubles(2, 100.5))
    odd = {"x3": [NA, float("nan")], "x4": [-0.0, 5e-324], "x5": [float("inf"), 2.0**60]}
    return {
        "in one block": [first],
        "in several, not in order": [second, first],
        "odd values": [first, (2, [1, 2], doubles(2) | odd)],
        "whole numbers": [(1, [1, 2], doubles(2) | {"x1": [1, 2]}), second],
        "whole numbers later": [first, (2, [1, 2], doubles(2) | {"x1": [1, 2]})],
        "texts": [first, (2, [1, 2], doubles(2) | {"x1": ["a", "b"]})],
        "other columns": [first, (2, [1, 2], doubles(2, names=[*NAMES, "y"]))],
        "another order": [first, (2, [1, 2], doubles(2, names=NAMES[::-1]))],
        "copies": [first, (1, [1], doubles(1, 7.25))],
        "a parameter's name": [(1, [1, 2], doubles(2) | {"n": [10.0, 10.0]}), (2, [1, 2], doubles(2) | {"n": [20.0, 20.0]})],
        "a parameter's name, another value": [(1, [1, 2], doubles(2) | {"n": [10.0, 11.5]})],
        "more rows than columns": [first, (2, [*range(1, 31)], doubles(30))],
        "none": [],
    }[case]  # fmt: skip


APART = [
    "in one block",
    "in several, not in order",
    "odd values",
    "a parameter's name",
    "a parameter's name, another value",
]


@pytest.mark.parametrize("case", [*APART, "whole numbers", "whole numbers later", "texts", "other columns", "another order",
                                  "copies", "more rows than columns", "none"])  # fmt: skip
def test_a_wide_table_is_what_it_is_column_by_column(case, hand_made, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20]), replications=40)
    for condition, replications, outputs in blocks_of(case):
        made.add(pairs(condition, replications), [outputs_of(condition, replications, **outputs)])
    monkeypatch.setattr(wide, "_COLUMNS", 10**9)
    expected = cached(made.run)
    table = expected.table()
    for path in made.run.path.glob("results*"):
        path.unlink()
    monkeypatch.setattr(wide, "_COLUMNS", 5)
    taken = []
    monkeypatch.setattr(wide.Wide, "table", lambda self, of=wide.Wide.table: taken.append(of(self)) or taken[-1])
    found = cached(made.run)
    assert (taken[0] is not None) == (case in APART)
    assert found.table().schema.equals(table.schema, check_metadata=True)
    assert digest(found.table()) == digest(table)
    assert all(np.array_equal(one, other) for one, other in zip(found.counts, expected.counts, strict=True))
    if case in APART:
        assert not [*made.run.path.glob("results*")]


def test_rows_beyond_the_memory_are_given_back(hand_made, monkeypatch):
    made = hand_made(sf.grid(n=[10, 20]), replications=2)
    for c in (1, 2):
        made.add(pairs(c, [1, 2]), [outputs_of(c, [1, 2], **doubles(2, c))])
    monkeypatch.setattr(wide, "_COLUMNS", 5)
    once = cached(made.run).table()
    monkeypatch.setattr(wide, "_BYTES", 1)
    assert digest(cached(made.run).table()) == digest(once)
