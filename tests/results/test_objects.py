"""What is said of values that no column holds."""

import pyarrow as pa
from simferry.results.objects import Objects, found, noted


def test_objects_are_counted_by_the_name_of_the_value():
    table = pa.table(
        {"condition": [1, 1, 2], "replication": [1, 2, 1], "output": ["fit", "", "fit"], "kind": ["lm", "dict", "glm"]}
    )
    assert noted(found(table)) == [Objects("fit", "lm", 2, 1, 1), Objects("", "dict", 1, 1, 2)]
    assert found(table[:0]) == {} and noted(None) == noted({b"simferry.objects": b"[[1]]"}) == []
