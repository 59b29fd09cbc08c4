"""Digests of tables that hold integers and uniform numbers only, which no BLAS or mathematical library computes.

They change only where the rules of the random numbers change, and then the version of the streams has to change too.
"""

import pytest
import simferry as sf
from sweeps import digest, write

R = """
simulate <- function(n, kind) c(pick = sample(n, 1), first = runif(1), second = runif(1))
"""
PYTHON = """
def simulate(n, kind, rng):
    return {"pick": int(rng.integers(n)), "first": rng.random(), "second": rng.random(), "other": int(rng.permutation(n)[0])}
"""


@pytest.mark.parametrize(
    "name, code, common, expected",
    [
        ("simulate.R", R, (), "b3019598ef41f3101817aa1c003a288b236d8b770de13f31b662c7a9dadc22bb"),
        ("simulate.R", R, "kind", "0af85ff3fc53c5b8c5035feb1c960a7fc475b25016d2e3999728c16ac096007a"),
        ("simulate.py", PYTHON, (), "10e16f2a217f79dd85ff2f5eaa93ecf87a7450af4379808617b0f6341256fd8a"),
        ("simulate.py", PYTHON, "kind", "aa53d0245a0e48da709e1ff5788537d42c3ae077550d2fc1fce87820f0328452"),
    ],
)
def test_integers_and_uniform_numbers_stay_what_they_are(name, code, common, expected, tmp_path):
    design = sf.grid(n=[10, 1000], kind=["a", "ü", None])
    run = sf.run(
        write(tmp_path, name, code), design, replications=20, seed=11, common=common, workers=2, store=tmp_path / "s"
    )
    assert digest(run) == expected
