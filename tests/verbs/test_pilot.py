"""A pilot's measurements."""

import numpy as np
import pytest
import simferry as sf
from simferry.verbs.pilot import measure


def slow_where_two(n, rng):
    import time

    time.sleep(0.05 if n == 2 else 0.001)
    return rng.normal()


def test_the_rest_is_counted_by_condition(tmp_path):
    """What is there of a fast condition saves little time."""
    design = sf.grid(n=[1, 2])
    run = sf.run(slow_where_two, design, replications=3, seed=1, store=tmp_path, workers=1)
    seconds = []
    for there in ([0, 0], [90, 0], [0, 90], [100, 100]):
        out = sf.Forecast(2, 100, 200, 0, 0, 1, 1)
        measure(out, run._folder, design, 1, np.array(there))
        seconds.append(out.core_seconds)
        assert out.already_there == sum(there)
    assert seconds[0] == pytest.approx(out.seconds_per_replication * 200)
    assert seconds[1] > 0.8 * seconds[0] and seconds[2] < 0.5 * seconds[0] and seconds[3] == 0
