"""Sweeps on AWS Batch, on the emulator: HTTP on loopback, jobs in real containers."""

import math
from pathlib import Path

import boto3
import pytest
import simferry as sf
from batch_sweeps import DESIGN, arrays, children, detached, own_cache, submit  # noqa: F401
from simferry import errors, infra
from simferry.backends.batch import Batch, array_name
from sweeps import DRAWS, digest, done_pairs, simferry, write

EXAMPLE = Path(__file__).resolve().parents[2] / "simulations" / "model_training"


@pytest.mark.parametrize("language", ["r", "python"])
def test_the_same_table_local_docker_and_batch(tmp_path, on_batch, image_r, image_python, language):
    script = write(tmp_path, *DRAWS[language])
    image = {"r": image_r, "python": image_python}[language]
    given = {"replications": 20, "seed": 7, "store": tmp_path / "store"}
    here = sf.run(script, sf.grid(DESIGN), **given)
    docker = sf.run(script, sf.grid(DESIGN), backend="docker", image=image, **given)
    there = submit(script, image, jobs=3)
    assert digest(there) == digest(docker) == digest(here)
    assert sorted(done_pairs(there)) == sorted(set(done_pairs(there))) and len(done_pairs(there)) == 80
    assert there.address.startswith(on_batch.stack["Store"])
    assert on_batch.requests["batch", "SubmitJob"] == 1
    (array,) = arrays()
    assert array["jobName"] == array_name(there._folder, "0001") and array["arrayProperties"]["size"] == 3
    assert array["tags"]["simferry:run"] == there.id and array["tags"]["simferry:stack"] == "simferry"
    assert {state for state in there.status().jobs.values()} == {"succeeded"} and 0 < there.status().dollars < 0.05


def test_a_whole_script_its_inputs_and_artifacts(tmp_path, on_batch, image_r):
    write(tmp_path, "data/d 1+%.csv", "x\n2\n")
    code = """
    d <- read.csv(file.path(Sys.getenv("SIMFERRY_INPUT"), "done", "d 1+%.csv"))
    n <- as.numeric(commandArgs(TRUE)[1])
    writeLines("kept", "note.txt")
    write.csv(data.frame(m = mean(rnorm(n)) + d$x), "r.csv", row.names = FALSE)
    """
    script = write(tmp_path, "whole.R", code)
    given = {"args": "{n}", "results_file": "r.csv", "replications": 3, "inputs": {"done": tmp_path / "data"}}
    here = sf.run(script, sf.grid({"n": [5, 10]}), seed=7, store=tmp_path / "store", **given)
    there = submit(script, image_r, {"n": [5, 10]}, **given)
    assert here.errors().empty and digest(there) == digest(here)
    (job,) = arrays()
    assert "arrayProperties" not in job  # a plain job
    assert {path.name for path in there.artifacts()} == {"note.txt", "r.csv"} and len(there.artifacts()) == 12


def test_what_goes_wrong_is_told_in_the_workers_words(tmp_path, on_batch, image_python):
    script = write(
        tmp_path,
        "fails.py",
        "import os\nif os.path.isdir('/opt/ml'): raise OSError('not there')\ndef simulate(): return 1\n",
    )
    with pytest.raises(errors.SimulationError, match=r"fails when it is loaded: .*not there"):
        submit(script, image_python, {}, replications=4, jobs=2)


def test_logs_and_cancel(tmp_path, on_batch, image_r):
    script = write(tmp_path, "slow.R", 'cat("loaded\\n"); simulate <- function(n) { Sys.sleep(0.3); mean(rnorm(n)) }')

    run = detached(script, image_r, {"n": 5}, lambda now: now.done, replications=400, jobs=2)
    assert "loaded" in run.logs()["0001-0001"]
    run.cancel()
    (array,) = arrays()
    assert len(children(array, "FAILED")) == 2 and array["statusReason"]
    state = run.status()
    assert set(state.jobs.values()) == {"cancelled"} and state.state == "incomplete" and state.done >= 1
    pairs = done_pairs(run)
    assert len(pairs) == len(set(pairs)) == state.done


def test_a_budget_is_a_limit_of_each_attempt(tmp_path, on_batch, image_r):
    script = write(tmp_path, *DRAWS["r"])
    with pytest.raises(errors.BudgetReached, match=r"does not allow 4 jobs of run .* with 5 attempts each"):
        submit(script, image_r, jobs=4, budget=0.001)
    assert arrays() == []
    run = submit(script, image_r, jobs=4, budget=0.5, attempts=2)
    (array,) = arrays()
    seconds = array["timeout"]["attemptDurationSeconds"]
    hourly = 4 * 2 * (run._folder.plans()[0].limit + 30) / 3600  # from SIGTERM to SIGKILL
    assert seconds == run._folder.plans()[0].limit and 60 <= seconds < 86_400 and hourly * 0.05 < 0.5
    definition = boto3.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"][0]
    assert definition["retryStrategy"]["attempts"] == 2


def test_a_run_whose_queue_is_gone(tmp_path, on_batch, image_python):
    """With it went what the service knows of the run's jobs."""
    run = submit(write(tmp_path, "s.py", "def simulate(n): return n\n"), image_python, {"n": [1]}, replications=2)
    infra.delete(yes=True, tell=lambda _: None)
    later = sf.open(run.address)
    now = later.status()
    assert (now.state, now.done) == ("complete", 2) and math.isnan(now.dollars) and later.logs() == {"0001-0001": ""}
    with pytest.raises(errors.UsageError, match=r"the job queue .* of run .* is gone"):
        later.extend(4)
    assert later.replications == 2 and later.cancel().done == 2
    later.delete()


def test_requests_of_an_array(tmp_path, on_batch, image_r, monkeypatch):
    script = write(tmp_path, "simulate.R", "simulate <- function(n) n + runif(1)")
    on_batch.faults.start_seconds = 1e9  # none of them starts
    accepted, start = [], Batch.start

    def and_count(self, request):
        start(self, request)
        accepted.append(on_batch.requests.copy())

    monkeypatch.setattr(Batch, "start", and_count)
    run = detached(script, image_r, {"n": range(10_000)}, replications=1, jobs=200)
    control = sum(count for (service, _), count in accepted[0].items() if service not in ("s3", "ecr"))
    s3 = sum(count for (service, _), count in accepted[0].items() if service == "s3")
    assert control <= 15 and s3 <= 60, accepted[0]
    on_batch.requests.clear()
    assert len(sf.open(run.address).status().jobs) == 200
    assert sum(count for (service, _), count in on_batch.requests.items() if service == "batch") <= 12
    run.cancel()


def test_a_setup_script_runs_before_the_worker(tmp_path, on_batch, image_r):
    """On Batch, too, where the worker's container has its files from another one."""
    write(tmp_path, "setup.sh", 'echo "sets up"; echo 41 > /tmp/number\n')
    script = write(tmp_path, "simulate.R", "simulate <- function() scan('/tmp/number', quiet = TRUE) + 1")
    run = submit(script, image_r, {}, replications=2, before=tmp_path / "setup.sh")
    assert run.results()["value"].tolist() == [42, 42] and "sets up" in run.logs()["0001-0001"]
    write(
        tmp_path, "setup.sh", '[ -d /opt/ml/processing/scratch ] || exit 0\necho "only there"; exit 3\n'
    )  # the check passes
    with pytest.raises(
        errors.SimulationError, match=r"setup.sh failed with exit code 3, before the simulation:\n  only there"
    ):
        submit(script, image_r, {}, replications=2, before=tmp_path / "setup.sh", retries=0)


def test_the_example_of_a_model(tmp_path, on_batch, image_python):
    """simulations/model_training, with its setup script: metrics are results, models are artifacts in S3."""
    sweep = ("run", EXAMPLE / "sweep.toml", "-n", "1")
    place = ("--backend", "batch", "--image", image_python, "--jobs", "3", "--before", EXAMPLE / "setup.sh")
    for words in ((*sweep, *place), (*sweep, "--store", tmp_path / "store")):
        done = simferry(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (there,), (here,) = sf.runs(on_batch.stack["Store"]), sf.runs(tmp_path / "store")
    assert len(there.results()) == 9 and there.errors().empty
    assert there.results()["accuracy_unseen"].tolist() == pytest.approx(
        here.results()["accuracy_unseen"].tolist(), abs=0.01
    )
    assert (
        sum(path.name == "model.npz" for path in there.artifacts()) == 9 and "epochs took" in there.logs()["0001-0001"]
    )
