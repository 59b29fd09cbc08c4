"""Runs that are cancelled."""

from simferry.driver import claim
from sweeps import digest, done_pairs, left_behind, simferry


def test_a_run_is_cancelled_from_elsewhere_and_resumed(tmp_path, detached, expected):
    run = detached
    stopped = simferry("cancel", run.id, "--store", "runs", cwd=tmp_path)
    assert stopped.returncode == 0
    now = run.status()
    assert now.state == "incomplete" and 0 < now.done < 80
    assert left_behind(tmp_path) == [] and claim.driver_of(run._folder) is None
    assert "replications of run" in (run.folder / "jobs" / "driver.log").read_text()
    assert digest(run.resume()) == expected
    assert len(done_pairs(run)) == len(set(done_pairs(run))) == 80
