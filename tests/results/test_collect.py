"""From blocks to tables: nothing is lost and nothing is counted twice."""

import warnings

import pytest
import simferry as sf
from hand_made import outputs_of, pairs, values
from simferry.results.collect import collect, done
from simferry.results.table import table
from simferry.worker import blocks

# ---- duplicates and failures ----


def test_a_replication_that_two_blocks_hold_is_counted_once(hand_made):
    made = hand_made(sf.grid(n=[10, 20]), replications=4)
    made.add(pairs(1, [1, 2, 3]), [outputs_of(1, [1, 2, 3], x=[1, 1, 2, 2, 3, 3])], warned=[(1, 2, "w", 5)])
    made.add(
        pairs(1, [2, 3, 4]), [outputs_of(1, [2, 3, 4], x=[2, 2, 3, 3, 4, 4])], warned=[(1, 2, "w", 5), (1, 4, "v", 1)]
    )
    found = collect(made.run)
    assert values(found.results, "x") == [1, 1, 2, 2, 3, 3, 4, 4]
    assert values(found.replications, "replication") == [1, 2, 3, 4]
    assert list(zip(values(found.warnings, "message"), values(found.warnings, "count"), strict=True)) == [
        ("w", 5),
        ("v", 1),
    ]


@pytest.mark.parametrize("first", ["failure", "success"])
def test_a_success_replaces_a_failure_whichever_came_first(first, hand_made):
    made = hand_made(sf.grid(n=1), replications=2)
    failure = ([(1, 1, False), (1, 2, False)], [], [(1, 1, "oh no", "f()", "f()"), (1, 2, "oh no", "f()", "f()")])
    success = ([(1, 1)], [outputs_of(1, [1], x=[0.5])])
    for given in (failure, success) if first == "failure" else (success, failure):
        made.add(*given)
    found = collect(made.run)
    assert values(found.replications, "ok") == [True, False]
    assert values(found.failures, "replication") == [2]
    assert values(found.results, "x") == [0.5]
    assert [v.tolist() for v in done(made.run)] == [[1, 1], [1, 2]]
    assert [v.tolist() for v in done(made.run, failed=False)] == [[1], [1]]


def test_of_two_failures_the_latest_is_told(hand_made):
    made = hand_made(sf.grid(n=1))
    for message in ("first", "second"):
        made.add([(1, 1, False)], [], [(1, 1, message, "", "")])
    assert values(collect(made.run).failures, "message") == ["second"]


# ---- damage ----


def test_a_damaged_block_is_named_and_set_aside(hand_made):
    made = hand_made(sf.grid(n=1), replications=4)
    made.add(pairs(1, [1, 2]), [outputs_of(1, [1, 2], x=[0.1, 0.2])])
    bad = made.add(pairs(1, [3, 4]), [outputs_of(1, [3, 4], x=[0.3, 0.4])])
    good = bad.read_bytes()
    bad.write_bytes(good[:-9])
    with pytest.warns(
        UserWarning,
        match=rf"block {bad.name} .* is damaged .* Its 2 replications count as not done: simferry\.open\(.*\.resume\(\)",
    ):
        assert values(table(made.run), "x") == [0.1, 0.2]
    assert (made.run.path / "damaged" / bad.name).exists() and not bad.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert done(made.run)[1].tolist() == [1, 2]
    # the file, mended, is put back where it was: the table of two rows is out of date
    bad.write_bytes(good)
    assert values(table(made.run), "x") == [0.1, 0.2, 0.3, 0.4]


def test_a_file_that_is_no_block_is_set_aside_too(hand_made):
    made = hand_made(sf.grid(n=1))
    path = made.add(pairs(1, [1]))
    path.write_bytes(blocks.encode(blocks.Block({}, [])))
    with pytest.warns(UserWarning, match="no table 'replications'"):
        assert len(done(made.run)[0]) == 0
