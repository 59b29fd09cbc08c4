"""A table of estimates as rows of features."""

import numpy as np
import pyarrow as pa
import pytest
from simferry.analysis import estimates
from simferry.analysis.estimates import Estimates
from simferry.analysis.measure import measures
from simferry.analysis.outliers import Outliers
from simferry.analysis.statistics import STATISTICS, available
from simferry.errors import UsageError
from simferry.sweep.roles import roles


def table(rows=300):
    rng = np.random.default_rng(1)
    return pa.table({
        "condition": np.repeat([1, 2], rows // 2), "replication": np.tile(np.arange(1, rows // 2 + 1), 2),
        "b": rng.normal(size=rows), "s": 1 + rng.random(rows), "flag": rng.random(rows) < 0.5, "name": ["x"] * rows,
    })  # fmt: skip


GIVEN = roles({"estimate": "b,flag", "truth": 0.1, "se": "s,s", "by": []})


def test_each_estimate_has_cells_of_its_own():
    found = Estimates(lambda: [table()], table().schema, GIVEN, 2)
    pieces = list(found.pieces())
    assert found.cells == 4 and [np.unique(rows.cell).tolist() for rows in pieces] == [[0, 2], [1, 3]]
    assert set(pieces[1].features["estimate"]) == {0.0, 1.0}


@pytest.mark.parametrize("outliers", [Outliers(), Outliers(winsor=1.0)])
def test_pieces_and_what_stays_in_memory_do_not_change_a_bit(monkeypatch, outliers):
    whole = Estimates(lambda: [table()], table().schema, GIVEN, 2, outliers=outliers)
    known = available(next(whole.pieces()).features)
    expected = measures(whole.pieces, whole.cells, known)
    monkeypatch.setattr(estimates, "MOST_KEPT", 100)
    cut = Estimates(lambda: [table().slice(0, 70), table().slice(70)], table().schema, GIVEN, 2, outliers=outliers)
    found = measures(cut.pieces, cut.cells, known)
    for name in set(known) & set(STATISTICS):
        assert found[name].estimate.tobytes() == expected[name].estimate.tobytes()
        assert found[name].mcse.tobytes() == expected[name].mcse.tobytes()
    assert cut.excluded.counts == whole.excluded.counts


def test_columns_that_do_not_fit_are_one_error():
    with pytest.raises(UsageError, match="holds string; numbers are needed"):
        Estimates(lambda: [table()], table().schema, roles({"estimate": "name"}), 2)
    with pytest.raises(UsageError, match="there is no column 'bb'"):
        Estimates(lambda: [table()], table().schema, roles({"estimate": "bb"}), 2)
