"""What tests of the worker share."""

import pytest
import simferry as sf
from sweeps import script  # noqa: F401


@pytest.fixture
def go(tmp_path):
    def run(simulation, design=None, replications=3, **options):
        return sf.run(simulation, design, replications=replications, store=tmp_path / "runs", **{"seed": 1, **options})

    return run


@pytest.fixture
def good(tmp_path):
    """Computes a run anew, in which nothing fails."""

    def run(simulation, design=None, replications=3, **options):
        done = sf.run(
            simulation,
            design,
            replications=replications,
            store=tmp_path / "runs",
            **{"seed": 1, "fresh": True, **options},
        )
        assert done.status().failed == 0, done.errors()["message"].tolist()
        return done

    return run
