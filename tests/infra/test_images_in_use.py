"""Which images are in use."""

from functools import partial

import boto3
import pytest
from account_fixtures import put_run
from simferry import infra
from simferry.errors import StoreError
from simferry.infra import images_in_use
from simferry.infra.images_in_use import reference, uses

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
RUN = "power-20261128-0123abc"


@pytest.fixture
def s3(emulator, machine, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIMFERRY_STORE", raising=False)
    return boto3.client("s3")


def test_references(emulator):
    assert reference(f"{HOST}/lab/r@sha256:01") == ("lab/r", "sha256:01")
    assert reference(f"{HOST}/r:1") == ("r", "1") and reference(f"{HOST}/r") == ("r", "latest")
    other = HOST.replace("us-east-1", "eu-west-1")
    assert reference(f"{other}/r:1") is reference("simferry-r") is reference("000000000000" + HOST[12:] + "/r") is None


def test_images_of_runs_in_all_stores_and_of_their_plans(emulator, s3):
    for bucket in ("lab", "mine"):
        s3.create_bucket(Bucket=bucket)
    put_run(s3, emulator.bucket, f"simferry/{RUN}0", f"{HOST}/r:0")
    put_run(s3, emulator.bucket, f"simferry/{RUN}1", f"{HOST}/r:1", of_plan=f"{HOST}/r:2")
    put_run(s3, "lab", f"deep/er/{RUN}3", f"{HOST}/r:3", carrier_image=f"{HOST}/python:3")
    put_run(s3, "mine", f"{RUN}4", f"{HOST}/r:4")
    s3.put_object(Bucket="lab", Key=f"deep/er/{RUN}5/blocks/a", Body=b"")  # what a deletion has left
    found = uses(["lab", "gone-for-long"], ["s3://mine"])
    assert found.runs == {*(("r", str(n)) for n in range(5)), ("python", "3")} and found.jobs == set()
    assert found.looked_at == {f"s3://{emulator.bucket}/simferry": 2, "s3://lab/deep/er": 1, "s3://mine": 1}


def test_a_run_that_cannot_be_read_is_an_error(emulator, s3):
    s3.put_object(Bucket=emulator.bucket, Key=f"simferry/{RUN}0/run.json", Body=b"{}")
    with pytest.raises(StoreError, match=f"nothing is deleted: it is not known which image run {RUN}0 uses"):
        uses([], [])


def test_one_job_of_each_plan_is_asked_for(emulator, monkeypatch):
    names = [f"{RUN}d-0123456789-{plan}-000{n}" for plan in ("0001", "0002") for n in range(1, 4)]

    running = [(name, partial(dict, image=f"{HOST}/r:{name}")) for name in [*names, "etl-1", "etl-2"]]
    monkeypatch.setattr(images_in_use, "running_jobs", lambda: running)
    assert list(images_in_use._of_sagemaker_jobs()) == [
        f"{HOST}/r:{one}" for one in (names[0], names[3], "etl-1", "etl-2")
    ]


def test_the_images_of_batch_jobs_that_have_not_ended(emulator, s3):
    infra.deploy(yes=True, tell=lambda _: None)
    emulator.faults.start_seconds = 1e9
    batch, outputs = boto3.client("batch"), infra.show().outputs
    for tag in ("a", "b"):
        sizes = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
        only = {"image": f"{HOST}/r:{tag}", "resourceRequirements": sizes}
        batch.register_job_definition(jobDefinitionName=tag, type="container", containerProperties=only)
    assert uses([], []).jobs == set()
    batch.submit_job(jobName="x", jobQueue=outputs["DemandQueue"], jobDefinition="b")
    assert uses([], []).jobs == {("r", "b")}
