"""What the figures of single estimates show."""

import numpy as np
from simferry.report.marks import _kept


def test_intervals_that_do_not_cover_are_kept_as_far_as_there_is_room():
    rank, covers = np.arange(1000.0), np.arange(1000) < 950
    kept = _kept(rank, covers, 100)
    assert (~covers[kept]).sum() == 50 and len(kept) == 100
    assert (
        (~covers[_kept(rank, ~covers, 100)]).sum() == 33
        and len(_kept(rank, ~covers, 100)) == 133
        and len(_kept(rank, covers, 5000)) == 1000
    )
    assert (~covers[_kept(rank, covers, 30)]).sum() == 30
