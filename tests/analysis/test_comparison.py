"""The numbers of two runs are compared bit for bit."""

import math

import numpy as np
import pytest
import simferry as sf
from simferry.analysis.comparison import compare
from simferry.results import collect

SAME = np.arange(10)


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
