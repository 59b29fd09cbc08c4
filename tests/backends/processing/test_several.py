"""Sweeps on SageMaker that several processes submit, follow, cancel and resume."""

import os
import re
import signal

import pandas as pd
import pytest
import simferry as sf
from sagemaker_sweeps import SLOW, SMALL, describe, described, detached, interrupt_when, names_of, place_of, submit
from simferry import errors
from simferry.emulator import Faults
from sweeps import digest, done_pairs, simferry, wait_until, write


def test_detach_watch_follow_cancel_resume_extend(tmp_path, emulator, image_r, gate):
    code = f'simulate <- function(n) {{ {gate.WAIT}; cat(sprintf("line of %g \\n", n)); mean(rnorm(n)) }}'
    script = write(tmp_path, "slow.R", code)
    sweep = ("-p", "n=5,10", "-n", "16", "--seed", "7")
    driver = simferry("run", script, *sweep, *place_of(emulator, image_r, 2), cwd=tmp_path, start=True)
    wait_until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] == 2)
    (run,) = sf.runs(f"s3://{emulator.bucket}/simferry")
    wait_until(lambda: set(run.status().jobs.values()) == {"running"})
    os.killpg(driver.pid, signal.SIGINT)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4
    assert "2 jobs go on" in said and "simferry watch s3://" in said

    elsewhere = {"XDG_CACHE_HOME": str(tmp_path / "another-machine")}
    address = said.split("simferry watch ")[1].split()[0]
    now = simferry("status", address, cwd=tmp_path, **elsewhere)
    assert "2 running" in now.stdout and "$0.0" in now.stdout, now.stderr
    gate.open()
    lines = simferry("logs", address, "--follow", cwd=tmp_path, **elsewhere).stdout.splitlines()
    assert len(lines) == 32 and all(re.fullmatch(r"0001-000[12] \| line of (5|10) ", line) for line in lines)
    watched = simferry("watch", address, cwd=tmp_path, **elsewhere)
    assert watched.returncode == 0 and "32 of 32 replications done, 0 failed" in watched.stdout

    gate.close()
    run = sf.open(address)
    driver = simferry("extend", address, "-n", "40", "--jobs", "1", cwd=tmp_path, start=True)
    wait_until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] == 3)
    wait_until(lambda: "running" in sf.open(address).status().jobs.values())
    stopped = simferry("cancel", address, cwd=tmp_path, **elsewhere)
    assert "is stopped" in stopped.stdout, stopped.stderr
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4 and "were stopped by somebody" in said
    assert run.status().jobs["0002-0001"] == "cancelled"
    gate.open()
    done = run.resume(jobs=1).status()
    assert (done.state, done.done) == ("complete", 80)
    whole = sf.run(script, sf.grid(n=[5, 10]), replications=40, seed=7, store=tmp_path / "store", workers=8)
    assert digest(run) == digest(whole)


def test_two_drivers_do_not_deal_out_the_same_work(tmp_path, emulator, image_r, machine, gate):
    script = write(tmp_path, "slow.R", f"simulate <- function(n) {{ {gate.WAIT}; mean(rnorm(n)) }}")
    # its job runs into its limit, and what it left undone is dealt out again, by one of two
    run = detached(emulator, script, image_r, {"n": 5}, replications=30, max_runtime=6)
    sweep = {"cwd": tmp_path, "start": True}
    drivers = [
        simferry("resume", run.address, XDG_CACHE_HOME=str(tmp_path / name), **sweep) for name in ("first", "second")
    ]
    wait_until(lambda: any(driver.poll() is not None for driver in drivers))
    gate.open()
    said = [driver.communicate(timeout=120) for driver in drivers]
    assert sorted(driver.returncode for driver in drivers) == [0, 1], said
    assert any("another process has just started to compute" in err for _, err in said)
    pairs = done_pairs(sf.open(run.address))
    assert len(pairs) == len(set(pairs)) == 30


def test_a_cancel_while_jobs_wait_for_the_quota(tmp_path, emulate, image_r):
    emulator = emulate(quotas={SMALL: 1})
    script = write(tmp_path, "slow.R", SLOW)
    sweep = (
        "-p",
        "n=5,10,20",
        "-n",
        "100",
        "--seed",
        "7",
    )
    place = place_of(emulator, image_r, 3)
    driver = simferry("run", script, *sweep, *place, cwd=tmp_path, start=True)
    wait_until(lambda: emulator.requests["sagemaker", "CreateProcessingJob"] >= 2, 40)
    (run,) = sf.runs(f"s3://{emulator.bucket}/simferry")
    simferry("cancel", run.address, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "elsewhere"))
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 4 and "were stopped by somebody" in said
    assert len(described(emulator)) <= 2
    submitted = emulator.requests["sagemaker", "CreateProcessingJob"]
    with pytest.raises(errors.Interrupted):  # the old jobs, stopped, do not stop the new ones
        run.resume(on_progress=interrupt_when("0002-0002", "pending"))
    assert emulator.requests["sagemaker", "CreateProcessingJob"] > submitted
    run.cancel()


def test_a_cancel_reaches_jobs_that_the_list_does_not_show_yet(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(list_lag_seconds=6))
    run = detached(emulator, write(tmp_path, "slow.R", SLOW), image_r, {"n": [5, 10]}, replications=100, jobs=2)
    sf.open(run.address).cancel()
    states = [job["ProcessingJobStatus"] for job in (describe(name) for name in names_of(run, 2))]
    assert set(states) <= {"Stopping", "Stopped"}


def test_a_resume_with_other_options_stops_jobs_that_the_list_does_not_show_yet(tmp_path, emulate, image_r):
    emulator = emulate(faults=Faults(list_lag_seconds=6))
    run = detached(emulator, write(tmp_path, "slow.R", SLOW), image_r, {"n": [5, 10]}, replications=100, jobs=2)
    again = sf.open(run.address)
    with pytest.raises(errors.Interrupted):
        again.resume(jobs=1, on_progress=interrupt_when("0002-0001", "running"))
    states = [job["ProcessingJobStatus"] for job in (describe(name) for name in names_of(run, 2))]
    assert set(states) <= {"Stopping", "Stopped"}
    again.cancel()


def test_on_error_stop_holds_for_jobs_that_are_taken_up_again(tmp_path, emulator, image_r):
    script = write(tmp_path, "fails.R", "simulate <- function(n) { Sys.sleep(0.3); if (runif(1) < 0.5) stop('no'); n }")
    run = detached(emulator, script, image_r, {"n": [5, 10]}, replications=40, jobs=2, on_error="stop")
    run.resume()
    assert run.status().failed and len(described(emulator)) == 2


LISTS = {
    "r": """simulate <- function(n, tags) {
        x <- rnorm(n)
        list(m = mean(x), k = sum(tags), task = as.numeric(Sys.getenv("TASK")), who = Sys.getenv("WHO"), all = x)
    }""",
    "py": """import os
def simulate(n, tags, rng):
    x = rng.normal(size=n)
    return {"m": x.mean(), "k": sum(tags), "task": float(os.environ["TASK"]), "who": os.environ["WHO"], "all": x.tolist()}
""",
}


@pytest.mark.parametrize("language", ["r", "py"])
def test_lists_variables_and_replications_by_condition_are_the_same_everywhere(
    language, emulator, place, tmp_path, image_r, image_python
):
    script = write(tmp_path, f"lists.{'R' if language == 'r' else 'py'}", LISTS[language])
    design = sf.table(pd.DataFrame({"n": [5, 10], "tags": [[1.0, 2.0], [3.0]], "reps": [2, 4]}))
    given = {
        "replications": sf.column("reps"), "seed": 5, "env": {"TASK": "{condition}", "WHO": "a b {n}"},
        "image": image_r if language == "r" else image_python, "jobs": 2,
    }  # fmt: skip
    there = {"backend": "sagemaker", "store": place, "role": emulator.role, "instance_type": "ml.t3.medium"}
    runs = [
        sf.run(script, design, **given, **where) for where in ({"backend": "docker", "store": tmp_path / "runs"}, there)
    ]
    here = {name: value for name, value in given.items() if name not in ("image", "jobs")}
    runs.append(sf.run(script, design, store=tmp_path / "runs", workers=2, **here))
    assert len({digest(run) for run in runs}) == 1
    table = runs[1].results()
    assert table["condition"].value_counts().to_dict() == {1: 2, 2: 4} and table["who"].iloc[-1] == "a b 10"
    assert [len(values) for values in table["all"]] == [5, 5, 10, 10, 10, 10]


def test_a_program_of_the_users_runs_there_as_it_does_here(tmp_path, emulator, image_python):
    """S3 keeps no modes of files. In containers here they are kept, also those of programs that a script runs."""
    program = write(tmp_path, "draw", "#!/bin/sh\nprintf 'v\\n%s\\n' $SIMFERRY_SEED >out.csv\n")
    helper = write(
        tmp_path, "simulate.py", "import subprocess\ndef simulate():\n    return subprocess.call(['./draw'])\n"
    )
    program.chmod(0o755)
    given = {"args": "", "results_file": "out.csv", "replications": 2}
    there = submit(emulator, program, image_python, {}, **given)
    in_docker = {"backend": "docker", "image": image_python, "store": tmp_path / "runs"}
    here = sf.run(program, seed=7, **in_docker, **given)
    assert there.results().equals(here.results()) and here.results()["v"].nunique() == 2
    below = sf.run(helper, replications=1, seed=1, include="draw", **in_docker)
    assert below.results()["value"].tolist() == [0]
