"""What tests of the driver share: a run in the background that waits for `hold` to be released."""

import json

import pytest
import simferry as sf
import sweeps
from sweeps import SHELL_SWEEP, Hold, digest, simferry

script = sweeps.script  # the fixture


@pytest.fixture
def expected(script, tmp_path):
    return digest(sf.run(script, sf.grid(n=[5, 10]), replications=40, seed=7, store=tmp_path / "expected"))


@pytest.fixture
def hold(tmp_path):
    return Hold(tmp_path)


@pytest.fixture
def detached(tmp_path, script, hold):
    """A run in the background that has done something and goes on when `hold` is released."""
    done = simferry("run", script, *SHELL_SWEEP, "--detach", "--json", cwd=tmp_path, **hold.environment)
    assert done.returncode == 0, done.stderr
    run = sf.open(json.loads(done.stdout)["run"], tmp_path / "runs")
    hold.wait()
    return run
