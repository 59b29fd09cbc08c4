"""simferry.infra.show: what is there, what runs, and the dollars."""

from functools import partial

import boto3
import pytest
from simferry import infra
from simferry.aws.prices import prices
from simferry.errors import UsageError
from simferry.infra import inventory
from simferry.infra.inventory import Infrastructure, Job, Stored

MANIFEST = (
    '{"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json", "config": {"size": 1}}'
)


def test_what_is_stored_costs_by_the_month(emulator):
    with pytest.raises(
        UsageError, match=r"there is no stack simferry in us-east-1\nsimferry.infra.deploy\(\)  makes it"
    ):
        infra.show()
    found = infra.deploy(yes=True, tell=lambda line: None)
    s3, bucket = boto3.client("s3"), found.outputs["Bucket"]
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 500)
    boto3.client("ecr").put_image(
        repositoryName=found.outputs["Repository"].partition("/")[2], imageManifest=MANIFEST,
        imageTag="lab-1",
    )  # fmt: skip
    found = infra.show()
    objects, images = found.stored
    assert (objects.name, objects.things, objects.gigabytes) == (bucket, 2, 1e-6)
    assert images.things == 1 and found.images[0].endswith(":lab-1")
    assert "runs now: 0 instances, $0.00 an hour" in str(found)
    boto3.client("ecr").delete_repository(repositoryName=found.outputs["Repository"].partition("/")[2], force=True)
    assert infra.show().stored[1].things == 0  # as after a deletion that failed halfway


def test_jobs_of_runs_cost_by_the_hour(emulator, monkeypatch):
    """Those of runs, among others; only the first ones are looked at."""
    names = [f"power-20261128-0123abcd-0123456789-0001-000{n}" for n in range(3)]
    described = []

    def describe(name):
        described.append(name)
        kind = "ml.m5.xlarge" if name == names[0] else "ml.new.xlarge"
        return {"role": "r", "cluster": {"InstanceType": kind, "InstanceCount": 2}}

    running = [(name, partial(describe, name)) for name in ["etl-20261128", *names]]
    monkeypatch.setattr(inventory, "running_jobs", lambda: running)
    monkeypatch.setattr(inventory, "DESCRIBED", 2)
    jobs, more = inventory.running()
    cost = 2 * prices("us-east-1").of("ml.m5.xlarge")
    assert described == names[:2] and more == 1
    assert jobs == [Job(names[0], "r", "ml.m5.xlarge", 2, cost), Job(names[1], "r", "ml.new.xlarge", 2, None)]
    found = Infrastructure("lab", "us-east-1", {"lab": "CREATE_COMPLETE"}, {}, jobs=jobs, more_jobs=more)
    assert found.instances == 4 and found.dollars_an_hour == cost
    assert f"runs now: 4 instances, 3 jobs, at least ${cost:.2f} an hour" in str(found)
    assert f"{names[1]}  2 x ml.new.xlarge, price not known" in str(found)


def test_the_dollars_of_storage():
    found = Infrastructure("lab", "r", {}, {}, [Stored("bucket", "b", 1, 100.0), Stored("images", "i", 2, 10.0, False)])
    assert found.dollars_a_month == pytest.approx(100 * 0.023 + 10 * 0.10)
    assert "storage: bucket   100.000 GB in 1 object, $2.30 a month  (b)" in str(found)
    assert "storage: images   at least 10.000 GB in 2 images, at least $1.00 a month  (i)" in str(found)
