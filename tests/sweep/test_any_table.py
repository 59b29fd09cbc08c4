"""Tables of any kind as Arrow's; tests/verbs/test_measures.py has those of pandas, Polars, Arrow and files."""

import pytest
from simferry.errors import UsageError
from simferry.sweep.any_table import as_arrow, is_table_file


def test_what_is_no_table_is_one_error():
    with pytest.raises(UsageError, match="a int is no table"):
        as_arrow(3)
    assert as_arrow({"a": [1]}).to_pylist() == [{"a": 1}]


def test_a_file_is_told_by_its_ending():
    assert is_table_file("a.CSV") and is_table_file("a.parquet") and not is_table_file("theta") and not is_table_file(3)
