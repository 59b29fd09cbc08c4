"""A table of estimates as rows of features."""

import numpy as np
import pyarrow as pa
import pytest
from simferry.analysis import estimates
from simferry.analysis.cells import Cells
from simferry.analysis.estimates import Estimates
from simferry.analysis.measure import measures
from simferry.analysis.measure_table import contrast_table, measure_table
from simferry.analysis.outliers import Outliers
from simferry.analysis.sources import of_table
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
    found = Estimates(lambda _: [table()], table().schema, GIVEN, 2)
    pieces = list(found.pieces())
    assert found.cells == 4 and [np.unique(rows.cell).tolist() for rows in pieces] == [[0, 2], [1, 3]]
    assert set(pieces[1].features["estimate"]) == {0.0, 1.0}


@pytest.mark.parametrize("outliers", [Outliers(), Outliers(winsor=1.0)])
def test_pieces_and_what_stays_in_memory_do_not_change_a_bit(monkeypatch, outliers):
    whole = Estimates(lambda _: [table()], table().schema, GIVEN, 2, outliers=outliers)
    known = available(next(whole.pieces()).features)
    expected = measures(whole.pieces, whole.cells, known)
    monkeypatch.setattr(estimates, "MOST_KEPT", 100)
    cut = Estimates(lambda _: [table().slice(0, 70), table().slice(70)], table().schema, GIVEN, 2, outliers=outliers)
    found = measures(cut.pieces, cut.cells, known)
    for name in set(known) & set(STATISTICS):
        assert found[name].estimate.tobytes() == expected[name].estimate.tobytes()
        assert found[name].mcse.tobytes() == expected[name].mcse.tobytes()
    assert cut.excluded.counts == whole.excluded.counts


def test_columns_that_do_not_fit_are_one_error():
    with pytest.raises(UsageError, match="holds string; numbers are needed"):
        Estimates(lambda _: [table()], table().schema, roles({"estimate": "name"}), 2)
    with pytest.raises(UsageError, match="there is no column 'bb'"):
        Estimates(lambda _: [table()], table().schema, roles({"estimate": "bb"}), 2)


def test_conditions_that_do_not_fit_the_memory_are_looked_at_one_after_the_other(monkeypatch):
    """Which does not change a bit; a condition that is too large alone is not kept."""
    given, want = (
        roles({"estimate": "b", "truth": 0.1, "se": "s", "by": "name", "reference": "x"}),
        ["mean", "rmse", "relative_precision"],
    )
    many = pa.concat_tables([
        table().set_column(0, "condition", pa.array(np.repeat([c, c + 1], 150))) for c in (1, 3, 5)
    ])  # fmt: skip
    many = many.set_column(5, "name", pa.array(["x", "y"] * 450))
    many = many.set_column(1, "replication", pa.array(np.tile(np.repeat(np.arange(75), 2), 6)))
    whole = measure_table(of_table(many), given, want, at=[0.3])
    differences = contrast_table(of_table(many), given)
    for kept, together, chapters in ((800, 300, 3), (160, 10, 6), (100, 10, 1)):
        monkeypatch.setattr(estimates, "MOST_KEPT", kept)
        monkeypatch.setattr(estimates, "MOST_TOGETHER", together)
        monkeypatch.setattr(estimates, "ROWS", 64)
        found = Cells(of_table(many), given, True)
        assert len([*found.estimates.chapters()]) == chapters
        assert measure_table(of_table(many), given, want, at=[0.3]).table == whole.table
        assert contrast_table(of_table(many), given).table == differences.table
