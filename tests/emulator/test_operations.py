"""What the emulator answers: the rest is refused by its name, and what is authorized is what is done."""

import boto3
import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from emulator_requests import refused, send, signed
from simferry.emulator.calls import ACCOUNT, JSON
from simferry.emulator.operations import OPERATIONS

OTHERS = [
    ("sagemaker", "list_notebook_instances", {}, "sagemaker:ListNotebookInstances: of SageMaker it has "),
    ("sagemaker", "create_inference_component", {"InferenceComponentName": "one", "EndpointName": "one"},
     "sagemaker:CreateInferenceComponent"),
    ("sagemaker", "list_tags", {"ResourceArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:pipeline/one"}, "sagemaker:ListTags of arn:"),
    ("sagemaker-runtime", "invoke_endpoint_async", {"EndpointName": "one", "InputLocation": "s3://lab/in"},
     "sagemaker:InvokeEndpointAsync: of SageMaker it has "),
    ("sagemaker-runtime", "invoke_endpoint_with_response_stream", {"EndpointName": "one", "Body": b"1"},
     "sagemaker:InvokeEndpointWithResponseStream"),
    ("batch", "create_scheduling_policy", {"name": "one"}, "batch:CreateSchedulingPolicy"),
    ("batch", "submit_service_job", {"jobName": "one", "jobQueue": "q", "serviceRequestPayload": "{}",
     "serviceJobType": "SAGEMAKER_TRAINING"}, "batch:SubmitServiceJob"),
    ("batch", "list_tags_for_resource", {"resourceArn": f"arn:aws:batch:us-east-1:{ACCOUNT}:job/one"}, "batch:GET /v1/tags/arn"),
    ("lambda", "list_functions", {}, "lambda:GET /2015-03-31/functions"),
    ("ec2", "describe_vpcs", {}, "ec2:DescribeVpcs"),
    ("ssm", "send_command", {"DocumentName": "AWS-RunShellScript"}, "ssm:SendCommand"),
    ("cloudformation", "list_stack_sets", {}, "cloudformation:ListStackSets"),
    ("cloudwatch", "list_metrics", {}, "monitoring:ListMetrics"),
    ("route53", "list_hosted_zones", {}, "route53:GET /2013-04-01/hostedzone"),
    ("ecs", "list_clusters", {}, "ecs:ListClusters"),
    ("codebuild", "list_projects", {}, "codebuild:ListProjects"),
    ("pricing", "get_products", {"ServiceCode": "AmazonSageMaker"}, "pricing:GetProducts"),
    ("service-quotas", "list_service_quotas", {"ServiceCode": "ec2"}, "servicequotas:ListServiceQuotas"),
    ("sagemaker", "search", {"Resource": "TrainingJob"}, "sagemaker:Search: of SageMaker it has "),
    ("iam", "list_groups", {}, "iam:ListGroups"),
    ("sts", "get_session_token", {}, "sts:GetSessionToken"),
    ("sts", "assume_role", {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/simferry", "RoleSessionName": "me", "Policy": "{}"},
     "sts:AssumeRole with policies"),
    ("ecr", "put_replication_configuration", {"replicationConfiguration": {"rules": []}}, "ecr:PutReplicationConfiguration"),
    ("logs", "describe_subscription_filters", {"logGroupName": "g"}, "logs:DescribeSubscriptionFilters"),
    ("logs", "get_log_events", {"logGroupIdentifier": "g", "logStreamName": "s"}, "logs:GetLogEvents with logGroupIdentifier"),
    ("s3", "get_bucket_notification_configuration", {"Bucket": "lab"}, "s3:GET notification of a bucket"),
    ("s3", "get_bucket_website", {"Bucket": "lab"}, "s3:GET website of a bucket"),
    ("s3", "put_object", {"Bucket": "lab", "Key": "a", "WebsiteRedirectLocation": "/b"}, "s3:the header x-amz-website-redirect-location"),
    ("s3", "select_object_content", {"Bucket": "lab", "Key": "a", "Expression": "SELECT * FROM s3object", "ExpressionType": "SQL",
     "InputSerialization": {"CSV": {}}, "OutputSerialization": {"CSV": {}}}, "s3:POST select and select-type of an object"),
]  # fmt: skip


def test_what_is_not_emulated_is_refused_by_its_name(emulator):
    """In JSON, query, EC2's XML, REST with XML and with JSON, CBOR: boto3 shows each as the service's error."""
    for service, operation, given, words in OTHERS:
        with pytest.raises(ClientError) as caught:
            getattr(boto3.client(service), operation)(**given)
        said = caught.value.response["Error"]
        assert said["Code"] in ("UnknownOperationException", "InvalidAction", "NotImplemented"), (service, said)
        assert f"simferry's emulator does not answer {words}" in said["Message"], (service, said)
    assert boto3.client("sagemaker").list_processing_jobs()["ProcessingJobSummaries"] == []


def test_moto_itself_is_not_reached(emulator):
    """Also not by somebody who has the key."""
    boto3.client("s3").put_object(Bucket=emulator.bucket, Key="kept", Body=b"mine")
    for method, path in [
        ("POST", "/moto-api/reset"), ("POST", "/moto-api/recorder/start-recording"), ("GET", "/moto-api/data.json"),
        ("POST", "/moto-api/seed?a=1"), ("POST", "/v1/registerjobdefinition"), ("GET", "/latest/meta-data/"),
    ]:  # fmt: skip
        for service in ("s3", "sagemaker", "iam", "batch", "moto_api", "moto-api"):
            status, said = send(emulator, method, path, signed(emulator, service, method, path))
            assert status in (400, 404, 501), (service, path, said)
    assert boto3.client("s3").get_object(Bucket=emulator.bucket, Key="kept")["Body"].read() == b"mine"


def test_faults_and_pages_of_motos_are_not_shown(emulate, monkeypatch):
    """Whatever moto makes of a request, a client reads an error of the service's kind, and the emulator's output the reason."""
    events = []
    emulator = emulate(on_event=events.append)
    s3, ecr = boto3.client("s3"), boto3.client("ecr")
    with refused("ValidationException", r"could not do ecr:PutImage with these parameters"):
        ecr.put_image(repositoryName="nowhere", imageManifest="{}")
    assert events == ["ecr:PutImage  a fault of the emulator: Exception: nowhere is not a repository"]
    with refused("InvalidRequest", f"could not do s3:GET of {emulator.bucket}"):
        s3.list_objects_v2(Bucket=emulator.bucket, MaxKeys=-1)
    for page in (b"<!doctype html>\n<title>405 Method Not Allowed</title>", b"Traceback (most recent call last):"):

        def answer(_, start_response, page=page):
            start_response("500 INTERNAL SERVER ERROR", [("Content-Type", "text/html; charset=utf-8")])
            return [page]

        monkeypatch.setattr(emulator._backends, "answer", answer)
        with refused("InvalidRequest", "could not do s3:GET") as caught:
            s3.get_object(Bucket=emulator.bucket, Key="a")
        assert "<title>" not in str(caught.value) and "Traceback" not in str(caught.value)


def test_a_page_that_is_an_object_is_an_object(emulator):
    s3, page = boto3.client("s3"), b"<!doctype html><h1>results</h1>"
    s3.put_object(Bucket=emulator.bucket, Key="a.html", Body=page, ContentType="text/html")
    assert s3.get_object(Bucket=emulator.bucket, Key="a.html")["Body"].read() == page


def test_operations_are_the_services_own():
    for service, operations in OPERATIONS.items():
        named = {"servicequotas": "service-quotas", "tagging": "resourcegroupstaggingapi"}.get(
            service, service
        )  # where a signature has another name
        model = botocore.loaders.Loader().load_service_model(named, "service-2")
        assert operations - {"InvokeEndpoint"} <= set(model["operations"])  # which is one of SageMaker's runtime
        assert JSON.get(service) == model["metadata"].get("targetPrefix")


def test_a_region_that_there_is_not(emulator):
    with pytest.raises(ClientError, match=r"there is no region us-est-1. Did you mean .*us-east-1"):
        boto3.client("ecr", region_name="us-est-1").describe_repositories()
    with pytest.raises(ClientError, match="has the regions of AWS's main partition, not cn-north-1"):
        boto3.client("ecr", region_name="cn-north-1").describe_repositories()
