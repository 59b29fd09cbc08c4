"""AWS Batch as a user types it: store, roles and queue are those of the stack, and no run is named by its address."""

import json

import boto3
from batch_sweeps import arrays, own_cache  # noqa: F401
from click.testing import CliRunner
from simferry.cli import main

SIMULATION = "simulate <- function(n) { cat('n is', n, '\\n'); c(m = mean(rnorm(n))) }\n"
SWEEP = ("simulate.R", "-p", "n=10,20", "-n", "5", "--seed", "1")


def typed(*words: str) -> str:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str) -> str:
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2, result.output
    return result.stderr


def test_from_a_plan_to_the_deletion(tmp_path, on_batch, image_r, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simulate.R").write_text(SIMULATION)
    place = ["--backend", "batch", "--image", image_r]
    plan = json.loads(typed("plan", *SWEEP, *place, "--json"))
    assert plan["pilot_replications"] == 6 and plan["cloud"]["rows"][0]["instance_type"] == "spot, 2 vCPUs, 4 GB"
    assert any("is kept in s3://" in note for note in plan["cloud"]["notes"])

    typed("run", *SWEEP, *place, "--jobs", "2", "--name", "mine", "--tags", "project=ferry", "--budget", "1")
    (job,) = arrays()
    assert job["tags"]["project"] == "ferry" and 60 < job["timeout"]["attemptDurationSeconds"] < 86_400
    now = json.loads(typed("status", "latest", "--json"))
    assert (now["state"], now["done"]) == ("complete", 10) and now["dollars"] > 0 and len(now["jobs"]) == 2
    assert "jobs: 2 succeeded, less than $0.01 so far" in typed("status", "mine")
    assert "n is 20" in typed("logs", "latest")
    typed("run", *SWEEP, "--store", "here")
    assert typed("summary", "latest") == typed("summary", "latest", "--store", "here")

    assert json.loads(typed("extend", "mine", "-n", "7", "--vcpus", "1", "--memory", "2G", "--json"))["done"] == 14
    needs = arrays()[-1]["ecsProperties"]["taskProperties"][0]["containers"][1]["resourceRequirements"]
    assert {one["type"]: one["value"] for one in needs} == {"VCPU": "1", "MEMORY": "2048"}
    typed("delete", "mine", "--yes")
    assert "there is no run mine" in CliRunner().invoke(main, ["status", "mine"]).stderr


def test_queues_and_stacks_in_which_no_job_would_start(tmp_path, on_batch, image_r, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "simulate.R").write_text(SIMULATION)
    place = ["--backend", "batch", "--image", image_r]
    queue = on_batch.stack["SpotQueue"]
    boto3.client("batch").update_job_queue(jobQueue=queue, state="DISABLED")
    for verb in ("run", "plan"):
        assert "is disabled\naws batch update-job-queue --job-queue" in refused(verb, *SWEEP, *place)
        assert "there is no job queue nope in us-east-1" in refused(verb, *SWEEP, *place, "--queue", "nope")
        assert "the stack nope does not exist" in refused(verb, *SWEEP, *place, "--stack", "nope")
        assert "is one of Fargate\n--on fargate" in refused(
            verb, *SWEEP, *place, "--queue", on_batch.stack["FargateQueue"]
        )
    assert not arrays()
