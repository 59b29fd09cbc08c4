"""A sweep shows itself as the call that makes it."""

import numpy as np
import pytest
import simferry as sf


def test_its_repr_is_the_call_that_makes_it(script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sweep = sf.Sweep(
        "code/simulate.R", sf.grid(n=[10, 20.0]), replications=5, seed=3, common="n", workers=2.0, retries=0
    )
    assert repr(sweep) == (
        "sf.Sweep('code/simulate.R', sf.grid(n=[10, 20]), replications=5, seed=3, common='n', retries=0, workers=2)"
    )
    assert (sweep.replications, sweep.seed, sweep.common) == (5, 3, ["n"])
    with pytest.raises(AttributeError):
        sweep.design = None

    def draw(n, data):
        return n

    assert repr(sf.Sweep(draw, constants={"data": np.zeros(100), "k": 3})) == (
        "sf.Sweep(draw, constants={'data': <ndarray>, 'k': 3})"
    )
