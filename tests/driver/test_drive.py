"""What drives a run to its end: interruptions, retries, jobs that are lost."""

import contextlib
import os
import pty
import re
import shutil
import warnings
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
import simferry as sf
from simferry.backends.local import Local
from simferry.driver import drive
from simferry.errors import Interrupted, Note, WorkerError
from sweeps import SHELL_SWEEP, digest, done_pairs, left_behind, write


def test_ctrl_c_on_a_terminal(tmp_path, script, hold):
    """A pseudo-terminal, on which Ctrl-C is a byte."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(hold.environment)
        os.chdir(tmp_path)
        os.execv(os.sys.executable, [os.sys.executable, "-m", "simferry", "run", str(script), *SHELL_SWEEP])
    hold.wait()
    (run,) = sf.runs(tmp_path / "runs")
    os.write(terminal, b"\x03")
    said = b""
    with contextlib.suppress(OSError):  # its end
        while data := os.read(terminal, 4096):
            said += data
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 4
    assert f"simferry resume {run._folder.handle}".encode() in said
    assert left_behind(tmp_path) == [] and 0 < len(done_pairs(run)) < 80


def test_interrupted_in_a_session_the_run_can_go_on(tmp_path, script, hold, expected, monkeypatch):
    monkeypatch.setenv("HOLD", hold.environment["HOLD"])

    def stop(progress):
        if hold.reached():
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=r"\)\.resume\(\)"):
        sf.run(script, sf.grid(n=[5, 10]), replications=40, seed=7, store=tmp_path / "runs", on_progress=stop)
    assert left_behind(tmp_path) == []
    hold.release()
    assert digest(sf.open("latest", tmp_path / "runs").resume()) == expected


def test_an_error_of_the_callers_own_leaves_nothing_running(tmp_path, script, hold, monkeypatch):
    monkeypatch.setenv("HOLD", hold.environment["HOLD"])
    with pytest.raises(ZeroDivisionError):
        sf.run(script, sf.grid(n=[5]), replications=40, seed=7, store=tmp_path / "runs", on_progress=lambda _: 1 / 0)
    assert left_behind(tmp_path) == []


def test_work_that_jobs_leave_undone_is_dealt_again_and_then_reported(tmp_path, monkeypatch):
    code = """
import os, time
def simulate(rng):
    if not os.path.exists(os.environ["TRIED"]):  # the first process of a job ends the supervisor
        open(os.environ["TRIED"], "w").close()
        os.kill(os.getppid(), 9)
        time.sleep(9)
    return rng.random()
"""
    monkeypatch.setenv("TRIED", str(tmp_path / "tried"))
    run = sf.run(write(tmp_path, "simulate.py", code), replications=10, seed=1, store=tmp_path / "runs", workers=1)
    assert list(run.status().jobs.values()) == ["failed", "succeeded"] and len(run.results()) == 10
    always = (
        "import os, time\ndef simulate(rng):\n    print('the end')\n    os.kill(os.getppid(), 9)\n    time.sleep(9)"
    )
    with pytest.raises(WorkerError, match=r"10 replications .* still missing after 2 attempts"):
        sf.run(write(tmp_path, "always.py", always), replications=10, seed=1, store=tmp_path / "runs", retries=1)


@pytest.mark.parametrize(("cut_short", "retries"), [(True, 1), (False, 1), (True, 0)])
def test_an_attempt_that_was_cut_short_is_no_failure_if_it_brought_a_tenth(tmp_path, monkeypatch, cut_short, retries):
    class ShortJobs(Local):
        """Each job is ended as soon as it has written a block, which is of four replications at the most."""

        def poll(self, run, jobs, begin=False):
            for job, state in super().poll(run, jobs).states.items():
                if state == "running" and any(b.job == job for b in run.block_names()):
                    self.cancel(run, [job], at_once=True)
            now = super().poll(run, jobs)
            return replace(now, jobs={job: replace(state, cut_short=cut_short) for job, state in now.jobs.items()})

    monkeypatch.setattr("simferry.backends.local.Local", ShortJobs)
    code = """
import time
begun = []
def simulate(rng):
    begun.append(time.sleep(0.35))
    if len(begun) > 4:
        time.sleep(3600)
    return rng.random()
"""
    script = write(tmp_path, "simulate.py", code)
    options = {"replications": 10, "seed": 1, "store": tmp_path / "runs", "workers": 1, "retries": retries}
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if cut_short and retries:
            run = sf.run(script, **options)
        else:
            with pytest.raises(WorkerError, match=f"(are|is) still missing after {1 + retries} attempt"):
                sf.run(script, **options)
            (run,) = sf.runs(tmp_path / "runs")
    attempts = len(run._folder.plans())
    said = [str(warning.message) for warning in told if warning.category is Note]
    assert len(said) == attempts - 1 and all(
        re.search("replications are left|: 1 replication is left", text) for text in said
    )
    assert (attempts >= 3 and run.status().state == "complete") if cut_short and retries else attempts == 1 + retries


def test_retry_failed_runs_them_again_on_their_own_streams(tmp_path, monkeypatch):
    code = """
import os
def simulate(rng):
    u = rng.random()
    if u < 0.5 and "FAIL" in os.environ:
        raise OSError("no licence")
    return u
"""
    script = write(tmp_path, "simulate.py", code)
    whole = sf.run(script, replications=10, seed=1, store=tmp_path / "whole")
    monkeypatch.setenv("FAIL", "1")
    run = sf.run(script, replications=10, seed=1, store=tmp_path / "runs")
    failed = run.status().failed
    assert 0 < failed < 10
    assert run.resume().status().failed == failed  # a failed replication is done
    monkeypatch.delenv("FAIL")
    assert run.resume(retry_failed=True).status().failed == 0
    assert digest(run) == digest(whole)


def test_retry_failed_goes_on_after_a_job_is_lost(tmp_path, monkeypatch):
    code = """
import os, pathlib, time
def simulate(rng):
    u = rng.random()
    if "FAIL" in os.environ:
        raise OSError("no licence")
    if "LOST" in os.environ and not pathlib.Path(os.environ["LOST"]).exists():
        pathlib.Path(os.environ["LOST"]).touch()
        os.kill(os.getppid(), 9)
        time.sleep(9)
    return u
"""
    script = write(tmp_path, "simulate.py", code)
    whole = sf.run(script, replications=10, seed=1, store=tmp_path / "whole")
    monkeypatch.setenv("FAIL", "1")
    run = sf.run(script, replications=10, seed=1, store=tmp_path / "runs")
    assert run.status().failed == 10
    monkeypatch.delenv("FAIL")
    monkeypatch.setenv("LOST", str(tmp_path / "lost"))
    now = run.resume(retry_failed=True).status()
    assert (now.done, now.failed, len(run._folder.plans())) == (10, 0, 3)
    assert digest(run) == digest(whole)


def test_a_failed_replication_is_tried_again_once(tmp_path):
    script = write(tmp_path, "simulate.py", "def simulate(rng):\n    raise OSError('always')")
    run = sf.run(script, replications=10, seed=1, store=tmp_path / "runs")
    assert run.resume(retry_failed=True).status().failed == 10
    assert len(run._folder.plans()) == 2


def test_replications_that_two_plans_computed_count_once(tmp_path, script, monkeypatch):
    def stop(now):
        if now.done:
            raise KeyboardInterrupt

    monkeypatch.setenv("PAUSE", "0.1")
    with pytest.raises(Interrupted):
        sf.run(
            script, sf.grid(n=[5, 10]), replications=20, seed=7, store=tmp_path / "runs", workers=2, on_progress=stop
        )
    monkeypatch.delenv("PAUSE")
    run = sf.open("latest", tmp_path / "runs").resume()
    assert run.status().state == "complete"
    # a job of the first plan that was thought to be lost brings what is there already, while a block of the second is missing
    other, *_, one = sorted((run.folder / "blocks").iterdir())
    lost = int(one.name.rpartition("-r")[2].partition("-")[0])
    shutil.copy(other, other.with_name(f"0001-0001-1-9.1-r{lost}-f0"))
    one.unlink()
    now = run.status()
    assert (now.done, now.state) == (40 - lost, "incomplete")
    assert run.resume().status().state == "complete" and len(run.results()) == 40


def test_no_zombies_and_no_open_files(tmp_path, script):
    me = psutil.Process()
    sf.run(script, sf.grid(n=[5]), replications=2, seed=7, store=tmp_path / "runs")
    before = me.num_fds()
    sf.run(script, sf.grid(n=[5]), replications=2, seed=8, store=tmp_path / "runs")
    assert me.num_fds() == before
    assert [c for c in me.children() if c.status() == psutil.STATUS_ZOMBIE] == []


def test_a_disk_that_will_be_full_is_foretold(tmp_path, script, monkeypatch):
    run = sf.run(script, sf.grid(n=[2]), replications=4, seed=1, store=tmp_path)
    now = run.status()
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5_000_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drive._warn_of_full_disk(run._folder, now)
    with pytest.warns(Note, match=r"GB of disk, and 5.0 MB are free at .*keeps what is finished"):
        drive._warn_of_full_disk(run._folder, replace(now, total=10**8))
