"""Parameters that are functions or other objects: their names stand in the design."""

import functools

import numpy as np
import pandas as pd
import pytest
import simferry as sf
from simferry.errors import DesignError, UsageError
from simferry.sweep.by_name import Named, holds_objects, names_and_objects


def middle(x):
    return sorted(x)[len(x) // 2]


def test_names_of_functions_and_of_values_in_a_dict():
    assert names_and_objects("f", [np.mean, None, Named("a", 3)]) == (["mean", None, "a"], {"mean": np.mean, "a": 3})
    assert holds_objects([1, np.mean]) and not holds_objects(["mean", 1, None]) and not holds_objects(np.zeros(3))


@pytest.mark.parametrize(
    "made",
    [
        lambda: sf.grid(f=[np.mean, np.median]),
        lambda: sf.grid(f={"mean": np.mean, "median": np.median}),
        lambda: sf.table({"f": [np.mean, np.median]}),
        lambda: sf.table(pd.DataFrame({"f": [np.mean, np.median]})),
    ],
)
def test_the_design_has_the_names(made):
    design, texts = made(), sf.grid(f=["mean", "median"])
    assert (
        list(design.canonical()) == list(texts.canonical())
        and design.types == texts.types
        and design.condition(1) == {"f": "median"}
    )
    assert design.objects == {"f": {"mean": np.mean, "median": np.median}} and design != texts
    assert repr(design) == "sf.grid(f=[mean, median])" and eval(repr(design), {"sf": sf, **vars(np)}) == design


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([lambda x: 1], "has no name"),
        ([functools.partial(min)], "has no name"),
        ([max, type("max", (), {})], "two objects named 'max'"),
    ],
)
def test_values_without_a_name_of_their_own_are_refused(values, message):
    with pytest.raises(DesignError, match=message) as error:
        sf.grid(f=values)
    assert 'f={"first": ..., "second": ...}' in str(error.value.hint)


def test_a_simulation_gets_the_objects(tmp_path):
    def simulate(f, s, rng):
        return {"estimate": f(rng.normal(size=5)), "rows": len(s)}

    def go(f, **options):
        design = sf.table({"f": f, "s": {"small": np.eye(2)}, "reps": [1, 2]})
        return sf.run(simulate, design, replications=sf.column("reps"), seed=1, store=tmp_path, **options)

    run = go([np.mean, middle])
    rows = run.results()
    assert rows["f"].tolist() == ["mean", "middle", "middle"] and rows["s"].tolist() == ["small"] * 3
    assert rows["rows"].tolist() == [2] * 3 and run.replay(2, 1)["estimate"] == rows["estimate"][1]
    other = go({"mean": np.mean, "middle": max})  # the name is not all that counts
    assert other.results()["estimate"][1] > rows["estimate"][1] and other.record["code_hash"] != run.record["code_hash"]
    with pytest.raises(UsageError, match="only a Python function of this session can get"):
        sf.Sweep(__file__, sf.grid(f=[np.mean]))
    sweep = sf.Sweep(simulate, sf.grid(f=[np.mean]))
    assert sweep.replace(design=sf.grid(f=["mean"])).simulation.sent == {}
    with pytest.raises(UsageError, match="can't hold a function object"):
        sweep.write(tmp_path / "s.toml")
