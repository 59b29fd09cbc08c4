"""Spans of replications: as sets of their keys, but in little memory."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from simferry.store import spans

stretches = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=12)  # first key, and how many more


def arrays(pairs):
    first = np.array([first for first, _ in pairs], dtype=np.int64)
    return first, first + np.array([more for _, more in pairs], dtype=np.int64)


def keys(of):
    return [key for first, last in zip(*(ends.tolist() for ends in of), strict=True) for key in range(first, last + 1)]


@given(stretches, stretches)
def test_joined_spans_hold_each_key_once_and_in_order(some, others):
    found = spans.joined(arrays(some), arrays(others))
    assert keys(found) == sorted({*keys(arrays(some)), *keys(arrays(others))})
    assert (found[0][1:] > found[1][:-1] + 1).all()  # as few spans as possible
    assert spans.size_of(found) == len(keys(found))


@given(stretches, st.sets(st.integers(0, 80)))
def test_without_some_keys(some, gone):
    apart = spans.joined(arrays(some))
    left = spans.without(apart, np.array(sorted(gone), dtype=np.int64))
    assert keys(left) == sorted({*keys(apart)} - gone)
    assert spans.holds(apart, np.arange(80)).tolist() == [key in keys(apart) for key in range(80)]


@given(stretches, stretches)
def test_spans_overlap_where_a_key_is_in_both(some, others):
    apart = spans.joined(arrays(some))
    assert spans.overlap(apart, arrays(others)) == bool({*keys(apart)} & {*keys(arrays(others))})


def test_how_many_there_are_of_each_condition():
    found = np.array([1 << 32 | 3, 3 << 32 | 1]), np.array([1 << 32 | 9, 3 << 32 | 1])
    assert spans.of_each_condition(found, 4).tolist() == [7, 0, 1, 0]


@given(st.lists(st.sets(st.integers(0, 60), min_size=1), max_size=12))
def test_a_set_that_grows(several):
    grown, known = spans.Growing(), set()
    for some in several:
        grown.add(np.array([*(some - known)], dtype=np.int64))
        known |= some
        assert grown.holds(np.arange(62)).tolist() == [key in known for key in range(62)]
    assert len(grown) == len(known) and keys(grown.spans()) == sorted(known)
