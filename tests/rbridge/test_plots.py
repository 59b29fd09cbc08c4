"""The data of figures, for R."""

from bridge_requests import call
from simferry.r.serialization import Vector


def test_the_data_of_a_figure_are_data_frames():
    table = Vector(
        "list",
        [Vector("double", [1.0, 2.0, 3.0, 4.0]), Vector("double", [1.0, 1.0, 2.0, 2.0])],
        {"names": Vector("string", ["b", "condition"])},
    )
    asked = {"table": table, "estimate": Vector("string", ["b"]), "truth": Vector("double", [1.0])}
    answer = call("figure_data", _environment={}, kind=Vector("string", ["nested_loop"]), **asked)
    assert answer["ok"].plain(), answer["error"].plain()
    value = answer["value"].plain()
    assert value["data"]["estimate"] == [0.5, 2.5] and value["panels"] == {"measure": "bias", "nominal": 0.0}
    assert value["loops"] is None and value["methods"] == "" and value["kind"] == "nested_loop"
    answer = call(
        "figure_data",
        _environment={},
        kind=Vector("string", ["estimates"]),
        conditions=Vector("double", [2.0]),
        **asked,
    )
    assert answer["value"].plain()["data"]["estimate"] == [3.0, 4.0]
    answer = call("figure_data", _environment={}, kind=Vector("string", ["zipp"]), **asked)
    assert answer["error"].plain()["hint"] == "Did you mean zip?"
