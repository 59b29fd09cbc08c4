"""The bridge to the R package, without reticulate: one request, one answer."""

import os

from bridge_requests import call, error_of, finished, value_of
from simferry.jobs import streams
from sweeps import write


def test_errors_have_a_code_a_message_and_a_hint():
    error = error_of("open", run="nowhere", store="/nonexistent")
    assert error["code"] == "run_not_found" and error["hint"].startswith('sim_list(store = "/nonexistent")')
    assert error_of("design", kind="grid", parameters={"n": []})["code"] == "design"
    error = error_of("run", simulation=5)
    assert error["code"] == "usage" and "neither a function nor" in error["message"]


def test_a_fault_of_its_own_says_where():
    error = error_of("design")
    assert error["code"] == "internal" and "designs.py:" in error["message"]


def test_the_environment_is_rs_for_the_time_of_a_call(tmp_path, monkeypatch):
    monkeypatch.setenv("ONLY_PYTHON_HAS_IT", "1")
    answer = call("list", _environment={"SIMFERRY_STORE": str(tmp_path / "of-r")})
    assert answer["ok"].plain() and len(answer["value"].values[0]) == 0
    assert os.environ["ONLY_PYTHON_HAS_IT"] == "1" and "SIMFERRY_STORE" not in os.environ


def test_warnings_and_notes_are_told_once_each(tmp_path, monkeypatch):
    script = str(write(tmp_path, "s.R", "simulate <- function(n) { set.seed(1); rnorm(1) }\n"))
    made = value_of(
        "run", simulation=script, design={"n": 1.0}, replications=5.0, seed=1.0, store=str(tmp_path)
    ).plain()
    finished(made["folder"])
    answer = call("results", run=made["folder"])
    assert "set the same seed, 1" in answer["notes"].plain() and len(answer["warnings"].values) == 0
    monkeypatch.setitem(streams.VERSIONS, ("r", "function"), 99)
    answer = call("replay", run=made["folder"], condition=1.0, replication=1.0)
    assert "by version 2 of simferry's rules" in answer["notes"].plain() and len(answer["warnings"].values) == 0
