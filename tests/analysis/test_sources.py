"""Runs and tables as sources of estimates."""

import pyarrow as pa
import pytest
from simferry.analysis.sources import of_table
from simferry.errors import UsageError


def test_a_table_is_sorted_by_condition_and_data_set():
    found = of_table(pa.table({"set": ["y", "x", "y"], "condition": [2, 1, 1], "b": [1.0, 2, 3]}), "set")
    (rows,) = found.pieces()
    assert rows.to_pydict() == {"condition": [1, 1, 2], "replication": [1, 2, 1], "b": [3, 2, 1]}
    assert found.done.tolist() == [2, 1] and found.is_paired and not found.is_single


def test_a_table_without_data_sets_has_rows():
    found = of_table(pa.table({"b": [1.0, 2, 3]}))
    assert found.done.tolist() == [3] and not found.is_paired and found.is_single


def test_what_is_no_number_of_a_condition_is_refused():
    with pytest.raises(UsageError, match="no numbers of conditions"):
        of_table(pa.table({"condition": [0, 1], "b": [1.0, 2]}))
    with pytest.raises(UsageError, match="no column 'sett'"):
        of_table(pa.table({"set": [1], "b": [1.0]}), "sett")
