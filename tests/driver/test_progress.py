"""Progress in words."""

import datetime
from dataclasses import replace
from types import SimpleNamespace

from simferry.driver import progress
from simferry.driver.progress import Progress


def test_progress_in_words():
    now = Progress(total=1200, done=200, failed=3, state="running", jobs={})
    assert progress.progress_text(now) == "3 failed"
    assert progress.progress_text(replace(now, per_second=50.0)) == "3 failed, 50/s, 20 s left"
    assert progress.progress_text(replace(now, per_second=0.125)) == "3 failed, 0.12/s, 2 h 13 min left"
    assert progress.progress_text(Progress(1200, 1200, 3, "complete", {}, per_second=50.0)) == "3 failed"
    waits = replace(now, note="a machine", dollars=0.0, jobs={"0001-0001": "running"})
    assert progress.jobs_text(waits) == "1 running, $0.00 so far, waiting for a machine"
    assert progress.progress_text(waits).count("waiting for a machine") == 1


def test_who_follows_a_run_counts_from_the_first_results(monkeypatch):
    """The jobs' start is no part of the rate: else the first time left would be far too long."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.seconds)
    created = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=4)
    run, plan = SimpleNamespace(first_results={}), SimpleNamespace(number="0001", created=created)

    def rate(seconds, done):
        now.seconds = seconds
        return progress._replications_per_second(run, plan, [SimpleNamespace(plan="0001", replications=done)])

    assert [rate(100, 0), rate(104, 10), rate(104.5, 60), rate(106, 210)] == [None, None, None, 100]
    run.first_results.clear()  # a single look
    assert 2 < rate(107, 10) <= 2.5
