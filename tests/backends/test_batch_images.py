"""Images that are the program, on AWS Batch: sweeps on the emulator, in real containers."""

import json

import pytest
import simferry as sf
from batch_sweeps import arrays, own_cache  # noqa: F401
from image_programs import PROGRAM, RECIPE
from simferry import errors
from simferry.backends import batch_images
from sweeps import digest, simferry


@pytest.fixture
def image(scrap):
    return scrap.build(RECIPE, train=PROGRAM)


@pytest.fixture
def given(tmp_path):
    (tmp_path / "data.csv").write_text("x\n1\n2\n")
    return {"results_file": "result.csv", "inputs": {"training": tmp_path / "data.csv"}, "seed": 7, "replications": 2,
            "metric": {"loss": "loss=([0-9.]+)"}, "env": {"MODE": "file"}}  # fmt: skip


def test_a_job_for_each_replication_gives_the_table_of_docker(tmp_path, on_batch, image, given):
    design = sf.grid(gain=[1, 5])
    docker = sf.run(f"image:{image}", design, backend="docker", store=tmp_path / "store", **given)
    run = sf.run(f"image:{image}", design, backend="batch", vcpus=1, **given)
    assert digest(run) == digest(docker)
    assert run.errors()["message"].tolist() == ["no convergence"] * 2
    assert sorted(run.status().jobs.values()) == ["failed"] * 2 + ["succeeded"] * 2
    assert sorted(job["status"] for job in arrays()) == ["FAILED"] * 2 + ["SUCCEEDED"] * 2  # as the console shows them
    names = [path.name for path in run.artifacts(1, 1)]
    assert names[0] == "metrics.csv" and names[2] == "result.csv" and names[1].startswith("m-")
    assert "loss=0.1" in run.logs()["0001-0001"]
    assert json.loads(simferry("status", run.address, "--json", cwd=tmp_path).stdout)["failed"] == 2
    assert run.resume().status().state == "complete" and len(arrays()) == 4


HALF = r"""#!/bin/sh
if [ -e /opt/ml/checkpoints/half ]; then
  echo "out,seed" > /opt/ml/model/result.csv
  echo "$(cat /opt/ml/checkpoints/half),$SIMFERRY_SEED" >> /opt/ml/model/result.csv
  exit 0
fi
echo 7 > /opt/ml/checkpoints/half
sleep 60
"""


def test_a_lost_machine_is_another_attempt_that_finds_its_checkpoints(deployed, scrap):
    lost = [6.0, None]  # seconds until the machine of an attempt is lost: the program has written by then
    emulator = deployed()
    emulator.faults.seconds_until_lost = lambda: lost.pop(0)
    image = scrap.build(
        "FROM debian:bookworm-slim\nCOPY train /usr/local/bin/train\nRUN chmod 755 /usr/local/bin/train\n", train=HALF
    )
    run = sf.run(f"image:{image}", replications=1, seed=3, results_file="result.csv", backend="batch", vcpus=1)
    assert run.results()["out"].tolist() == [7] and lost == []
    (job,) = arrays()
    assert [one.get("statusReason", "").startswith("Host EC2") for one in job["attempts"]] == [True, False]


AT = 1_700_000_000_000


def told(**more):
    return json.dumps({"code": 0, "failure": {}, "seconds": 2.5, "stopped": False, "attempt": 1, **more}).encode()


@pytest.mark.parametrize(
    ("said", "status", "work", "state", "reason", "has_results"),
    [
        (told(), {}, {}, "succeeded", "", True),
        (told(code=4), {}, {}, "failed", "AlgorithmError: exited with code 4", True),
        (told(code=4, failure={"name": "failure", "text": "no data"}), {}, {}, "failed", "AlgorithmError: no data, exit code: 4", True),
        (told(failure={"name": "failure"}), {}, {}, "failed",
         "AlgorithmError: /opt/ml/output/failure is there and can't be read: it has to be a plain file, exit code: 0", True),
        # killed from outside, but not for its memory: it is done again
        (told(code=137), {}, {}, "failed", "AlgorithmError: exited with code 137", False),
        (told(code=137), {}, {"reason": "OutOfMemoryError: Container killed due to memory usage"}, "failed",
         "AlgorithmError: exited with code 137: out of memory (it had 4G)", True),
        (told(code=143, stopped=True), {"statusReason": "Job attempt duration exceeded timeout"}, {}, "failed",
         "MaxRuntimeExceeded: its time limit", True),
        (told(code=143, stopped=True), {"statusReason": "by hand"}, {}, "failed", "by hand", False),
        (told(code=143, stopped=True), {"statusReason": "cancelled by simferry"}, {}, "stopped", "", False),
        (told(attempt=2), {"statusReason": "Host EC2 (instance i-1) terminated."}, {}, "failed",
         "Host EC2 (instance i-1) terminated.", False),  # of another attempt
        (b"", {}, {}, "failed", "its files were not sent", False),
        (b'{"code": [], "failure": 1}', {}, {}, "failed", "its files were not sent", False),
        (b"", {}, {"reason": "CannotStartContainerError: train"}, "failed", "CannotStartContainerError: train", False),
    ],
)  # fmt: skip
def test_what_the_end_of_a_job_means(said, status, work, state, reason, has_results):
    good = said == told() or not (status or work or said)
    task = {"containers": [{"name": "bring"}, {"name": "work", **work}, {"name": "carry"}]}
    one = {"status": "SUCCEEDED" if good else "FAILED", "startedAt": AT, "stoppedAt": AT + 9000, **status}
    one |= {"ecsProperties": {"taskProperties": [task]}}
    memory = "it had 4G" if batch_images._out_of_memory(work) else ""
    job = batch_images._ended(one, batch_images._parsed(said, 1), "", memory)
    assert (job.state, job.reason, batch_images._has_results(job)) == (state, reason, has_results)
    assert job.ran == 2.5 or not has_results or not said


def test_a_killed_container_is_another_job_and_a_cancelled_run_goes_on(on_batch, engine, image, given):
    given |= {"env": {"PAUSE": "6"}, "replications": 1}
    begun, killed = [], []

    def look(now):
        running = [one for one in engine.containers.list() if one.name.endswith("-work")]
        if running and not killed:
            killed.extend(running)
            running[0].kill()
        elif running and killed and running[0].id != killed[0].id:
            sf.open(begun[0].address).cancel()

    with (
        pytest.warns(errors.Note, match="attempt 2"),
        pytest.raises(errors.Interrupted, match="were stopped by somebody"),
    ):
        sf.run(
            f"image:{image}", sf.grid(gain=[1]), backend="batch", vcpus=1, on_start=lambda run, *_: begun.append(run),
            on_progress=look, **given,
        )  # fmt: skip
    first, second = arrays()
    assert [one["name"] for one in first["attempts"][0]["taskProperties"][0]["containers"] if one["exitCode"]] == [
        "work",
        "carry",
    ]
    assert second["statusReason"] == "cancelled by simferry" and sf.open(begun[0].address).status().done == 0
    run = sf.open(begun[0].address).resume()
    assert run.results()["out"].tolist() == [2] and len(arrays()) == 3
