"""Function objects and what comes along with them."""

import os
import subprocess
import sys

import simferry as sf
from sweeps import write

OBJECTS = """
import multiprocessing, typing
from joblib import Parallel, delayed
import numpy as np

factor = 1

class Fit(typing.NamedTuple):
    x: float

class Failed(Exception):
    pass

def start(given):
    global factor
    factor = given

def task(i):
    if i == 2:
        raise Failed("two")
    return Fit(factor * np.random.random())

def simulate(how):
    if how == "joblib":
        return [fit.x for fit in Parallel(n_jobs=2, backend="multiprocessing")(delayed(task)(i) for i in range(2))]
    with multiprocessing.get_context(how).Pool(2, start, (-1,)) as pool:
        fits = pool.map(task, range(2), 1)
        try:
            pool.apply(task, (2,))
        except Failed:
            return [fit.x for fit in fits if isinstance(fit, Fit)]
"""


def test_tasks_of_a_function_object_are_found_in_their_processes(tmp_path, good, monkeypatch):
    write(tmp_path, "of_mine.py", OBJECTS)
    monkeypatch.syspath_prepend(tmp_path)
    import of_mine

    rows = good(of_mine.simulate, sf.grid(how=["joblib", "fork", "spawn"]), 1).results()
    assert rows["value_1"].nunique() == 3 == rows["value_2"].nunique()
    assert (rows[["value_1", "value_2"]] < 0).all(axis=1).tolist() == [False, True, True]


def test_sets_in_a_function_object_have_one_order_whatever_the_sender_had(tmp_path):
    code = """
import sys, cloudpickle
words = {f"word{i}" for i in range(3000)}
inner = lambda: [list(words), list({"a", "b", "c", "d", "e"}), [list(s) for s in {frozenset("abcdef"), frozenset("ghijkl")}]]
sys.stdout.buffer.write(cloudpickle.dumps((inner, {"given": set("abcdefghij"), "ints": {8, 0, 16, 32}})))
"""
    sender = write(tmp_path, "send.py", code)
    receive = (
        "import sys; from simferry.worker.sent import unpickled\n"
        "function, constants = unpickled(sys.stdin.buffer.read())\n"
        "print(function(), *map(list, constants.values()))"
    )
    orders = set()
    for seed in "123":
        sent = subprocess.run(
            [sys.executable, sender], env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.PIPE, check=True
        ).stdout
        orders.add(
            subprocess.run(
                [sys.executable, "-c", receive],
                env={**os.environ, "PYTHONHASHSEED": "0"},
                input=sent,
                stdout=-1,
                check=True,
            ).stdout
        )
    assert len(orders) == 1 and len(next(iter(orders))) > 30_000
