"""Single estimates by condition."""

import numpy as np
import pyarrow as pa
from simferry.analysis.cells import Cells
from simferry.analysis.sources import Source
from simferry.report.samples import evenly, name_of, samples
from simferry.sweep.roles import roles


def test_the_rows_of_a_condition_are_together_however_they_are_read():
    table = pa.table({"condition": [1, 1, 1, 1, 2, 2], "replication": [1, 1, 2, 2, 1, 1], "m": list("abab") + list("ab"),
                      "est": [1.0, 2, 3, 4, 5, 6]})  # fmt: skip
    pieces = lambda: [table.slice(0, 2), table.slice(2)]  # noqa: E731
    cells = Cells(
        Source(pieces, table.schema, np.array([2, 1]), np.zeros(2, dtype=int)), roles({"estimate": "est"}), True
    )
    found = dict(samples(cells))
    assert [one.features["estimate"].tolist() for one in found[0]] == [[1, 3], [2, 4]] and [
        one.many for one in found[1]
    ] == [1, 1]
    assert found[0][0].unit.tolist() == found[0][1].unit.tolist() and len(set(found[0][0].unit.tolist())) == 2
    assert [name_of(cells, i) for i in (0, 1)] == ["a", "b"]


def test_rows_are_thinned_evenly():
    assert (
        evenly(5, 10).tolist() == [0, 1, 2, 3, 4] and evenly(101, 3).tolist() == [0, 50, 100] and not len(evenly(0, 3))
    )
