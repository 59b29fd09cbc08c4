"""Processes that hang, crash or exit: the replication that did it fails, and no other."""

import os
import subprocess
import sys
import time

import simferry as sf
from sweeps import done_pairs


def test_hangs_crashes_and_exits_are_narrowed_down_to_the_replication(go):
    def simulate(kind, rng):
        u = rng.random()
        if u < 0.4:
            if kind == "sleep":
                time.sleep(100)
            while kind == "busy":
                pass
            if kind == "program":
                subprocess.run(["sleep", "100"], check=False)
            if kind == "crash":
                os.kill(os.getpid(), 11)
            if kind in ("exit 0", "exit 1"):
                os._exit(int(kind[-1]))
            if kind == "sys.exit":
                sys.exit("no more")
        return u

    kinds = ["fine", "sleep", "busy", "program", "crash", "exit 0", "exit 1", "sys.exit"]
    run = go(simulate, sf.grid(kind=kinds), 5, workers=2, replication_timeout=1.5, common="all", seed=4)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 40
    errors, values = run.errors(), run.results()
    failed = set(errors[errors["kind"] == "sys.exit"]["replication"])  # the same for all kinds, which share their draws
    assert 0 < len(failed) < 5
    assert all(set(errors[errors["kind"] == kind]["replication"]) == failed for kind in kinds[1:])
    assert len(errors) + len(values) == 40
    said = {kind: set(errors[errors["kind"] == kind]["message"]) for kind in kinds}
    assert said["sleep"] == said["busy"] == said["program"] == {"timed out after 1.5 s"}
    assert said["crash"] == {"the process ended with signal 11 (SIGSEGV)"}
    assert [said[f"exit {code}"] for code in (0, 1)] == [
        {f"the process ended with exit code {code}"} for code in (0, 1)
    ]
    assert said["sys.exit"] == {"SystemExit: no more"}


def test_crashes_without_a_time_limit(go):
    def simulate(rng):
        u = rng.random()
        if u < 0.02:
            os._exit(1)
        return u

    run = go(simulate, None, 300, workers=2)
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == 300
    assert 0 < len(run.errors()) < 20
    expected = go(lambda rng: rng.random(), None, 300).results()["value"]
    assert run.results()["value"].tolist() == expected[expected >= 0.02].tolist()
