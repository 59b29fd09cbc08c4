"""Searches that are started, and what they have found."""

import json

import pytest
import simferry as sf
from searches import PYTHON, begin, spread  # noqa: F401
from simferry.errors import StoreError, UsageError
from simferry.store import steps
from simferry.verbs import objective, searching

pytestmark = pytest.mark.usefixtures("spread")


def test_limits_and_a_searcher_that_ends(tmp_path):
    for i, (how, why) in enumerate([
        ({"most": 13}, "12 replications"), ({"seconds": 0.001}, "0.001 seconds"), ({"arguments": {"stop": 4}}, "it has enough"),
    ]):  # fmt: skip
        run = begin(tmp_path / str(i), evaluations=None, **how)
        assert steps.over(run._folder.plans()) == why and run.status().finished


def test_a_function_is_the_objective_of_this_session(tmp_path):
    def spread_of(frame):
        return frame["y"].max() - frame["x"].iloc[0]

    run = begin(tmp_path, aim=spread_of, evaluations=2)
    frame, trace = run.results(), searching.trace(run._folder)
    assert trace["mean"].tolist() == [spread_of(frame[frame["condition"] == i]) for i in (1, 2)]
    assert list(trace.columns) == ["evaluation", "condition", "x", "replications", "mean", "mcse", "failed", "told"]
    objective.FUNCTIONS.clear()
    assert run.resume().status().finished
    (run.folder / "plan" / "0003" / "plan.json").unlink()  # as if it had not ended
    assert searching.trace(run._folder)["told"].isna().all() and run.status().state == "incomplete"
    with pytest.raises(UsageError, match="is a function, which is not kept"):
        sf.open(run.folder).resume()


def test_what_cannot_be_searched(tmp_path):
    with pytest.raises(UsageError, match="no output 'lost'"):
        begin(tmp_path, aim="lost", evaluations=2)
    run = sf.open("latest", tmp_path / "runs")
    with pytest.raises(UsageError, match="can't go on in the background"):
        begin(tmp_path, aim=len, detach=True)
    with pytest.raises(UsageError, match="until is not for a search"):
        begin(tmp_path, n=None, options={"until": {"y": 0.1}})
    with pytest.raises(UsageError, match="nothing to ask"):
        begin(tmp_path, arguments={"stop": 0})
    for changed, match in [
        ({"kind": "other"}, "no search of kind 'other'"),
        ({"at_once": "x"}, "can't be read"),
        ({}, "can't be read"),
    ]:
        record = json.loads((run.folder / "run.json").read_text())
        (run.folder / "run.json").write_text(
            json.dumps(record | {"search": {**record["search"], **changed} if changed else {"a": 1}})
        )
        with pytest.raises(StoreError, match=match if changed else "no search of kind"):
            sf.open(run.folder).resume()
        (run.folder / "run.json").write_text(json.dumps(record))
