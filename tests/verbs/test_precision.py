"""Runs that go on until they are precise enough."""

import json

import numpy as np
import pytest
import simferry as sf
from simferry.errors import Interrupted, Note, UsageError
from simferry.verbs import precision


def simulate(n):
    x = np.random.normal(0, 1, n)
    return [
        {"method": m, "est": e, "se": x.std(ddof=1) / n**0.5} for m, e in (("mean", x.mean()), ("median", np.median(x)))
    ]


ROLES = {"estimate": "est", "truth": 0, "se": "se", "by": "method"}


def run(store, n=(5, 200), **given):
    return sf.run(
        simulate, sf.grid(n=list(n)), seed=1, store=store, fresh=True, **{**ROLES, "until": {"bias": 0.03}, **given}
    )


def test_each_condition_has_as_many_replications_as_it_needs_whoever_computes_it(tmp_path):
    made = run(tmp_path / "a", workers=1)
    few, many = made.replications[1], made.replications[0]
    assert few == 50 < many < 600 and many % 50 == 0
    found = made.measures(measures="bias")
    assert (found["mcse"] <= 0.03).all() and found["replications"].tolist() == [many, many, few, few]
    other = run(tmp_path / "b", workers=2)
    assert other.replications == made.replications
    assert made.status().state == "complete" and made.status().precision == "2 of 2 conditions are precise enough"


def test_an_interrupted_run_is_incomplete_says_how_far_it_is_and_goes_on(tmp_path, monkeypatch):
    looks, further = [], precision.further

    def stopped(folder):
        looks.append(further(folder))
        if len(looks) == 1:
            raise KeyboardInterrupt
        return looks[-1]

    monkeypatch.setattr("simferry.verbs.compute.further", stopped)
    with pytest.raises(Interrupted):
        run(tmp_path)
    (made,) = sf.runs(tmp_path)
    now = made.status()
    assert (now.state, now.finished, now.done) == ("incomplete", False, 100)
    assert "1 of 2 conditions is precise enough; furthest is condition 1: the MCSE of bias is" in now.precision
    assert made.resume().status().finished
    monkeypatch.undo()
    assert made.replications == run(tmp_path / "other").replications


def test_what_cannot_be_met_ends_at_most_and_is_told(tmp_path):
    with pytest.warns(Note, match=r"1 condition of run .* reached most before the target; furthest is condition 1"):
        made = run(tmp_path, most=70)
    assert made.replications == (70, 50) and made.status().finished
    assert "1 of 2 conditions is precise enough" in made.status().precision


def test_an_output_of_a_measures_name_wins_and_measure_says_the_other(tmp_path):
    simulation = lambda n: {"bias": np.random.normal(0, 10), "est": 0.0}  # noqa: E731
    given = {"seed": 1, "store": tmp_path, "most": 60, "estimate": "est", "truth": 0}
    with pytest.warns(Note, match="reached most"):
        made = sf.run(simulation, sf.grid(n=[1]), until={"bias": 0.1}, **given)
    assert made.replications == 60
    assert sf.run(simulation, sf.grid(n=[2]), until={"measure:bias": 0.1}, **given).replications == 50


def test_a_measure_that_is_not_there_is_one_error(tmp_path):
    with pytest.raises(UsageError, match="'coverge' is neither an output nor a measure"):
        run(tmp_path, until={"coverge": 0.1})


def test_its_record_is_checked(tmp_path):
    made = run(tmp_path, n=[200])
    path = made.folder / "precision.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ratio": "x"}))
    with pytest.raises(sf.SimferryError, match=r"precision.json can't be read"):
        made.status()


def test_a_plan_foresees_how_many_replications_that_takes(tmp_path):
    with pytest.warns(Note, match=r"until bias=0\.03 are foreseen from 2 of 2 conditions"):
        found = sf.plan(simulate, sf.grid(n=[5, 200]), seed=1, store=tmp_path, until="bias=0.03", **ROLES)
    many, few = found.replications
    made = run(tmp_path / "other")
    assert few == 50 and 0.5 < many / made.replications[0] < 2 and found.total == many + few
    assert found.pilot_replications == 100 and found.seconds is not None


@pytest.mark.parametrize("kind", [bool, float])
def test_an_output_that_is_a_share_is_judged_cautiously(tmp_path, kind):
    """In all of the first 50 replications it is TRUE."""
    made = sf.run(lambda n: {"hit": kind(n > 0)}, sf.grid(n=[1]), seed=1, store=tmp_path, until={"hit": 0.01})
    assert made.replications > 50


def test_replications_that_all_fail_are_not_gone_on_with(tmp_path):
    def fails(n):
        if n > 1:
            raise ValueError("no")
        return {"est": np.random.normal()}

    with pytest.warns(Note, match="have replications that all failed"):
        some = sf.run(fails, sf.grid(n=[1, 2]), seed=1, store=tmp_path, until={"est": 0.1}, most=5000)
    assert some.replications[0] > 50 and some.replications[1] == 50 and some.status().finished
    with pytest.warns(Note, match="all failed"):
        none = sf.run(fails, sf.grid(n=[2, 3]), seed=1, store=tmp_path, until={"est": 0.1}, estimate="est")
    assert none.replications == 50 and none.status().state == "complete"


def test_a_run_in_an_object_store_says_how_far_it_is(tmp_path, emulator):
    there, here = run(f"s3://{emulator.bucket}/runs"), run(tmp_path)
    assert there.replications == here.replications
    assert (
        sf.open(there.address).status().precision == here.status().precision == "2 of 2 conditions are precise enough"
    )
