"""Equal seeds of a condition are named by their lowest replications, whichever block is read first."""

from itertools import permutations

import numpy as np
import pytest
import simferry as sf
from simferry.errors import Note
from simferry.results import same_seeds
from simferry.worker import blocks


def seeds(*rows):
    """A block's table of (condition, replication, seed)."""
    conditions, replications, texts = zip(*rows, strict=True)
    integer = lambda values: blocks.Column("integer", np.array(values, "<i4"))  # noqa: E731
    columns = {"condition": integer(conditions), "replication": integer(replications), "seed": blocks.strings(texts)}
    return blocks.Table("seeds", len(rows), columns)


def test_the_order_of_blocks_does_not_matter():
    tables = [seeds((2, 1, "101"), (1, 5, "7")), seeds((2, 8, "101"), (2, 9, "101")), seeds((2, 4, "3"), (2, 6, "3"))]
    for order in permutations(tables):
        metadata = same_seeds.found(order)
        assert list(metadata) == [b"simferry.same_seeds"]  # tables that are kept have it
        assert same_seeds.conditions(metadata) == [[2, "101", 1, 8]]
    assert same_seeds.note("r", [[2, "101", 1, 8]]) == (
        "replications 1 and 8 of condition 2 of run r set the same seed, 101: after it they draw the same numbers"
    )


def test_seeds_that_differ_are_not_named():
    assert same_seeds.found([seeds((1, 1, "1"), (2, 2, "1"), (1, 3, "2"))]) == {}


SEEDED = """
import random
import numpy as np
def simulate(n, rng=None):
    if n == 1: random.seed(7)
    if n == 2: np.random.seed(7)
    if n == 3: return np.random.default_rng(7).random()
    if n == 4: np.random.seed(rng.integers(2**31)); random.seed(); np.random.seed()
    return random.random() + np.random.random()
"""


@pytest.mark.parametrize("without", ["", "rng"])
def test_a_note_tells_of_python_functions_that_set_the_same_seed(tmp_path, without):
    script = tmp_path / "simulate.py"
    script.write_text(
        SEEDED.replace(", rng=None", "").replace("rng.integers(2**31)", "random.getrandbits(30)") if without else SEEDED
    )
    run = sf.run(script, sf.grid(n=[1, 2, 3, 4]), replications=6, seed=1, workers=2, store=tmp_path / "runs")
    with pytest.warns(Note, match=r"replications 1 and \d of condition 1 .* the same seed, 7 \(and some of 2 other"):
        frame = run.results()
    drawn = frame.groupby("n")["value"].nunique().tolist()
    assert drawn == [6, 6, 1, 6]  # the other module's generator is simferry's


def test_a_seed_that_cannot_be_shown_fails_nothing(tmp_path):
    script = tmp_path / "simulate.py"
    script.write_text(
        "import random\nclass Odd(int):\n    def __format__(self, how): raise ValueError\n    __str__ = __repr__ = __format__\n"
        "def simulate(n):\n    random.seed(Odd(3))\n    return random.random()\n"
    )
    run = sf.run(script, {"n": [1]}, replications=3, seed=1, store=tmp_path / "runs")
    with pytest.warns(UserWarning, match="same values in every replication"):
        assert run.status().failed == 0 and run.results()["value"].nunique() == 1
