"""The number of cores."""

import os

import joblib
from simferry.system.cores import cores_here


def test_cores_are_counted_as_joblib_does(monkeypatch):
    assert cores_here() == joblib.cpu_count()
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert cores_here() == 1
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", str(2 * (os.cpu_count() or 1)))
    assert cores_here() == joblib.cpu_count()
