"""Libraries with generators of their own: numba's, in compiled functions. PyTorch is too large to install for its test."""

import random

import numba
import numpy as np
import simferry as sf
from numba import _helperlib
from simferry.worker.libraries import Numba
from sweeps import digest, write

CODE = """
import random

import numba
import numpy as np

@numba.njit
def drawn(n):
    total = 0.0
    for _ in range(n):
        total += np.random.normal() + random.random()
    return total, np.random.random(), random.random()

def simulate(n):
    total, u, v = drawn(n)
    return {"total": total, "u": u, "v": v, "plain": np.random.random()}
"""


def test_compiled_functions_draw_the_same_numbers_for_any_number_of_workers(tmp_path):
    script, design = write(tmp_path, "compiled.py", CODE), sf.grid(n=[1, 3])
    one, two = (
        sf.run(script, design, replications=10, seed=5, workers=workers, store=tmp_path / f"{workers}")
        for workers in (1, 2)
    )
    assert digest(one) == digest(two)
    table = one.results()
    drawn = [table[name] for name in ("total", "u", "v", "plain")]
    assert len({value for values in drawn for value in values}) == 4 * 20  # each generator has a stream of its own
    seventh = table[table["condition"].eq(2) & table["replication"].eq(7)].iloc[0]
    assert one.replay(2, 7) == {name: seventh[name] for name in ("total", "u", "v", "plain")}


@numba.njit
def draw():
    return np.random.random(), np.random.normal(), random.random()


def test_a_seed_and_a_state_give_the_same_numbers_again():
    library = Numba(_helperlib)
    library.seed(bytes(range(16)))
    first, state = draw(), library.state()
    second = draw()
    library.set_state(state)
    assert draw() == second != first and first[0] != first[2]
    library.seed(bytes(range(16)))
    assert draw() == first
    library.seed(bytes(16))
    assert draw() != first
