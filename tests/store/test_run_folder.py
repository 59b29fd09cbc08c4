"""Stores and run folders."""

import os
from dataclasses import replace
from datetime import datetime

import pytest
import simferry as sf
from simferry.errors import RunBusy
from simferry.store.records import PlanRecord

PLAN = PlanRecord(
    reason="run", replications=10, jobs=1, to_do=10, created=datetime.fromisoformat("2026-01-01T00:00:00+00:00"),
    backend_options={},
)  # fmt: skip


def test_plans_are_numbered_and_hold_their_jobs(hand_made):
    run = hand_made(sf.grid(n=1)).run
    for number, replications in (("0001", 10), ("0002", 25)):
        given = replace(PLAN, replications=replications)
        assert run.add_plan(given, {"0001": lambda n: f"job of plan {n}".encode()}) == number
    assert [p.number for p in run.plans()] == ["0001", "0002"]
    assert (run.path / "plan" / "0002" / "0001" / "job").read_bytes() == b"job of plan 0002"
    assert run.replications == 25


def test_the_loser_of_a_race_for_a_plan_is_told(hand_made):
    run = hand_made(sf.grid(n=1)).run
    other = run.home.folder(run.id)

    def slow(number):
        other.add_plan(replace(PLAN, jobs=0), {})
        return b""

    with pytest.raises(RunBusy, match=f"another process has just started to compute run {run.id}"):
        run.add_plan(PLAN, {"0001": slow})
    assert os.listdir(run.path / "plan") == ["0001"] and run.plans()[0].jobs == 0


def test_blocks_come_and_go_between_looks(hand_made):
    run = hand_made(sf.grid(n=1)).run
    first, second = "0001-0001-1-01.000001-r3-f0", "0001-0001-1-02.000001-r2-f1"
    (run.blocks / second).touch()
    (run.blocks / "notes.txt").touch()
    assert [(b.name, b.job, b.replications, b.failed) for b in run.block_names()] == [(second, "0001-0001", 2, 1)]
    (run.blocks / first).touch()
    assert [b.name for b in run.block_names()] == [first, second]
    (run.blocks / second).unlink()
    assert [b.name for b in run.block_names()] == [first]
