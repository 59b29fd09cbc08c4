"""What simulations return, as rows of a block's tables."""

from simferry.worker.rows import column_of, result_tables


def test_python_integers_that_no_double_holds_are_kept_as_text():
    assert column_of([1, 2**31 - 1]).kind == "integer"
    assert column_of([1, 2**60, None]).values.tolist()[:2] == [1.0, 2.0**60]
    assert column_of([1, 2**53 + 1]).strings() == ["1", "9007199254740993"]
    assert column_of([10**400]).strings() == [str(10**400)]
    assert column_of([0.5, True, "a", 20.0]).strings() == ["0.5", "TRUE", "a", "20"]


def test_outputs_named_like_the_ids_do_not_take_their_place():
    (made,) = result_tables([1, 1], [1, 2], [{"condition": 5.0, "replication": 6.0}] * 2)
    assert {n: c.values.tolist() for n, c in made.columns.items()} == {
        "condition": [1, 1], "replication": [1, 2], "condition_result": [5, 5], "replication_result": [6, 6],
    }  # fmt: skip
