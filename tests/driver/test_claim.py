"""Who computes a run: one process at a time, which others find."""

import json
import threading

import pytest
import simferry as sf
from simferry.driver import claim
from simferry.errors import RunBusy
from sweeps import digest, done_pairs, simferry, wait_until


def test_the_second_of_two_resumes_is_told_who_holds_the_run(tmp_path, detached):
    run = detached
    with pytest.raises(RunBusy, match=rf"run {run.id} is being computed by process \d+\n.*\)\.watch\(\)"):
        run.resume()
    refused = simferry("resume", run.id, "--store", "runs", cwd=tmp_path)
    assert refused.returncode == 1 and "is being computed by process" in refused.stderr
    assert run.status().state == "running"
    run.cancel()


def test_of_many_resumes_at_once_one_wins(tmp_path, detached, hold, expected, monkeypatch):
    run = detached
    run.cancel()
    losers = []
    start = threading.Barrier(6)

    def resume():
        start.wait()
        try:
            sf.open(run.id, tmp_path / "runs").resume()
        except RunBusy:
            losers.append(1)

    monkeypatch.setenv("HOLD", hold.environment["HOLD"])  # the winner is still at it when the last one asks
    threads = [threading.Thread(target=resume) for _ in range(6)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(losers) == 5)
    hold.release()
    for thread in threads:
        thread.join()
    assert len(losers) == 5
    assert digest(run) == expected and len(done_pairs(run)) == 80


def test_a_dead_driver_does_not_hold_the_run(detached):
    run = detached
    claim.driver_of(run._folder).kill()
    wait_until(lambda: claim.driver_of(run._folder) is None)
    assert run.status().state == "incomplete"
    run.resume()
    assert run.status().state == "complete" and set(run.status().jobs.values()) == {"lost", "succeeded"}


def test_a_driver_on_another_machine_that_shares_the_folder(detached, expected):
    run = detached
    process = claim.driver_of(run._folder)
    for path in (run.folder / "jobs" / "driver.json", *run.folder.glob("jobs/*/job.json")):
        record = json.loads(path.read_text())
        text = path.read_text().replace(record["space"], "another start of another machine")
        path.write_text(text.replace(record["host"], "login-7"))
    now = run.status()
    assert (now.state, now.jobs) == ("running", {"0001-0001": "running"})
    with pytest.raises(RunBusy, match=rf"run {run.id} is being computed on login-7\nIt can be stopped only there."):
        run.cancel()
    with pytest.raises(RunBusy, match=rf"run {run.id} is being computed on login-7\nsimferry\.open\("):
        run.resume()
    assert (run.folder / "jobs" / "0001-0001" / "scratch").is_dir()  # nothing of it was touched
    process.kill()
    wait_until(lambda: run.status().state == "incomplete")
    assert run.status().jobs == {"0001-0001": "lost"}
    assert digest(run.resume()) == expected
