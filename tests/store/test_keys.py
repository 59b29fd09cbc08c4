"""What the parts of a run are called."""

import numpy as np
import pytest
from simferry.store.keys import BlockName, JobId, key_of, of_key


def test_a_jobs_name_is_made_and_taken_apart_in_one_place():
    job = JobId.of("0002", 17)
    assert (job, job.plan, job.number) == ("0002-0017", "0002", "0017")
    assert JobId.of("12345", 100_000).number == "100000"


@pytest.mark.parametrize(
    "name, parsed",
    [
        ("0001-0002-1-03.000004-r17-f2", ("0001", "0001-0002", 17, 2)),
        ("0000-0000-1-00.000001-r1000000-f0", ("0000", "0000-0000", 1000000, 0)),
        (".0001-0002-1-03.000004-r17-f2", None),
        ("0001-0002-1-03.000004-r17-f2~", None),
        ("notes.txt", None),
    ],
)
def test_a_blocks_name_tells_what_is_in_it(name, parsed):
    block = BlockName.parse(name)
    assert (block and (block.plan, block.job, block.replications, block.failed)) == parsed


def test_replications_sort_by_condition_first():
    condition, replication = np.array([1, 2, 1], dtype=np.int32), np.array([2**31 - 1, 1, 7], dtype=np.int32)
    keys = key_of(condition, replication)
    assert np.argsort(keys).tolist() == [2, 0, 1]
    assert [part.tolist() for part in of_key(keys)] == [condition.tolist(), replication.tolist()]
