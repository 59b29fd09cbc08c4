"""Endpoints as they are: machines, costs, whose they are."""

import time

import boto3
import pytest
from hosting_accounts import IMAGE
from simferry import Endpoint
from simferry.aws import endpoints
from simferry.aws.contracts.hosting import ENDPOINT_LOGS
from simferry.aws.session import AccessDenied
from simferry.aws.tags import Tagged


def make(hosting, name, *variants):
    hosting.create_model(ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn="arn:aws:iam::1:role/x")
    some = [{"VariantName": f"v{i}", "ModelName": name, **one} for i, one in enumerate(variants)]
    hosting.create_endpoint_config(EndpointConfigName=name, ProductionVariants=some)
    hosting.create_endpoint(EndpointName=name, EndpointConfigName=name)


def test_what_runs_and_what_it_costs(hosting, monkeypatch):
    Endpoint.deploy(IMAGE, name="ours", instances=3, yes=True, tell=lambda line: None)
    make(
        hosting, "two", *({"InstanceType": kind, "InitialInstanceCount": 1} for kind in ("ml.m5.large", "ml.c5.xlarge"))
    )
    make(hosting, "gpu", {"InstanceType": "ml.p2.xlarge", "InitialInstanceCount": 1})
    make(hosting, "idle", {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 2}})
    make(hosting, "bare", {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1})
    hosting.delete_endpoint_config(EndpointConfigName="bare")
    found = {one.name: one for one in endpoints.running()[0]}
    assert {name: (one.dollars_an_hour, one.ours) for name, one in found.items()} == {
        "ours": (pytest.approx(0.168), True), "two": (pytest.approx(0.115 + 0.204), False), "gpu": (None, False),
        "idle": (0.0, False), "bare": (None, False),
    }  # fmt: skip
    assert str(found["ours"]) == "endpoint ours  InService, 3 x ml.t2.medium, $0.17 an hour"
    assert "2 x ml.m5.large and ml.c5.xlarge, $0.32 an hour  (not made by simferry)" in str(found["two"])
    assert "serverless, 1,024 MB, at most 2 requests at once, nothing while idle" in str(found["idle"])
    assert "InService, machines of an unknown type, price not known" in str(found["bare"])
    assert endpoints.described(found["gpu"])["dollars_an_hour"] is None
    monkeypatch.setattr(endpoints, "DESCRIBED", 2)
    some, more = endpoints.running()
    assert (len(some), more) == (2, 3)


def test_the_log_of_each_machine(hosting):
    assert endpoints.lines("trees") == {}
    logs, group = boto3.client("logs"), f"{ENDPOINT_LOGS}trees"
    logs.create_log_group(logGroupName=group)
    for machine in ("i-1", "i-2"):
        which = {"logGroupName": group, "logStreamName": f"AllTraffic/{machine}"}
        logs.create_log_stream(**which)
        logs.put_log_events(**which, logEvents=[{"timestamp": int(time.time() * 1000), "message": f"on {machine}"}])
    assert endpoints.lines("trees") == {"AllTraffic/i-1": ["on i-1"], "AllTraffic/i-2": ["on i-2"]}


def test_one_that_may_not_be_looked_at_is_named(hosting, monkeypatch):
    def denied(name):
        raise AccessDenied("no")

    monkeypatch.setattr(endpoints, "state", denied)
    tagged = [Tagged("arn:aws:sagemaker:us-west-2:123456789012:endpoint/trees", {"simferry:stack": "lab"})]
    (found,) = endpoints.of_simferry([*tagged, Tagged("arn:aws:s3:::lab", {})])
    assert str(found) == "endpoint trees  may not be looked at, machines of an unknown type, price not known"
    assert found.stack == "lab"
