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
sequence, bits = np.random.SeedSequence(42), np.random.PCG64(8)
spawner = np.random.Generator(np.random.MT19937(9))
others = [np.random.RandomState(1), np.random.RandomState(), np.random.Generator(np.random.MT19937(2)), random.Random(3)]
"""
SIMULATE = """
{load}
def simulate(n{taken}):
    {late}
    rows = [rng.normal(), equal.normal(), model.rng.normal(), *(one.normal() for one in others[:3]), others[3].random()]
    rows += [one.normal() for one in (np.random.default_rng(sequence.spawn(1)[0]), np.random.Generator(bits), *spawner.spawn(1))]
    assert sequence.generate_state(1) == np.random.SeedSequence(42).generate_state(1)
    return dict(zip("abcdefghij", rows))
"""
LOAD = "import numpy as np; from seeded import rng, equal, model, others, sequence, bits, spawner"


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
    drawn = rows[list("acdefghij")].to_numpy().ravel()
    assert len(np.unique(drawn)) == drawn.size
    assert (
        tables[2]["a"].nunique() == tables[2]["h"].nunique() == 40
        and run.replay(2, 7)["c"] == tables[2].query("n == 2")["c"].iloc[6]
    )


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


KEPT = """
import functools, random, tempfile
import numpy as np

@functools.cache
def kept():
    return {kept}

def simulate(n):
    tempfile.TemporaryDirectory().cleanup()
    return [{draw}, np.random.default_rng(3).normal()]
"""


@pytest.mark.parametrize(
    ("kept", "draw"),
    [
        ("np.random.default_rng(1)", "kept().normal()"),
        ("np.random.RandomState(1)", "kept().normal()"),
        ("random.Random(1)", "kept().random()"),
        ("np.random.SeedSequence(1)", "float(kept().spawn(1)[0].generate_state(1)[0])"),
        ("np.random.default_rng(1)", "n"),
    ],
)
def test_a_warning_says_where_a_replication_leaves_its_generator_to_the_next(tmp_path, go, kept, draw):
    script = write(tmp_path, "simulate.py", KEPT.format(kept=kept, draw=draw))
    warned = go(script, sf.grid(n=[1]), 5, workers=1).warnings()
    assert len(warned) == (draw != "n") and warned["message"].str.contains("number of workers").all()
