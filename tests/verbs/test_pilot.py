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


def slow_at_first(n, rng):
    import time

    time.sleep(0 if n in made else 0.2)
    made.add(n)
    return rng.normal()


made: set[int] = set()


def test_the_first_replication_of_a_condition_counts_only_where_it_is_the_only_one(tmp_path):
    seconds = []
    for replications in (1, 3):
        run = sf.run(
            slow_at_first, sf.grid(n=[1, 2]), replications=replications, seed=1, store=tmp_path, workers=1, fresh=True
        )
        out = sf.Forecast(2, 100, 200, 0, 0, 1, 1)
        measure(out, run._folder, sf.grid(n=[1, 2]), 1, np.array([0, 0]))
        seconds.append(out.seconds_per_replication)
        assert out.longest_replication > 0.2
    assert seconds[0] > 0.2 > 10 * seconds[1]
