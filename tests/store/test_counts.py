"""Numbers of replications: one for all conditions, or one for each."""

import numpy as np
import pytest
from simferry.store import counts


def test_equal_numbers_are_one_number():
    assert counts.simplest([5, 5, 5]) == 5
    assert counts.simplest([5, 6]) == (5, 6)


def test_each_and_total():
    assert counts.each(3, 2).tolist() == [3, 3]
    assert counts.each((3, 1), 2).tolist() == [3, 1]
    assert counts.each(3, 2).dtype == np.int64
    assert (counts.total(3, 2), counts.total((3, 1), 2)) == (6, 4)
    with pytest.raises(ValueError, match="2 numbers of replications for 3 conditions"):
        counts.each((3, 1), 3)


def test_the_largest_of_several():
    assert counts.largest(3, 7) == 7
    assert counts.largest((3, 9), 7) == (7, 9)
    assert counts.largest((3, 9), (9, 3)) == 9
    with pytest.raises(ValueError):
        counts.largest((1, 2), (1, 2, 3))


def test_limits_sums_and_words():
    assert (counts.at_most(7, 3), counts.at_most((2, 7), 3), counts.at_most((4, 7), 3)) == (3, (2, 3), 3)
    assert (counts.plus(7, 3), counts.plus((2, 7), 3)) == (10, (5, 10))
    assert counts.in_words(1) == "1 replication"
    assert counts.in_words((5000, 100)) == "100 to 5,000 replications"
