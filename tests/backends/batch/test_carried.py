"""Files of jobs in images of all kinds, on the emulator: with nothing but a shell, with R only, with an entry point of their own."""

import time

import boto3
import pytest
import simferry as sf
from batch_sweeps import detached, own_cache, submit  # noqa: F401
from simferry.aws.contracts import batch as contract
from simferry.backends import batch_requests as requests
from simferry.store.packed import packed
from simferry.sweep.options import BatchOptions
from sweeps import write

PROGRAM = """
cd /opt/ml/processing
mkdir -p artifacts/1/1
cat input/code/program input/plan/job input/data/x > artifacts/1/1/all
id -un > blocks/0001-0001-$SIMFERRY_ATTEMPT-01.1-r1-f0
"""


def ended(job):
    batch, until = boto3.client("batch"), time.monotonic() + 90
    while time.monotonic() < until:
        (now,) = batch.describe_jobs(jobs=[job])["jobs"]
        if now["status"] in ("SUCCEEDED", "FAILED"):
            return now
        time.sleep(0.2)
    pytest.fail("the job has not ended")


@pytest.mark.parametrize(("more", "code"), [("", 0), ("exit 5", 5), ("head -c 300M /dev/zero | tail", 137)])
def test_a_program_in_an_image_with_nothing_but_a_shell(on_batch, scrap, image_python, more, code):
    """Which runs as another user than root."""
    image = scrap.build("FROM debian:bookworm-slim\nRUN useradd someone\nUSER someone\n")
    bucket, batch, s3 = on_batch.stack["Bucket"], boto3.client("batch"), boto3.client("s3")
    for key, content in (("run/code/program", b"1"), ("run/plan/0001/jobs", packed([b"2"])), ("data/x", b"3")):
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    stack = on_batch.stack
    options = BatchOptions(
        image=image, carrier_image=image_python, job_role=stack["BatchJobRole"], execution_role=stack["ExecutionRole"],
        log_group=stack["LogGroup"], memory="64M",
    )  # fmt: skip
    made = requests.definition(options, {"language": "r"}, ("python3",))
    containers = made["ecsProperties"]["taskProperties"][0]["containers"]
    containers[1]["command"] = contract.beside_command(["sh", "-c", f"{PROGRAM}\n{more}"])
    batch.register_job_definition(jobDefinitionName="program", **made)
    run = f"s3://{bucket}/run"
    carried = {
        "run": run, "plan": "0001", "jobs": f"{run}/plan/0001/jobs", "region": "us-east-1", "command": [],
        "inputs": {"data": f"s3://{bucket}/data/"},
    }  # fmt: skip
    told = [{"name": "SIMFERRY_CARRIED", "value": contract.as_json(carried)}]
    overrides = {"taskProperties": [{"containers": [{"name": contract.CARRIER, "environment": told}]}]}
    job = batch.submit_job(
        jobName="job", jobQueue=stack["SpotQueue"], jobDefinition="program", ecsPropertiesOverride=overrides
    )["jobId"]
    now = ended(job)
    assert now["status"] == ("FAILED" if code else "SUCCEEDED"), now
    assert now["attempts"][0]["taskProperties"][0]["containers"][0]["exitCode"] == code
    found = {key: s3.get_object(Bucket=bucket, Key=f"run/{key}")["Body"].read() for key in (
        "artifacts/1/1/all", "blocks/0001-0001-1-01.1-r1-f0", "jobs/0001-0001/claim")}  # fmt: skip
    assert [*found.values()] == [b"123", b"someone\n", job.encode()]


def test_a_job_beside_its_carrier_that_is_stopped_has_no_failures(on_batch, tmp_path, image_r):
    """The worker is interrupted once it knows that it is to stop: else replications would fail. What it has is kept."""
    script = write(tmp_path, "slow.R", "simulate <- function(n) { Sys.sleep(0.2); mean(rnorm(n)) }")
    run = detached(script, image_r, {"n": 5}, lambda now: now.done, replications=400, vcpus=1.0)
    run.cancel()
    state = run.status()
    assert (state.state, state.failed) == ("incomplete", 0) and 0 < state.done < 400
    here = sf.run(script, sf.grid(n=5), replications=state.done, seed=7, store=tmp_path / "runs")
    assert here.results()["value"].tolist() == run.results()["value"].tolist()


def test_an_image_behind_an_entry_point_of_its_own(on_batch, scrap, image_python, tmp_path):
    """It carries its own files, behind a script."""
    image = scrap.build(
        f'FROM {image_python}\nUSER root\nCOPY entry.sh /entry.sh\nENTRYPOINT ["sh", "/entry.sh"]\n',
        **{"entry.sh": 'export FROM_ENTRY=7\nexec "$@"\n'},
    )
    script = write(tmp_path, "s.py", "import os\ndef simulate(n): return n + int(os.environ['FROM_ENTRY'])\n")
    run = submit(script, image, {"n": [1, 2]}, replications=1)
    assert run.results()["value"].tolist() == [8, 9] and run.record["options"]["backend"] == "batch"
