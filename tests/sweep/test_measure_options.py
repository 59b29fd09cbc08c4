"""What the outputs are, as options."""

import pytest
import simferry as sf
from simferry.errors import UsageError


def test_they_are_options_of_a_sweep_beside_those_of_run_and_backend():
    made = sf.Sweep(lambda n: 1.0, sf.grid(n=[1]), replications=2, workers=1, estimate="est", truth=0.5, by=["m", "k"])
    assert made.measures.given() == {"estimate": "est", "truth": 0.5, "by": ["m", "k"]}
    assert made.replace(truth="theta").measures.given()["truth"] == "theta" and made.backend.given() == {"workers": 1}


def test_wrong_ones_are_told_before_anything_starts():
    with pytest.raises(UsageError, match="truth is True; it has to be a number or a text, or several"):
        sf.Sweep(lambda n: 1.0, sf.grid(n=[1]), replications=2, estimate="est", truth=True)
    with pytest.raises(UsageError, match="no estimate is named"):
        sf.Sweep(lambda n: 1.0, sf.grid(n=[1]), replications=2, truth=1)
