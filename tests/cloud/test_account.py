"""A sweep on a real account; see README.md beside this file. Without SIMFERRY_CLOUD_ROLE and SIMFERRY_CLOUD_STORE nothing runs."""

import os
import warnings

import pandas as pd
import pytest
import simferry as sf
from simferry.results import read
from sweeps import DRAWS, digest, done_pairs, write

ROLE, STORE = os.environ.get("SIMFERRY_CLOUD_ROLE"), os.environ.get("SIMFERRY_CLOUD_STORE")
pytestmark = pytest.mark.skipif(not (ROLE and STORE), reason="opt-in: SIMFERRY_CLOUD_ROLE and SIMFERRY_CLOUD_STORE")
DESIGN = {"n": [5, 10], "effect": [0, 0.1]}


def submit(script, image, **given):
    place = {"backend": "sagemaker", "image": image, "role": ROLE, "store": STORE, "instance_type": "ml.t3.medium"}
    return sf.run(script, sf.grid(DESIGN), seed=7, replications=20, max_runtime=600, budget=0.05, **place, **given)


def test_the_same_table_as_in_a_container_here(tmp_path, image_r):
    script = write(tmp_path, *DRAWS["r"])
    there = submit(script, image_r, jobs=2, fresh=True)
    here = sf.run(
        script, sf.grid(DESIGN), seed=7, replications=20, backend="docker", image=image_r, store=tmp_path / "store"
    )
    assert there.status().state == "complete" and 0 < there.status().dollars < 0.05
    assert len(done_pairs(there)) == len(set(done_pairs(there))) == 80
    if (elsewhere := cpus(there)) == (ours := cpus(here)):
        assert digest(there) == digest(here)
    else:  # the last bits of a sum or a logarithm are the processor's
        warnings.warn(f"compared to 9 digits, not bit for bit: {elsewhere} there, {ours} here", stacklevel=1)
        pd.testing.assert_frame_equal(there.results(), here.results(), rtol=1e-9)


def cpus(run):
    """The processors that computed a run, as its blocks say."""
    return {block.facts["cpu"] for _, block in read.read_blocks(run._folder)}


def test_detached_cancelled_resumed(tmp_path, image_r):
    script = write(tmp_path, "slow.R", "simulate <- function(n, effect) { Sys.sleep(3); mean(rnorm(n, effect)) }")
    started = []
    run = submit(script, image_r, jobs=1, on_start=lambda run, *_: started.append(run.address), detach=lambda run: None)
    with pytest.raises(sf.SimferryError, match="1 job goes on"):
        run.resume(on_progress=interrupt_when_running)
    again = sf.open(started[0])
    assert again.status().state == "running"
    assert again.cancel().state in ("running", "incomplete")
    assert again.resume(jobs=2).status().state == "complete"


def interrupt_when_running(now):
    if "running" in now.jobs.values():
        raise KeyboardInterrupt


def test_a_whole_script_and_its_input(tmp_path, image_r):
    code = """
    data <- read.csv("/opt/ml/processing/input/data/data.csv"); cat("x is", data$x, "\\n")
    write.csv(data.frame(m = mean(rnorm(10)) + data$x), "/opt/ml/processing/output/result.csv", row.names = FALSE)
    """
    script = write(tmp_path, "whole.R", code)
    inputs = {"data": write(tmp_path, "data.csv", "x\n3\n")}
    run = submit(script, image_r, args="{n} {effect}", results_file="result.csv", inputs=inputs)
    assert run.status().finished and run.results()["m"].between(-2, 8).all()
    assert [path.name for path in run.artifacts(1, 1)] == ["result.csv"]
    assert all("x is 3" in text for text in run.logs().values()) and run.logs()
