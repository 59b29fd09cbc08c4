"""Models, endpoints and their requests in the emulator, asked for with boto3 and with sagemaker-core, unmodified; real containers."""

import json
import os
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import boto3
import pytest
from docker_fixtures import BASE, left_behind
from emulator_fixtures import Jobs
from emulator_requests import refused
from hosted_models import Host, archive
from simferry.aws.policies import policy

GROUP = "/aws/sagemaker/Endpoints"


@pytest.fixture
def host(emulate, image_serve):
    return Host(emulate(), image_serve)


def test_the_life_of_an_endpoint(host, engine):
    host.model("slope", archive())
    host.config("first", "slope")
    host.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="first")
    assert host.describe("e")["EndpointStatus"] == "Creating"
    with refused("ValidationError", "Endpoint e of account 123456789012 not found"):
        host.ask("e", b"1")
    for verb in ("delete_endpoint", "update_endpoint"):
        more = {"EndpointConfigName": "first"} if verb.startswith("update") else {}
        with refused("ValidationException", r"Cannot update in-progress endpoint \"arn:.*endpoint/e\""):
            getattr(host.sagemaker, verb)(EndpointName="e", **more)
    with refused("ValidationException", r"Cannot create already existing endpoint \"arn:.*endpoint/e\""):
        host.sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="first")
    told = host.wait("e")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", "first")
    assert told["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    host.sagemaker.add_tags(ResourceArn=told["EndpointArn"], Tags=[{"Key": "made-by", "Value": "me"}])
    tagged = boto3.client("resourcegroupstaggingapi").get_resources(TagFilters=[{"Key": "made-by", "Values": ["me"]}])
    assert [one["ResourceARN"] for one in tagged["ResourceTagMappingList"]] == [told["EndpointArn"]]
    host.emulator.quotas["ml.t2.medium"] = 1
    with refused(
        "ResourceLimitExceeded", "'ml.t2.medium for endpoint usage' is 1 Instances, with current utilization of 1"
    ):
        host.sagemaker.create_endpoint(EndpointName="f", EndpointConfigName="first")
    host.emulator.quotas.clear()

    answer = host.ask("e", b"1\n2\n", ContentType="text/csv", Accept="text/csv", CustomAttributes="trace=7")
    assert (answer["Body"].read(), answer["ContentType"], answer["InvokedProductionVariant"]) == (
        b"2.5\n5.0\n", "text/csv", "AllTraffic"
    )  # fmt: skip
    with refused("ModelError", r"Received client error \(415\) from primary with message .*") as caught:
        host.ask("e", b"x=1", ContentType="application/x-www-form-urlencoded")
    said = caught.value.response
    assert (said["OriginalStatusCode"], said["LogStreamArn"]) == (
        415, f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}/e"
    )  # fmt: skip
    assert said["OriginalMessage"] in said["Error"]["Message"] and "group=/aws/sagemaker/Endpoints/e in account" in str(
        caught.value
    )
    with refused("ValidationError", "Variant Other of endpoint e"):
        host.ask("e", b"1", TargetVariant="Other")
    with refused("ValidationError", "HTTP content length exceeded 6291456 bytes"):
        host.ask("e", b"0" * 6_291_457)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: host.predict("e", f"{i}\n"), range(200)))
    assert answers == [f"[{2.5 * i}]" for i in range(200)]

    # an update that fails goes back, and the old container answers all the while
    host.model("broken", b"no archive")
    host.config("second", "broken")
    host.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="second")
    assert host.describe("e")["EndpointStatus"] == "Updating" and host.predict("e", "1") == "[2.5]"
    told = host.wait("e")
    assert (told["EndpointStatus"], told["EndpointConfigName"]) == ("InService", "first")
    assert "Failed to extract model data archive" in told["FailureReason"]
    host.model("steeper", archive("10"))
    host.config("third", "steeper", InitialInstanceCount=2)
    host.sagemaker.update_endpoint(EndpointName="e", EndpointConfigName="third")
    told = host.wait("e")
    assert told["EndpointConfigName"] == "third" and "FailureReason" not in told and host.predict("e", "1") == "[10.0]"
    assert told["ProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert len(left_behind(engine, f"simferry-emulator-{os.getpid()}")) == 2

    # a container that gives no answer, and one that ends, which is started anew
    host.emulator.faults.pace = 1e-9
    with refused("ModelError", "Your invocation timed out while waiting for a response from container primary"):
        host.predict("e", "1")
    host.emulator.faults.pace = 0.1
    for _ in range(2):
        with refused("ModelError", r"Received server error \(0\) from primary"):
            host.predict("e", "1,exit")
    Jobs.until(lambda: host.answers("e", "1"))
    host.delete("e")
    lines = host.log(f"{GROUP}/e")
    assert "loading ['slope'] None" in lines and any("text/csv" not in line and "415" in line for line in lines)
    with refused("ValidationError", "Endpoint e of account 123456789012 not found"):
        host.ask("e", b"1")
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []


def test_endpoints_that_fail(host, scrap, engine):
    """With the service's words, and without a container; and those that run are gone when the emulator ends."""
    host.model("nothing")  # its program does not find its number
    host.model("none", b"no archive")
    with refused("ValidationException", "Could not find model data at s3://.*/nothing"):
        host.model("another", ModelDataUrl=f"s3://{host.emulator.bucket}/nothing")
    host.model("gone", archive())
    host.s3.delete_object(Bucket=host.emulator.bucket, Key="gone/model.tar.gz")
    host.image = scrap.build(f"FROM {BASE}")
    host.model("no-serve")
    host.image = scrap.build(f"FROM {BASE}\nRUN true")
    host.model("no-image")
    engine.images.remove(host.image)
    with refused("ValidationException", f"Requested image {host.image} not found"):
        host.model("another")
    reasons = {
        "nothing": "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
        "CloudWatch logs for this endpoint.",
        "none": "valid tar.gz archive",
        "gone": "Failed to download model data",
        "no-serve": "CannotStartContainerError",
        "no-image": "does not exist",
    }
    for name in reasons:
        host.config(name, name)
        host.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    for name, reason in reasons.items():
        told = host.wait(name)
        assert told["EndpointStatus"] == "Failed" and reason in told["FailureReason"], told
    assert any("FileNotFoundError" in line for line in host.log(f"{GROUP}/nothing"))
    host.emulator.faults.capacity = 1.0
    assert "InsufficientInstanceCapacity" in host.deploy("no-room", "none")["FailureReason"]
    with refused("ValidationException", "in status Failed: delete it"):
        host.sagemaker.update_endpoint(EndpointName="none", EndpointConfigName="nothing")
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []
    host.delete("none")
    assert "none" not in host.names()


def test_an_endpoint_of_sagemaker_core(host, tmp_path, monkeypatch):
    config = tmp_path / "config.yaml"
    config.write_text("SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n")
    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(config))
    from sagemaker.core.resources import Endpoint, EndpointConfig, Model, TransformJob
    from sagemaker.core.shapes import (
        ContainerDefinition,
        ProductionVariant,
        TransformDataSource,
        TransformInput,
        TransformOutput,
        TransformResources,
        TransformS3DataSource,
    )

    bucket = f"s3://{host.emulator.bucket}"
    host.s3.put_object(Bucket=host.emulator.bucket, Key="m/model.tar.gz", Body=archive())
    host.s3.put_object(Bucket=host.emulator.bucket, Key="in/a.csv", Body=b"1\n2\n")
    container = ContainerDefinition(image=host.image, model_data_url=f"{bucket}/m/model.tar.gz")
    model = Model.create(model_name="m", primary_container=container, execution_role_arn=host.emulator.role)
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name="m", instance_type="ml.t2.medium", initial_instance_count=1
    )
    config = EndpointConfig.create(endpoint_config_name="c", production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name="e", endpoint_config_name="c")
    endpoint.wait_for_status("InService", poll=1)
    answer = endpoint.invoke(body=b"3\n", content_type="text/csv", accept="text/csv")
    assert (answer.body.read(), answer.content_type) == (b"7.5\n", "text/csv")
    assert [one.endpoint_name for one in Endpoint.get_all()] == ["e"]
    source = TransformS3DataSource(s3_data_type="S3Prefix", s3_uri=f"{bucket}/in/")
    job = TransformJob.create(
        transform_job_name="t", model_name="m",
        transform_input=TransformInput(data_source=TransformDataSource(s3_data_source=source), content_type="text/csv"),
        transform_output=TransformOutput(s3_output_path=f"{bucket}/out", accept="text/csv"),
        transform_resources=TransformResources(instance_type="ml.m5.large", instance_count=1),
    )  # fmt: skip
    job.wait(poll=1)
    assert job.transform_job_status == "Completed"
    got = host.s3.get_object(Bucket=host.emulator.bucket, Key="out/a.csv.out")["Body"].read()
    assert got == b"2.5\n5.0\n"
    for one in (endpoint, config, model):
        one.delete()
    endpoint.wait_for_delete(poll=1)
    assert [*Endpoint.get_all(), *EndpointConfig.get_all(), *Model.get_all()] == []


def test_a_serverless_endpoint_when_the_emulator_stops(emulate, image_serve, engine):
    """With no rights but those of docs/iam."""
    emulator = emulate(iam=True)
    host, iam = Host(emulator, image_serve), emulator._client("iam", "us-east-1")
    values = {"Account": "123456789012", "Region": "us-east-1"}
    document = json.dumps(policy("hosting", **values))
    iam.put_user_policy(UserName="simferry-user", PolicyName="hosting", PolicyDocument=document)
    host.model("slope", archive())
    host.config("c", "slope", ServerlessConfig={"MemorySizeInMB": 2048, "MaxConcurrency": 1})
    told = host.deploy("e", "c")["ProductionVariants"][0]
    assert told["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
    assert host.predict("e", "1") == "[2.5]"
    Jobs.until(lambda: "loading ['slope'] None" in host.log(f"{GROUP}/e"))
    (running,) = left_behind(engine, f"simferry-emulator-{os.getpid()}")
    assert engine.containers.get(running).attrs["HostConfig"]["Memory"] == 2 << 30
    with refused("ValidationError", "HTTP content length exceeded 4194304 bytes"):
        host.ask("e", b"0" * (4 << 20) + b"0")
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(host.predict, "e", "1,sleep") for _ in range(2)]
        (throttled,), (long,) = wait(asked, return_when=FIRST_COMPLETED)
        assert "(ThrottlingException)" in str(throttled.exception())
        host.sagemaker.create_endpoint(EndpointName="being-created", EndpointConfigName="c")
        emulator.stop()
        assert isinstance(long.exception(), Exception)
    assert left_behind(engine, f"simferry-emulator-{os.getpid()}") == []
