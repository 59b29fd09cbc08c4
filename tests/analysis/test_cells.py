"""Which cells there are, and what each is compared with."""

import numpy as np
import pyarrow as pa
import pytest
from simferry.analysis.cells import Cells
from simferry.analysis.sources import of_table
from simferry.errors import UsageError
from simferry.sweep.roles import roles

TABLE = pa.table({
    "condition": [1, 1, 1, 2, 2, 4], "replication": [1, 1, 2, 1, 1, 1], "method": ["a", "b", "a", "a", "c", "a"],
    "size": [1, 1, 1, 1, 1, 2], "b": np.arange(6.0), "b2": np.arange(6.0),
})  # fmt: skip


def test_methods_that_are_in_some_conditions_only_are_told():
    found = Cells(of_table(TABLE), roles({"estimate": "b", "by": "method"}), complete=True)
    assert [label.keys["method"] for label in found.estimates.labels] == ["a", "b", "c"]
    assert found.shown().tolist() == [0, 1, 3, 5, 9] and found.expected()[:4].tolist() == [2, 2, 2, 1]
    assert found.notes() == [
        "b has no rows in 2 conditions, and is left out there",
        "c has no rows in 2 conditions, and is left out there",
    ]


def test_a_parameter_among_the_keys_is_no_method_that_is_missing():
    table = TABLE.set_column(3, "size", pa.array([1.0, 1.0, 1.0, 2.5, 2.5, 1.0]))
    found = Cells(of_table(table), roles({"estimate": "b", "by": "method,size"}), complete=True)
    assert found.notes() == [
        "b, 1 has no rows in 1 condition, and is left out there",
    ]


def test_a_reference_has_the_same_values_of_the_other_columns():
    given = roles({"estimate": "b", "by": "method,size", "reference": "a"})
    found = Cells(of_table(TABLE), given, complete=True)
    labels = [tuple(label.keys.values()) for label in found.estimates.labels]
    assert [labels[other] for other in found.reference] == [("a", one[1]) for one in labels]
    assert found.name_of(0) == "a"


def test_several_estimates_are_methods():
    found = Cells(of_table(TABLE), roles({"estimate": "b,b2", "by": "method", "reference": "b"}), complete=True)
    assert found.reference == [1, 1, 1, 4, 4, 4]  # the methods are those of `by`
    alone = Cells(of_table(TABLE.slice(0, 1)), roles({"estimate": "b,b2", "by": [], "reference": "b2"}), complete=True)
    assert alone.reference == [1, 1] and alone.name_of(1) == "b2"
    wide = TABLE.take([0, 2, 3, 5])
    across = Cells(of_table(wide), roles({"estimate": "b,b2", "by": "size", "reference": "b2"}), complete=True)
    assert across.reference == [2, 3, 2, 3]  # the reference is an estimate: within each size
    assert across.name_of(2) == "b2"


def test_a_reference_may_be_a_number_as_it_is_shown():
    table = TABLE.take([0, 2, 3, 5]).set_column(3, "size", pa.array([1.0, 1.0, 1.0, 2.5]))
    given = {"estimate": "b", "by": "size"}
    assert Cells(of_table(table), roles({**given, "reference": "1"}), complete=True).name_of(0) == "1"
    with pytest.raises(UsageError, match="no row has the size '2'") as caught:
        Cells(of_table(table), roles({**given, "reference": "2"}), complete=True)
    assert caught.value.hint == "There are: 1, 2.5."
