"""The numbers of two runs are compared bit for bit."""

import dataclasses
import math

import numpy as np
import pytest
import simferry as sf
from simferry.analysis.comparison import compare
from simferry.results import collect
from simferry.worker import blocks
from simferry.worker.forms import column_of, list_cell

SAME = np.arange(10)
FOUR = [(1, 1), (1, 2), (1, 3), (1, 4)]


@pytest.fixture
def of(hand_made):
    def made(done, **columns):
        one = hand_made(sf.grid(n=[1, 2, 3]))
        keys = {"condition": [d[0] for d in done if len(d) < 3], "replication": [d[1] for d in done if len(d) < 3]}
        failed = [(*d[:2], "no", "", "") for d in done if len(d) == 3]
        one.add(list(dict.fromkeys(done)), [{**keys, **columns}] if columns else [], failed)
        return collect.collect(one.run)

    return made


def test_equal_runs_are_the_same(of):
    done = [(1, 1), (1, 2), (2, 1)]
    values = {"x": [1.5, math.nan, None], "k": [1, None, 3], "s": ["a", None, "c"], "b": [True, False, None]}
    found = compare(of(done, **values), of(done, **values), SAME)
    assert found.same and found.both == 3 and found.outputs.empty


def test_each_bit_counts(of):
    done = [(1, 1), (1, 2), (2, 1), (3, 1)]
    first = of(done, x=[0.0, 0.1 + 0.2, math.nan, 5.0], y=[1.0, 2.0, 3.0, 4.0], s=["a", "b", "c", "d"])
    second = of(done, x=[-0.0, 0.3, None, 5.0], y=[1.0, 7.0, 3.0, 4.5], s=["a", "b", "e", "d"])
    found = compare(first, second, SAME)
    assert found.replications.to_dict("list") == {
        "condition": [1, 1, 2, 3], "replication": [1, 2, 1, 1], "outputs": ["x", "x, y", "x, s", "y"],
    }  # fmt: skip
    x, y, s = (row._asdict() for row in found.outputs.itertuples(index=False))
    assert x == {
        "output": "x",
        "replications": 3,
        "largest_difference": 0.1 + 0.2 - 0.3,
        "condition": 1,
        "replication": 2,
    }
    assert (y["replications"], y["largest_difference"], y["condition"]) == (2, 5.0, 1)
    assert s["replications"] == 1 and math.isnan(s["largest_difference"])


def test_lists_are_compared_bit_for_bit(of):
    done = [(1, r) for r in range(1, 6)]
    cells = [[0.0, math.nan], [1.5], None, [], [2.0]]
    others = [[0.0, math.nan], [1.5, 2.0], [1.0], [], [-2.0]]
    first, second = (of(done, x=column_of([list_cell(v) for v in values])) for values in (cells, others))
    assert compare(first, first, SAME).same
    assert compare(first, second, SAME).replications["replication"].tolist() == [2, 3, 5]


def test_conditions_are_matched_and_others_counted(of):
    first = of([(1, 1), (2, 1), (2, 2)], x=[1.0, 2.0, 3.0])
    second = of([(1, 1), (2, 1), (3, 9)], x=[2.0, 1.0, 4.0])
    found = compare(first, second, np.array([0, 2, 1, 0]))
    assert (found.both, found.first_only, found.second_only, len(found.replications)) == (2, 1, 1, 0)


def test_failures_rows_and_outputs_of_one_run_alone_differ(of):
    first = of([(1, 1), (1, 1), (1, 2), (1, 3)], x=[1.0, 2.0, 3.0, 4.0], only=[1.0, 1.0, None, 1.0])
    second = of([(1, 1), (1, 2), (1, 3, False)], x=[1.0, 3.0])
    found = compare(first, second, SAME)
    assert found.replications["outputs"].tolist() == ["(rows)", "only", "(failed)"]


def test_integers_and_doubles_of_equal_value_are_equal(of):
    assert compare(of([(1, 1)], x=[2]), of([(1, 1)], x=[2.0]), SAME).same
    nothing = of([(1, 1, False)])
    assert compare(nothing, nothing, SAME).same


def long(*values):
    column = blocks.strings([None if one is None else str(one) for one in values])
    return dataclasses.replace(column, form="long")


def test_integers_that_doubles_do_not_hold_are_compared_exactly(of):
    large, below = long(2**60 + 1, 2**53 + 1, -(2**63) + 2, None), long(2**60 + 2, 2**53 + 1, 2**63 - 1, 7)
    found = compare(of(FOUR, x=large), of(FOUR, x=below), SAME)
    assert found.replications["replication"].tolist() == [1, 3, 4]
    assert found.outputs["largest_difference"].tolist() == [float(2**64 - 3)]
    mixed = compare(of(FOUR, x=large), of(FOUR, x=[2.0**60, 2.0**53, -(2.0**63), None]), SAME)
    assert len(mixed.replications) == 3
    assert compare(of(FOUR, x=long(2, 2**60, 3, 4)), of(FOUR, x=[2.0, 2.0**60, 3.0, 4.0]), SAME).same


def test_what_was_kept_whole_is_compared(of):
    done = [(1, 1), (1, 2), (2, 1), (3, 1)]
    ids = np.array([0, 1, 3, 2])
    first = {(1, 1): "a", (1, 2): "b", (2, 1): "c"}
    found = compare(of(done), of(done), ids, (first, {(1, 1): "a", (1, 2): "x", (3, 1): "c", (2, 1): "d"}))
    assert found.replications.values.tolist() == [[1, 2, "(value)"], [3, 1, "(value)"]] and not found.same
