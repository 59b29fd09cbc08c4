"""Equal seeds of a condition are named by their lowest replications, whichever block is read first."""

from itertools import permutations

import numpy as np
from simferry import same_seeds
from simferry.worker import blocks


def seeds(*rows):
    """A block's table of (condition, replication, seed)."""
    conditions, replications, texts = zip(*rows, strict=True)
    integer = lambda values: blocks.Column("integer", np.array(values, "<i4"))  # noqa: E731
    columns = {"condition": integer(conditions), "replication": integer(replications), "seed": blocks.strings(texts)}
    return blocks.Table("seeds", len(rows), columns)


def test_the_order_of_blocks_does_not_matter():
    tables = [seeds((2, 1, "101"), (1, 5, "7")), seeds((2, 8, "101"), (2, 9, "101")), seeds((2, 4, "3"), (2, 6, "3"))]
    for order in permutations(tables):
        metadata = same_seeds.found(order)
        assert same_seeds.conditions(metadata) == [[2, "101", 1, 8]]
    assert same_seeds.note("r", [[2, "101", 1, 8]]) == (
        "replications 1 and 8 of condition 2 of run r set the same seed, 101: what they draw after it is the same"
    )


def test_seeds_that_differ_are_not_named():
    assert same_seeds.found([seeds((1, 1, "1"), (2, 2, "1"), (1, 3, "2"))]) == {}
