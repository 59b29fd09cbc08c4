"""Which process a record means, on this machine and on another."""

import os
import subprocess
import sys

import pytest
from simferry.system import processes


def test_a_record_means_one_process_for_ever():
    record = processes.identity(os.getpid())
    assert processes.process_of(record).pid == os.getpid() and processes.alive(record)
    assert processes.process_of({**record, "started": record["started"] - 1}) is None  # another had the number before


def test_a_process_that_has_ended_is_not_there():
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdin=subprocess.PIPE)
    record = processes.identity(process.pid)
    process.communicate()
    assert processes.process_of(record) is None and not processes.alive(record)


@pytest.mark.parametrize("record", [{}, {"pid": 10**30, "started": 1.0}, {"pid": 1}])
def test_a_record_that_names_no_process(record):
    assert processes.process_of(record) is None


def test_on_another_machine_its_lock_tells(tmp_path):
    record = {**processes.identity(os.getpid()), "space": "another start of another machine"}
    lock = tmp_path / "lock"
    lock.touch()
    assert processes.process_of(record) is None and not processes.alive(record) and not processes.alive(record, lock)
    with open(lock, "r+b") as held:
        assert processes.claim(held)
        assert processes.alive(record, lock)
