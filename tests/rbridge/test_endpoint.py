"""Endpoints as R has them: data frames go out as CSV, answers come as vectors and data frames."""

import os

import numpy as np
import pandas as pd
from bridge_requests import call
from hosting_accounts import IMAGE
from simferry import hosting as package
from simferry.r.serialization import Vector
from simferry.r.values import to_r


def value_of(verb, **arguments):
    answer = call(verb, _environment=dict(os.environ), **arguments)
    assert answer["ok"].plain(), answer["error"].plain()
    return answer["value"]


def text(value):
    return Vector("string", [value])


def flag(value):
    return Vector("logical", [value])


def to_end(step):
    step = step.plain()
    while step["kind"] == "line":
        step = value_of("infra_next", answer=flag(True)).plain()
    return step["value"]


def test_deployed_listed_and_deleted(hosting):
    names = ("name", "instance_type", "memory", "concurrency", "budget", "env", "role", "stack")
    given = {
        "image": text(IMAGE), "model": text("model.tar.gz"), "serverless": flag(False), "yes": flag(True),
        **dict.fromkeys(names), "instances": Vector("double", np.array([2.0])),
    }  # fmt: skip
    made = to_end(value_of("endpoint_deploy", **given))
    assert (made["name"], made["instances"], made["dollars_an_hour"]) == ("trees", 2, 0.112)
    assert value_of("endpoint_describe", name=text("trees")).plain()["text"].startswith("endpoint trees  InService")
    listed = dict(value_of("endpoints").items())
    assert listed["name"].plain() == "trees" and listed["dollars_an_hour"].plain() == 0.112
    answer = call("endpoint_describe", _environment=dict(os.environ), name=text("tree"))
    assert answer["error"].plain()["hint"] == "Did you mean trees?"
    assert to_end(value_of("endpoint_delete", name=text("trees"), any=flag(False))) is True
    answer = call("endpoint_logs", _environment=dict(os.environ), name=text("trees"))
    assert answer["error"].plain()["hint"] == "sim_endpoints()  lists them."
    half = {**given, "instances": Vector("double", np.array([1.5]))}
    assert (
        "instances is 1.5" in call("endpoint_deploy", _environment=dict(os.environ), **half)["error"].plain()["message"]
    )


def test_predictions(hosting, monkeypatch):
    asked, answers = (
        [],
        [(b"1\n2\n", "text/csv"), (b"0.1,0.9\n0.2,0.8\n", "text/csv"), (b'["a", "b"]', "application/json")],
    )
    monkeypatch.setattr(package.Endpoint, "answer", lambda self, *given: asked.append(given) or answers.pop(0))
    frame = to_r(pd.DataFrame({"x": [0.1 + 0.2, np.nan], "kind": ["a", "b,c"]}))
    given = {
        "name": text("trees"),
        "data": frame,
        "content_type": text("text/csv"),
        "accept": None,
        "header": flag(False),
    }
    assert value_of("endpoint_predict", **given).plain() == [1, 2]
    assert asked[0] == (b'0.30000000000000004,a\n,"b,c"\n', "text/csv", None)
    found = value_of("endpoint_predict", **given)
    assert found.names == ["V1", "V2"] and found.values[1].plain() == [0.9, 0.8]
    assert value_of("endpoint_predict", **given).plain() == ["a", "b"]


def test_bodies_of_requests(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(package.Endpoint, "answer", lambda self, *given: asked.append(given) or (b"\x00\x01", "x/y"))
    given = {"name": text("trees"), "file": None, "content_type": text("text/csv"), "accept": text("x/y")}
    got = value_of("endpoint_invoke", body=Vector("string", ["1,2", "3,4"]), **given)
    assert dict(got.items())["body"].values.tobytes() == b"\x00\x01"
    value_of("endpoint_invoke", body=Vector("raw", np.array([1, 0], dtype="u1")), **given)
    value_of("endpoint_invoke", body=None, **{**given, "file": text(str(tmp_path / "f"))})
    assert asked == [
        ("1,2\n3,4", "text/csv", "x/y"),
        (b"\x01\x00", "text/csv", "x/y"),
        (tmp_path / "f", "text/csv", "x/y"),
    ]


def test_transform(monkeypatch):
    given = []

    def transform(*, tell, **options):
        tell("a line")
        given.append(options)
        return package.batch_transform.Transformed("job", "answers", ["answers/a.csv.out"], 90, None)

    monkeypatch.setattr(package, "transform", transform)
    names = ("accept", "instance_type", "name", "env", "role", "stack")
    done = to_end(
        value_of(
            "transform", image=text("trees"), model=None, source=text("a.csv"), output=text("answers"), split=text("lines"),
            content_type=text("text/csv"), single=flag(False), instances=Vector("double", np.array([1.0])), **dict.fromkeys(names),
        )
    )  # fmt: skip
    assert done["files"] == "answers/a.csv.out" and done["dollars"] != done["dollars"] and given[0]["instances"] == 1
