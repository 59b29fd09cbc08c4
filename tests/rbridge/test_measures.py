"""Measures of R's data frames."""

from bridge_requests import call
from simferry.r.serialization import Vector


def test_a_data_frame_of_r_is_a_table():
    table = Vector(
        "list",
        [Vector("double", [1.0, 2.0, 3.0]), Vector("string", ["a", "a", "a"])],
        {"names": Vector("string", ["b", "m"])},
    )
    answer = call("measures", _environment={}, table=table, estimate=Vector("string", ["b"]), truth=Vector("double", [1.0]),
                  measures=Vector("string", ["bias"]))  # fmt: skip
    assert answer["ok"].plain(), answer["error"].plain()
    value = answer["value"].plain()
    assert value["estimate"] == 1.0 and value["replications"] == 3
