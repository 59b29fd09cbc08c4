"""A process that computes replications in Python: what it records of errors, warnings and seeds."""

import builtins
import time

import numpy as np
import pytest
import simferry as sf
from joblib import Parallel, delayed
from simferry.errors import Note
from sweeps import write


def test_an_error_is_recorded_with_message_place_and_traceback(tmp_path, go):
    code = """
def inner(x, rng):
    if rng.random() < 0.4:
        raise ValueError(f"no convergence:\\n{x}")
    return x

def simulate(n, rng):
    return inner(n, rng)
"""
    run = go(write(tmp_path, "simulate.py", code), sf.grid(n=[1, 2]), 20)
    errors = run.errors()
    assert 0 < len(errors) < 40 == len(errors) + len(run.results())
    first = errors.iloc[0]
    assert first["message"] == f"ValueError: no convergence:\n{first['n']}"
    assert first["call"] == "inner, line 4"
    assert "in simulate" in first["traceback"] and "return inner(n, rng)" in first["traceback"]
    assert "simferry_worker" not in first["traceback"] and "worker.py" not in first["traceback"]


def test_a_traceback_has_the_file_of_a_function_object_and_what_led_to_the_error(go):
    def fails(i):
        raise ValueError("singular")

    def simulate(n):
        if n == 1:
            Parallel(n_jobs=2)(delayed(fails)(i) for i in range(2))
        try:
            fails(n)
        except ValueError as error:
            group = getattr(builtins, "ExceptionGroup", FitGroup)  # Python 3.10 has none
            raise group("no fit", [KeyError("a")]) from error

    class FitGroup(Exception):
        exceptions = (KeyError("a"),)

    of_task, of_group = go(simulate, sf.grid(n=[1, 2]), 1).errors()["traceback"]
    assert "in fails" in of_task and of_task.count("ValueError: singular") == 2
    assert __file__ in of_group and 'raise ValueError("singular")' in of_group
    assert of_group.index("singular") < of_group.index("direct cause") < of_group.index("no fit")
    assert of_group.endswith("  | KeyError: 'a'\n")


def test_warnings_are_counted_and_those_that_the_script_ignores_are_not(tmp_path, go):
    code = """
import warnings
warnings.filterwarnings("ignore", message="known")
def simulate(n):
    for _ in range(n):
        warnings.warn("careful")
    warnings.warn("known")
    open(__file__).read()  # of which plain Python says nothing either
    return n
"""
    run = go(write(tmp_path, "simulate.py", code), sf.grid(n=[1, 3]), 4)
    assert run.summary()["warnings"].tolist() == [4, 12]
    assert run.warnings()["message"].unique().tolist() == ["UserWarning: careful"]


def test_one_seed_for_all_is_warned_of(go):
    run = go(lambda n: float(np.random.default_rng(1).normal()), sf.grid(n=[1]), 5)
    with pytest.warns(Note, match="replications 1 and 2 of condition 1 .* set the same seed, 1: after it"):
        run.results()
    run = go(lambda n: float(np.random.RandomState(1).normal()), sf.grid(n=[1]), 5)
    with pytest.warns(UserWarning, match="same values in every replication"):
        run.results()


def test_on_error_stop_ends_early(go):
    def simulate(rng):
        time.sleep(0.01)
        if rng.random() < 0.02:
            raise RuntimeError("no")
        return 1

    run = go(simulate, None, 600, workers=2, on_error="stop")
    assert 0 < run.status().failed <= 2 and run.status().done < 600
