"""Changes to random, numpy and pickle: every generator without a seed draws from the stream."""

import random
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import simferry as sf
from simferry.worker import hooks
from sweeps import digest, write


def test_functions_without_rng_keep_their_numbers(good):
    def simulate(n):
        return {"numpy": np.random.normal(), "python": random.random()}

    rows = good(simulate, sf.grid(n=[1, 2]), 2, workers=1).results()
    assert rows["numpy"].tolist() == NUMBERS["numpy"] and rows["python"].tolist() == NUMBERS["python"]


NUMBERS = {  # of the first version of simferry
    "numpy": [-0.2540107633365303, -1.9652288739217347, 0.843481158401336, -1.6694987696524164],
    "python": [0.1087227692458802, 0.08672521145249701, 0.11798153161136127, 0.19305633700620506],
}


def test_the_global_generators_are_seeded_beside_rng(tmp_path, good):
    code = """
import random
from random import gauss, random as uniform
import numpy as np
from numpy.random import normal

at_load, shared = [np.random.normal(), random.random()], np.random.default_rng()

def simulate(kind, rng):
    if kind == "pairs":
        return {"a": random.gauss(0, 1), "b": np.random.normal(), "c": uniform(), "d": 0, "e": 0}
    if kind == "seeded":
        np.random.seed(1); random.seed(1)
        return {"a": np.random.normal(), "b": random.random(), "c": np.random.default_rng(1).normal(), "d": 0, "e": 0}
    if kind == "state":
        state = random.getstate(), np.random.get_state()
        first = random.random(), np.random.normal()
        random.setstate(state[0]); np.random.set_state(state[1])
        return {"a": first[0], "b": first[1], "c": (random.random(), np.random.normal()) == first, "d": 0, "e": 0}
    return {"a": normal() + gauss(0, 1), "b": uniform() + random.randint(0, 10**9), "c": sum(at_load), "d": shared.normal(),
            "e": rng.spawn(1)[0].normal()}
"""
    script = write(tmp_path, "simulate.py", code)
    design = sf.grid(kind=["pairs", "seeded", "state", "all"])
    one, two = good(script, design, 4, workers=1), good(script, design, 4, workers=2)
    assert digest(one) == digest(two)
    rows = {kind: part for kind, part in one.results().groupby("kind")}
    for kind, columns in {"pairs": "abc", "state": "ab", "all": "abde"}.items():
        assert [rows[kind][name].nunique() for name in columns] == [4] * len(columns)
    generator = random.Random(1)
    expected = [np.random.RandomState(1).normal(), generator.random(), np.random.default_rng(1).normal()]
    assert rows["seeded"][["a", "b", "c"]].to_numpy().tolist() == [expected] * 4
    assert rows["state"]["c"].tolist() == [1] * 4 and rows["all"]["c"].nunique() == 1
    assert good(script, design, 4, seed=2).results()["c"].iloc[-1] != rows["all"]["c"].iloc[-1]


@pytest.mark.parametrize("wrap", ["Task", "Numbered"])
def test_a_task_brings_its_stream_to_a_process_that_began_without_one(tmp_path, wrap):
    code = f"""
import base64, pickle, subprocess, sys
from simferry.worker import hooks, streams, tasks
hooks.start(b"key")
import numpy as np
sent = base64.b64encode(pickle.dumps(tasks.{wrap}(np.random.default_rng, b"task")))
there = "import base64, pickle, sys; print(pickle.loads(base64.b64decode(sys.argv[1]))({0 if wrap == "Numbered" else ""}).normal())"
print(subprocess.run([sys.executable, "-c", there, sent], capture_output=True, text=True, check=True).stdout)
"""
    drawn = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert float(drawn[0].stdout) == float(drawn[1].stdout)


def test_an_exception_of_one_rank_ends_all(monkeypatch):
    ended = []
    world = SimpleNamespace(size=2, Abort=ended.append)
    module = SimpleNamespace(COMM_WORLD=world, Is_initialized=lambda: True, Is_finalized=lambda: False)
    monkeypatch.setattr(sys, "excepthook", lambda *error: ended.append(error[0]))
    hooks.CHANGES["mpi4py.MPI"](module)
    sys.excepthook(ValueError, ValueError("one"), None)
    assert ended == [ValueError, 1]
