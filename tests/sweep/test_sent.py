"""Function objects as they are sent to the workers."""

import threading

import pytest
from simferry.errors import SimulationError
from simferry.sweep.simulation import Simulation

LOCK = threading.Lock()


def with_lock(n):
    with LOCK:
        return n


def test_a_function_that_cannot_be_sent():
    lock = threading.Lock()
    with pytest.raises(SimulationError, match=r"(?s)can't be sent .*lock"):
        Simulation(lambda n: lock).files()
    with pytest.raises(SimulationError, match=rf"load the script .*run\('{__file__}', function='with_lock'\)"):
        Simulation(with_lock).files()
