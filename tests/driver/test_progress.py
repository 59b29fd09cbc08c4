"""Progress in words."""

from dataclasses import replace

from simferry.driver import progress
from simferry.driver.progress import Progress


def test_progress_in_words():
    now = Progress(total=1200, done=200, failed=3, state="running", jobs={})
    assert progress.progress_text(now) == "3 failed"
    assert progress.progress_text(replace(now, per_second=50.0)) == "3 failed, 50/s, 20 s left"
    assert progress.progress_text(replace(now, per_second=0.125)) == "3 failed, 0.12/s, 2 h 13 min left"
    assert progress.progress_text(Progress(1200, 1200, 3, "complete", {}, per_second=50.0)) == "3 failed"
