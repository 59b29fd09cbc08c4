"""Plans: every replication that is missing is dealt exactly once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from simferry.jobs import stretches
from simferry.store.keys import key_of
from simferry.store.spans import joined


def replications_of(work):
    return [
        (c, r)
        for c, first, count in zip(work.condition.tolist(), work.first.tolist(), work.count.tolist(), strict=True)
        for r in range(first, first + count)
    ]


def everything(conditions, replications):
    return {(c, r) for c in range(1, conditions + 1) for r in range(1, replications + 1)}


sizes = {"conditions": st.integers(1, 12), "replications": st.integers(1, 60)}


@settings(max_examples=60, deadline=None)
@given(**sizes, cores=st.integers(1, 64), jobs=st.integers(1, 9), data=st.data())
def test_cutting_and_dealing_cover_every_replication_exactly_once(conditions, replications, cores, jobs, data):
    order = np.array(data.draw(st.permutations(range(conditions))))
    dealt = stretches.deal(stretches.cut(stretches.all_work(conditions, replications), order, cores), jobs)
    found = [pair for work in dealt for pair in replications_of(work)]
    assert len(found) == len(set(found)) and set(found) == everything(conditions, replications)
    assert all(len(work) for work in dealt) and len(dealt) <= jobs


@settings(max_examples=60, deadline=None)
@given(**sizes, data=st.data())
def test_what_is_missing_is_what_is_not_done(conditions, replications, data):
    pairs = st.tuples(st.integers(1, conditions), st.integers(1, replications + 5))
    done = data.draw(st.lists(pairs, max_size=80))  # in any order, some twice, some beyond what is asked
    key = key_of(*np.array(done, dtype=np.int64).reshape(-1, 2).T)
    missing = stretches.missing_work(conditions, replications, joined((key, key)))
    found = replications_of(missing)
    assert len(found) == len(set(found)) and set(found) == everything(conditions, replications) - set(done)
    assert (missing.count > 0).all()


def test_nothing_is_missing_when_all_is_done():
    ids = np.array([1, 2, 3])
    assert len(stretches.missing_work(3, 4, (key_of(ids, ids * 0 + 1), key_of(ids, ids * 0 + 4)))) == 0


def test_stretches_become_small_towards_the_end():
    work = stretches.cut(stretches.all_work(3, 10_000), np.array([2, 0, 1]), cores=2)
    assert work.condition[:3].tolist() == [2, 3, 1]  # in the order that was given
    assert work.count[:3].tolist() == [2500] * 3
    assert work.count[-3:].tolist() == [1] * 3
    assert len(work) < 200


def test_there_are_not_too_many_stretches():
    for conditions, replications, cores in [(40, 20, 2), (10_000, 10_000, 64), (100, 10**7, 10_000), (300_000, 50, 8)]:
        work = stretches.cut(stretches.all_work(conditions, replications), np.arange(conditions), cores)
        assert len(work) <= max(1.1 * stretches.MOST_STRETCHES, 44 * cores, conditions)
        assert work.replications == conditions * replications


def test_very_many_jobs_have_equal_shares_in_stretches_that_end_together():
    conditions, replications, jobs, cores = 1000, 10_000, 10_000, 40_000
    work = stretches.cut(stretches.all_work(conditions, replications), np.arange(conditions), cores)
    dealt = [some.replications for some in stretches.deal(work, jobs)]
    assert max(dealt) < 1.1 * conditions * replications / jobs  # it was 1.55 times
    assert work.count.max() <= conditions * replications / cores


def test_a_million_conditions_are_a_million_stretches():
    work = stretches.cut(stretches.all_work(1_000_000, 1), np.arange(1_000_000)[::-1], cores=2)
    assert len(work) == 1_000_000 and work.condition[0] == 1_000_000


def test_jobs_get_stretches_in_turn():
    work = stretches.Work(np.arange(1, 8), np.ones(7, int), np.ones(7, int))
    assert [w.condition.tolist() for w in stretches.deal(work, 3)] == [[1, 4, 7], [2, 5], [3, 6]]
    assert len(stretches.deal(work, 100)) == 7


def test_chunks_are_of_the_size_asked_for():
    work = stretches.Work(np.array([1, 2]), np.array([1, 4]), np.array([5, 2]))
    out = stretches.chunks(work, 2)
    assert out.condition.tolist() == [1, 1, 1, 2]
    assert out.first.tolist() == [1, 3, 5, 4]
    assert out.count.tolist() == [2, 2, 1, 2]
