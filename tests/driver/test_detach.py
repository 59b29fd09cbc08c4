"""Runs in the background."""

import os

from simferry.driver import claim
from sweeps import digest, left_behind, wait_until


def test_a_detached_run_is_found_and_followed_from_elsewhere(detached, hold, expected):
    run = detached
    assert run.status().state == "running" and run.status().jobs == {"0001-0001": "running"}
    assert claim.driver_of(run._folder).pid != os.getpid()
    hold.release()
    seen = []
    assert run.watch(seen.append).state == "complete"
    assert [p.done for p in seen] == sorted(p.done for p in seen) and seen[-1].done == 80
    assert run.status().jobs == {"0001-0001": "succeeded"}  # looking on has not changed what its driver says
    assert digest(run) == expected


def test_jobs_end_after_their_driver(tmp_path, detached):
    assert left_behind(tmp_path)
    claim.driver_of(detached._folder).kill()
    wait_until(lambda: not left_behind(tmp_path))
