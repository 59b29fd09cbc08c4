"""A run's own measures."""

import pytest
import simferry as sf
from simferry.errors import UsageError


def test_a_run_is_asked_for_its_measures_and_contrasts(tmp_path):
    run = sf.run(
        lambda n: [{"m": m, "est": m * n * 1.0} for m in (1, 2)],
        sf.grid(n=[1, 2]),
        replications=2,
        seed=1,
        store=tmp_path,
    )
    assert run.measures(estimate="est", by="m", measures=["mean"])["estimate"].tolist() == [1, 2, 2, 4]
    assert run.contrast(estimate="est", by="m", measures=["mean"], reference=2)["estimate"].tolist() == [-1, -2]
    with pytest.raises(UsageError, match="no option 'estimat'"):
        run.measures(estimate="est", estimat="x")
