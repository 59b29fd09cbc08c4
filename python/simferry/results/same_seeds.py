"""Finds replications of one condition that set the same seed themselves, and so draw the same numbers.

Workers record, in the table `seeds` of a block (condition, replication, seed as text), the first seed that a condition's
replications set in each process, and the first that is set twice there.
"""

import json
from collections.abc import Iterable
from typing import Any

from ..words import counted
from ..worker import blocks

KEY = b"simferry.same_seeds"  # in the metadata of a table of results


def found(tables: Iterable[blocks.Table]) -> dict[bytes, bytes]:
    """Metadata with [condition, seed, two replications] of each condition with equal seeds. tables: `seeds` of a run's blocks."""
    lowest: dict[tuple[int, str | None], list[int]] = {}  # the two lowest replications, whichever block comes first
    for table in tables:
        columns = table.columns
        rows = zip(
            columns["condition"].values.tolist(), columns["replication"].values.tolist(), columns["seed"].strings(),
            strict=True,
        )  # fmt: skip
        for condition, replication, seed in rows:
            of_seed = lowest.get((condition, seed), [])
            lowest[condition, seed] = sorted({*of_seed, replication})[:2]
    same: dict[int, tuple[int, str | None, int, int]] = {}
    for (condition, seed), pair in lowest.items():
        if len(pair) == 2:
            candidate = (condition, seed, pair[0], pair[1])
            same[condition] = min(same.get(condition, candidate), candidate, key=lambda c: c[2:])
    return {KEY: json.dumps(sorted(same.values())).encode()} if same else {}


def conditions(metadata: dict[bytes, bytes] | None) -> list[list[Any]]:
    """What `found` put into the metadata of a table."""
    return list(json.loads((metadata or {}).get(KEY, b"[]")))


def note(run: str, same: list[list[Any]], unit: str = "replications") -> str:
    """The text of the note. same: from `conditions`. unit: the word for replications."""
    condition, seed, one, another = same[0]
    where = f" of condition {condition}" if unit == "replications" else ""
    more = f" (and some of {counted(len(same) - 1, 'other condition')})" if len(same) > 1 else ""
    return f"{unit} {one} and {another}{where} of run {run} set the same seed, {seed}{more}: after it they draw the same numbers"
