"""The steps of a search in plans: how a design grows, and what is wanted of it."""

import datetime
import json
import math
from pathlib import Path

import numpy as np
import pytest
import simferry as sf
from hand_made import outputs_of, pairs
from simferry.backends.local import Local
from simferry.errors import StoreError, UsageError
from simferry.jobs import plan
from simferry.jobs.stretches import Work
from simferry.store import folder_store
from simferry.store.records import PlanRecord
from simferry.store.steps import Step, Told, pending
from simferry.sweep.conditions import check_key, read_conditions
from simferry.verbs.runs import Run

POINT = {"x": 1 / 3, "k": 7, "text": 'a "b",\nc'}
TYPES = {"x": "number", "k": "integer", "text": "string"}


def one(**point):
    return sf.table({name: [value] for name, value in point.items()}, types=TYPES)


def evaluate(run, condition, last, added=None, count=None, **step):
    """A plan of an evaluation, as the driver writes it. Returns its number."""
    count = count or last
    work = Work(*(np.array([value]) for value in (condition, last - count + 1, count)))
    jobs = plan.add_plan(
        run, Local(), work, "search", replications=last, jobs=1, changed_code={}, copies=False,
        step=Step(condition=condition, **step), added=added,
    )  # fmt: skip
    return jobs[0].plan


def test_a_design_grows(hand_made):
    made = hand_made(one(**POINT), search={"kind": "test"}, simulation={"language": "python"})
    run = made.run
    assert run.record.search and json.loads((run.path / "run.json").read_text())["format"] == 3
    assert run.replications == 0 and run.conditions == 1
    first = evaluate(run, 1, 10)
    evaluate(run, 2, 10, one(x=0.1 + 0.2, k=8, text="NA"))
    evaluate(run, 3, 10, one(x=-0.0, k=9, text=""), told=(Told(first, 0.1 + 0.2, math.nan, 10),))
    evaluate(run, 2, 30, count=20)
    again = folder_store.Store(run.path.parent).find(run.id)
    design = read_conditions(again)
    assert [design.condition(i) for i in range(3)] == [
        POINT,
        {"x": 0.1 + 0.2, "k": 8, "text": "NA"},
        {"x": 0, "k": 9, "text": ""},
    ]
    assert math.copysign(1, design.table["x"][2].as_py()) == -1
    assert again.conditions == 3 and again.replications == (10, 30, 10)
    told = again.plans()[2].step.told[0]
    assert told.mean == 0.1 + 0.2 and math.isnan(told.mcse) and told.evaluation == "0001"
    assert Run(again).design()["k"].tolist() == [7, 8, 9]
    # blocks of conditions that were added are in the tables, also when the run was opened before they were
    made.add(pairs(1, [1]), [outputs_of(1, [1], y=[1.0])])
    assert Run(run).results()["y"].tolist() == [1]
    made.add(pairs(3, [1, 2]), [outputs_of(3, [1, 2], y=[2.0, 3.0])])
    opened = Run(folder_store.Store(run.path.parent).find(run.id))
    assert opened.results()["k"].tolist() == [7, 9, 9]
    evaluate(run, 4, 10, one(x=5.0, k=10, text="d"))
    made.add(pairs(4, [1]), [outputs_of(4, [1], y=[4.0])])
    assert opened.results()["k"].tolist() == [7, 9, 9, 10] and opened.summary()["condition"].tolist() == [1, 2, 3, 4]
    check_key(opened._folder, 4, 1)
    with pytest.raises(UsageError, match="conditions 1 to 4, not 5"):
        check_key(opened._folder, 5, 1)


def test_the_random_numbers_of_a_condition_do_not_depend_on_when_it_was_added(hand_made):
    whole = plan.streams_of(sf.table({"x": [1.0, 2.0], "k": [1, 2]}), 1, [], "function")
    made = hand_made(sf.table({"x": [1.0], "k": [1]}), search={"kind": "test"}, simulation={"language": "python"})
    design = sf.table({"x": [2.0], "k": [2]}, types={"x": "number", "k": "number"})
    evaluate(made.run, 2, 10, design)
    grown = plan.streams_of(read_conditions(made.run), 1, [], "function")
    ids = np.array([1, 2])
    assert all(
        (a == b).all() for a, b in zip(grown.conditions(ids).values(), whole.conditions(ids).values(), strict=True)
    )


def test_an_evaluation_that_was_given_up_is_not_wanted(hand_made):
    run = hand_made(one(**POINT), search={"kind": "test"}, simulation={"language": "python"}).run
    first = evaluate(run, 1, 10)
    second = evaluate(run, 2, 10, one(x=2.0, k=1, text="b"), told=(Told(first, math.nan, math.nan, 0, True, 10),))
    assert run.replications == (0, 10)
    evaluate(run, 1, 20, count=10, told=(Told(second, 1.0, 0.1, 10),))
    assert run.replications == 10
    # an extension is of the conditions that are there
    time = datetime.datetime.now(datetime.timezone.utc)
    run.add_plan(PlanRecord(reason="extend", replications=40, jobs=0, to_do=0, created=time, backend_options={}), {})
    evaluate(run, 3, 10, one(x=3.0, k=1, text="c"))
    assert run.replications == (40, 40, 10)


def test_plans_that_may_start_yet_are_those_of_evaluations_that_were_not_told(hand_made):
    run = hand_made(one(**POINT), search={"kind": "test"}, simulation={"language": "python"}).run
    assert pending(run.plans()) == set()
    first, second = evaluate(run, 1, 10), evaluate(run, 2, 10, one(x=2.0, k=1, text="b"))
    assert pending(run.plans()) == {first, second}
    again = evaluate(run, 1, 20, count=10, told=(Told(first, 1.0, 0.1, 10),))
    assert pending(run.plans()) == {second, again}


def test_records_that_others_have_written_are_refused(hand_made):
    run = hand_made(one(**POINT), search={"kind": "test"}, simulation={"language": "python"}).run
    evaluate(run, 2, 10, one(x=2.0, k=1, text="b"))
    path = run.path / "plan" / "0001" / "plan.json"
    good = json.loads(path.read_text())

    def refused(match, read=lambda: read_conditions(run), **changed):
        path.write_text(json.dumps({**good, **changed}))
        run.look()
        with pytest.raises(StoreError, match=match):
            read()

    wanted = lambda: run.replications  # noqa: E731
    refused("numbers of conditions", added=[good["added"][0].replace("2,", "7,", 1)])
    refused("can't be read", added=["2,nothing\n"])
    refused("can't be read", added=[good["added"][0], ""])
    refused("rows of conditions.csv", added=[1])
    for step, match in [
        ({"told": [{"evaluation": 1}]}, "other fields than evaluation"), ({"condition": 9}, "other conditions"),
        ({"more": 9}, "other fields"),
        ({"condition": -1}, "its condition is -1"), ({"condition": True}, "its condition is True"), ({"told": 1}, "its told is 1"),
    ]:  # fmt: skip
        refused(match, wanted, step={"seconds": 1, **step})


def test_a_run_that_does_not_search_has_the_format_that_it_had(hand_made):
    run = hand_made(sf.grid(n=[1])).run
    written = json.loads((run.path / "run.json").read_text())
    assert written["format"] == 2 and "search" not in written
    time = "2026-01-01T00:00:00+00:00"
    record = {"reason": "run", "replications": 1, "jobs": 1, "to_do": 1, "place": {}, "created": time}
    assert PlanRecord.of(record, Path("0001/plan.json")).content().keys().isdisjoint({"added", "step"})
