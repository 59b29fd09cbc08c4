"""What a process keeps until a block is written."""

import numpy as np
import pandas as pd
import pytest
from simferry.worker.rows import Refused, result_tables
from simferry.worker.unsaved import Part, Unsaved
from simferry.worker.values import rows_of


def test_values_of_several_kinds_and_names_become_tables_of_their_own_rows():
    given = [
        {"x": 1.5, "y": np.float64(2)},
        {"x": -0.0, "y": np.nan},
        7.5,
        {"y": 3.0, "x": 4.0},
        {"x": 1, "y": np.bool_(1)},
    ]
    given += [{}, 8.5, {"x": 5.0, "y": 6.0}, np.int8(3)]
    unsaved = Unsaved()
    assert all(unsaved.values.add(value) for value in given)
    assert not any(unsaved.values.add(value) for value in (None, [1.0], {"x": [1]}, {1: 2.0}, 1j, np.longdouble(1)))
    unsaved.parts = [Part(0, 1, 1, 5, True, 0.5), Part(1, 2, 1, 4, False, 0.25), Part(1, 2, 5, 1, False, 1.0)]
    replications, *results = unsaved.tables(of_functions=True)
    assert replications.columns["ok"].values.tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    assert replications.columns["seconds"].values.tolist() == [0.5] * 5 + [0.25] * 4 + [1.0]
    found = {}
    for table in results:
        condition, replication, *columns = ((name, column.values.tolist()) for name, column in table.columns.items())
        for c, r, *cells in zip(condition[1], replication[1], *(values for _, values in columns), strict=True):
            found[c, r] = dict(zip((name for name, _ in columns), cells, strict=True))
    assert repr(found[1, 2]) == "{'x': -0.0, 'y': nan}" and found[2, 1] == {"x": 1, "y": 1} and (2, 2) not in found
    assert found[1, 1] == {"x": 1.5, "y": 2} and found[1, 3] == {"value": 7.5} and list(found[1, 4]) == ["y", "x"]
    assert found[2, 3] == {"value": 8.5} and found[2, 4] == {"x": 5, "y": 6} and found[2, 5] == {"value": 3}


def test_what_belongs_to_replications_that_have_not_ended_is_forgotten():
    unsaved = Unsaved()
    for value in (1.0, 2.0, {"x": 3.0}, {"x": "a"}, {"x": 4.0}, 5.0):
        unsaved.values.add(value)
    unsaved.parts = [Part(0, 1, 1, 3, False, 0.0), Part(0, 1, 4, 2, True, 0.0), Part(0, 1, 6, 1, False, 0.0)]
    unsaved.failures = [(1, 5, "no", "", ""), (1, 7, "later", "", "")]
    unsaved.warned = {(1, 2, "careful"): 1, (1, 7, "later"): 1}
    unsaved.keep_first(2)
    assert (
        len(unsaved.parts) == 2
        and unsaved.failures == [(1, 5, "no", "", "")]
        and unsaved.warned == {(1, 2, "careful"): 1}
    )
    assert [segment.count for segment in unsaved.values.segments] == [0, 2, 1, 1, 0, 0]
    assert unsaved.values.add(6.0) and unsaved.values.segments[-1].numbers.tolist() == [6.0]


def test_long_columns_are_kept_as_arrays_that_the_simulation_can_change_no_more():
    given = {
        "x": np.arange(20_000.0),
        "i": np.arange(20_000),
        "b": np.arange(20_000) % 2 == 0,
        "big": np.arange(20_000) + 2**60,
    }
    frame = pd.DataFrame(given)
    rows = rows_of(frame)
    assert type(rows["x"]) is np.ndarray
    frame.loc[:, "x"] = -1.0
    (long,) = result_tables([1], [1], [rows])
    short = result_tables(
        [1] * 4, [1, 2, 3, 4], [rows_of(pd.DataFrame(given).iloc[at : at + 5000]) for at in range(0, 20_000, 5000)]
    )
    for name in given:
        assert (
            long.columns[name].kind == short[0].columns[name].kind
            and long.columns[name].form == short[0].columns[name].form
        )
        assert long.columns[name].values.tolist() == short[0].columns[name].values.tolist()
    assert long.columns["big"].text == short[0].columns["big"].text


@pytest.mark.parametrize(
    "value", ["np.zeros(n)", "[0.5] * n", "np.zeros((2, n))", "dict.fromkeys(map(str, range(n)), 0.5)"]
)
def test_a_row_of_more_than_a_million_outputs_is_refused(value):
    value = eval(value, {"np": np, "n": 1_000_001})
    assert not Unsaved().values.add(value)
    with pytest.raises(Refused, match="returned 1,000,001 outputs in a row"):
        rows_of(value)


def test_a_replication_that_gives_very_many_different_warnings_has_the_others_counted_together():
    unsaved = Unsaved()
    for replication in (1, 2):
        for i in range(2000):
            unsaved.warn(1, replication, f"step {i % 1500}")
    found = {message: count for (_, replication, message), count in unsaved.warned.items() if replication == 2}
    assert len(found) == 1001 and found["step 7"] == 2 and found["step 999"] == 1
    assert found["other warnings, after 1,000 different ones"] == 500
