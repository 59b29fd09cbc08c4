"""Generators that a script seeds itself, outside of the function."""

import random

import numpy as np
import pytest
import simferry as sf
from sweeps import digest, write

SEEDED = """
import random
import numpy as np

class Model:
    def __init__(self):
        self.rng = np.random.default_rng(5)

rng, equal, model = np.random.default_rng(42), np.random.default_rng(42), Model()
others = [np.random.RandomState(1), np.random.RandomState(), np.random.Generator(np.random.MT19937(2)), random.Random(3)]
"""
SIMULATE = """
{load}
def simulate(n{taken}):
    {late}
    rows = [rng.normal(), equal.normal(), model.rng.normal(), *(one.normal() for one in others[:3]), others[3].random()]
    return dict(zip("abcdefg", rows))
"""
LOAD = "from seeded import rng, equal, model, others"


@pytest.mark.parametrize("taken", ["", ", rng_=0"])
def test_no_replication_repeats_the_numbers_of_another(tmp_path, good, taken):
    write(tmp_path, "seeded.py", SEEDED)
    tables = []
    for workers, parts in (
        (1, (LOAD, "")),
        (2, (LOAD, "")),
        (2, ("", "import seeded; globals().update(vars(seeded))")),
    ):
        code = SIMULATE.format(load=parts[0], taken=taken, late=parts[1])
        script = write(tmp_path, "simulate.py", code)
        run = good(script, {"n": [1, 2]}, 20, workers=workers, fresh=True, include=["seeded.py"])
        tables.append(run.results())
    rows = tables[0]
    assert tables[1].equals(rows) and rows["a"].equals(rows["b"])
    drawn = rows[list("acdefg")].to_numpy().ravel()
    assert len(np.unique(drawn)) == drawn.size
    assert tables[2]["a"].nunique() == 40 and run.replay(2, 7)["c"] == tables[2].query("n == 2")["c"].iloc[6]


def test_those_of_a_function_object_too(go):
    rng, state, python = np.random.default_rng(42), np.random.RandomState(1), random.Random(3)

    class Model:
        def __init__(self):
            self.rng = np.random.default_rng(5)

        def __call__(self, n, constant):
            return [rng.normal(), state.normal(), python.random(), self.rng.normal(), constant.normal()]

    one, two = (
        go(Model(), sf.grid(n=[1]), 20, workers=w, fresh=True, constants={"constant": np.random.default_rng(6)})
        for w in (1, 2)
    )
    drawn = one.results().filter(like="value").to_numpy().ravel()
    assert digest(one) == digest(two) and len(np.unique(drawn)) == drawn.size == 100
