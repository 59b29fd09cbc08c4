"""What the emulator answers: the rest is refused by its name, and what is authorized is what is done."""

import json
from urllib.parse import urlencode

import boto3
import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from emulator_requests import FORM, keys, send, signed
from simferry.emulator.calls import ACCOUNT, JSON
from simferry.emulator.operations import OPERATIONS

TRAINING = {
    "TrainingJobName": "one", "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/simferry",
    "AlgorithmSpecification": {"TrainingInputMode": "File", "TrainingImage": "simferry-r"},
    "OutputDataConfig": {"S3OutputPath": "s3://lab/out"}, "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
}  # fmt: skip
TRANSFORM = {
    "TransformJobName": "one", "ModelName": "one", "TransformOutput": {"S3OutputPath": "s3://lab/out"},
    "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://lab/in"}}},
    "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
}  # fmt: skip
OTHERS = [
    ("sagemaker", "create_training_job", TRAINING, "sagemaker:CreateTrainingJob: of SageMaker it runs processing jobs only"),
    ("sagemaker", "create_transform_job", TRANSFORM, "sagemaker:CreateTransformJob: of SageMaker it runs processing jobs only"),
    ("sagemaker", "describe_training_job", {"TrainingJobName": "one"}, "sagemaker:DescribeTrainingJob"),
    ("sagemaker", "create_model", {"ModelName": "one"}, "sagemaker:CreateModel"),
    ("sagemaker", "list_endpoints", {}, "sagemaker:ListEndpoints"),
    ("sagemaker", "list_tags", {"ResourceArn": f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model/one"}, "sagemaker:ListTags of arn:"),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "one", "Body": b"1"}, "sagemaker:POST /endpoints/one/invocations"),
    ("batch", "submit_job", {"jobName": "one", "jobQueue": "q", "jobDefinition": "d"}, "batch:POST /v1/submitjob"),
    ("lambda", "list_functions", {}, "lambda:GET /2015-03-31/functions"),
    ("ec2", "describe_instances", {}, "ec2:DescribeInstances"),
    ("cloudformation", "list_stacks", {}, "cloudformation:ListStacks"),
    ("cloudwatch", "list_metrics", {}, "monitoring:ListMetrics"),
    ("route53", "list_hosted_zones", {}, "route53:GET /2013-04-01/hostedzone"),
    ("ecs", "list_clusters", {}, "ecs:ListClusters"),
    ("codebuild", "list_projects", {}, "codebuild:ListProjects"),
    ("pricing", "get_products", {"ServiceCode": "AmazonSageMaker"}, "pricing:GetProducts"),
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


def test_the_sdks_trainer_does_not_say_that_it_has_trained(emulator, tmp_path, monkeypatch):
    from sagemaker.core.resources import TrainingJob
    from sagemaker.core.shapes import AlgorithmSpecification, OutputDataConfig, ResourceConfig, StoppingCondition

    monkeypatch.setenv("SAGEMAKER_USER_CONFIG_OVERRIDE", str(tmp_path / "none"))
    with pytest.raises(
        ClientError, match=r"\(UnknownOperationException\) when calling the CreateTrainingJob .* processing jobs only"
    ):
        TrainingJob.create(
            training_job_name="one", role_arn=emulator.role, session=boto3.Session(), region="us-east-1",
            algorithm_specification=AlgorithmSpecification(training_input_mode="File", training_image="simferry-r"),
            output_data_config=OutputDataConfig(s3_output_path=f"s3://{emulator.bucket}/out"),
            resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
            stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        )  # fmt: skip


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


def test_operations_are_the_services_own():
    for service, operations in OPERATIONS.items():
        model = botocore.loaders.Loader().load_service_model(service, "service-2")
        assert operations <= set(model["operations"])
        assert JSON.get(service) == model["metadata"].get("targetPrefix")


# ---- one reading ----


@pytest.fixture
def limited(emulate):
    """An emulator with policies enforced, two objects, and a user who has `policy` only, as keys and as clients."""

    def make(*statements):
        emulator = emulate(iam=True)
        service = {name: emulator._client(name, "us-east-1") for name in ("iam", "s3")}
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        service["iam"].put_user_policy(
            UserName="simferry-user", PolicyName="simferry", PolicyDocument=json.dumps(document)
        )
        for key in ("mine/a", "secret"):
            service["s3"].put_object(Bucket=emulator.bucket, Key=key, Body=key.encode())
        return emulator, service

    return make


def allow(actions, resource, **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resource, **more}


USERS = {"Action": "ListUsers", "Version": "2010-05-08"}


def test_a_request_that_could_be_read_in_two_ways(emulate):
    """The header that let a request for IAM pass as one that everybody may make, and its kin."""
    emulator = emulate(iam=True)
    who = ("Action", "GetCallerIdentity")
    for path, headers, form in [
        ("/", {"X-Amz-Target": "x.GetCallerIdentity"}, USERS),
        ("/", {"X-Amz-Target": "AWSSecurityTokenService.GetCallerIdentity"}, USERS),
        ("/", {"X-HTTP-Method-Override": "GET", "X-Amz-Target": "x.GetCallerIdentity"}, USERS),
        ("/?Action=GetCallerIdentity", {}, USERS),
        ("/?Action=ListUsers", {}, dict([who])),
        ("/", {}, [who, *USERS.items()]),
        ("/", {}, [*USERS.items(), who]),
    ]:
        body = urlencode(form).encode()
        for service in ("iam", "sts"):
            status, said = send(
                emulator, "POST", path, signed(emulator, service, "POST", path, body, {**FORM, **headers}), body
            )
            assert status in (400, 403) and "<Users>" not in said, (service, path, headers, said)
    with pytest.raises(ClientError, match="not authorized to perform: iam:ListUsers"):
        boto3.client("iam").list_users()


def test_a_service_is_the_one_that_is_signed_for(limited):
    """Neither the target, the host nor the path leads to another."""
    emulator, _ = limited(allow("ecr:*", "*"), allow("s3:*", "*"))
    data = urlencode(USERS).encode()
    for service, headers, body in [
        ("sts", FORM, data), ("s3", FORM, data), ("ecr", FORM, data),
        ("ecr", {"X-Amz-Target": "Logs_20140328.DescribeLogGroups"}, b"{}"),
        ("s3", {"Host": "iam.localhost"}, data), ("ecr", {"X-Amz-Target": "ListUsers"}, data),
        ("ecr", {"X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", **FORM}, data),
    ]:  # fmt: skip
        status, said = send(emulator, "POST", "/", signed(emulator, service, "POST", "/", body, headers), body)
        assert status in (400, 403, 404, 501) and "UserName" not in said and "logGroups" not in said


def test_headers_that_mean_something_to_moto(emulator):
    """Of another account, and another region."""
    headers = {"x-moto-account-id": "999999999999", "User-Agent": "region/cn-north-1", **FORM}
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    status, said = send(emulator, "POST", "/", signed(emulator, "sts", "POST", "/", body, headers), body)
    assert status == 200 and f"arn:aws:iam::{ACCOUNT}:user/simferry-user" in said


def test_keys_are_judged_one_by_one(limited):
    """Several in one request, copies, uploads in parts that were begun for another key, buckets in a host's name."""
    mine = "arn:aws:s3:::sagemaker-us-east-1-123456789012/mine/*"
    emulator, service = limited(allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], mine))
    s3, bucket = boto3.client("s3"), emulator.bucket
    denied = pytest.raises(ClientError, match=r"AccessDenied|Forbidden")
    s3.copy_object(Bucket=bucket, Key="mine/b", CopySource=f"{bucket}/mine/a")
    with denied:
        s3.copy_object(Bucket=bucket, Key="mine/b", CopySource=f"{bucket}/secret")
    with denied:
        s3.copy_object(Bucket=bucket, Key="mine/b", CopySource={"Bucket": bucket, "Key": "mine/a", "VersionId": "null"})
    with denied:
        s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "mine/b"}, {"Key": "secret"}]})
    with denied:
        s3.put_object(Bucket=bucket, Key="mine/c", Body=b"", ACL="public-read")
    with denied:
        s3.put_object(Bucket=bucket, Key="mine/c", Body=b"", Tagging="a=b")
    other = service["s3"].create_multipart_upload(Bucket=bucket, Key="secret")["UploadId"]
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(Bucket=bucket, Key="mine/a", UploadId=other, PartNumber=1, Body=b"his")
    path, host = f"/{bucket}/mine/a", f"{bucket}.localhost:{emulator.port}"
    for place, headers, status in [
        ("/mine/a", {"Host": host}, 200),
        ("/secret", {"Host": host}, 403),
        (path, {"Host": f"other.localhost:{emulator.port}"}, 403),
        (f"/{bucket}/mine/../secret", {}, 404),  # a name like any other
        (f"/{bucket}//mine/a", {}, 403),
        (f"{path}?acl", {}, 403),
        (f"{path}?versionId=null", {}, 403),
        (f"{path}?uploadId={other}", {}, 403),
        (f"{path}?acl&versionId=null", {}, 501),
        (f"{path}?tagging&acl", {}, 501),
        (f"{path}?versionId=1&versionId=2", {}, 400),
    ]:
        answered, said = send(emulator, "GET", place, signed(emulator, "s3", "GET", place, headers=headers))
        assert answered == status and said != "secret", (place, answered, said)
    kept = [one["Key"] for one in service["s3"].list_objects_v2(Bucket=bucket)["Contents"]]
    assert kept == ["mine/a", "mine/b", "secret"]


def test_conditions_on_a_prefix(limited):
    condition = {"StringLike": {"s3:prefix": ["mine/*"]}}
    emulator, _ = limited(allow("s3:ListBucket", "*", Condition=condition))
    s3 = boto3.client("s3")
    assert s3.list_objects_v2(Bucket=emulator.bucket, Prefix="mine/")["KeyCount"] == 1
    for given in ({}, {"Prefix": ""}, {"Prefix": "secret"}):
        with pytest.raises(ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=emulator.bucket, **given)
    path = f"/{emulator.bucket}?list-type=2&prefix=mine%2F&prefix="
    assert send(emulator, "GET", path, signed(emulator, "s3", path=path))[0] == 400


def test_a_denial_holds_for_each_name(limited):
    """Repositories named together, and users who are not named."""
    deny = [
        {"Effect": "Deny", "Action": "ecr:*", "Resource": "arn:aws:ecr:*:*:repository/secret"},
        {"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::*:user/simferry-user"},
        {"Effect": "Deny", "Action": "logs:*", "Resource": "arn:aws:logs:*:*:log-group:secret:*"},
        {
            "Effect": "Deny",
            "Action": "s3:DeleteBucket",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    ]
    emulator, _ = limited(allow("*", "*"), *deny)
    ecr, iam, logs = boto3.client("ecr"), boto3.client("iam"), boto3.client("logs")
    ecr.create_repository(repositoryName="mine")
    iam.create_user(UserName="other")
    logs.create_log_group(logGroupName="mine")
    for ask in (
        lambda: ecr.describe_repositories(repositoryNames=["mine", "secret"]),
        lambda: iam.create_access_key(),
        lambda: iam.get_user(UserName="simferry-user"),
        lambda: iam.delete_user_policy(UserName="simferry-user", PolicyName="simferry"),
        lambda: logs.create_log_group(logGroupName="secret"),
        lambda: boto3.client("s3").delete_bucket(Bucket=emulator.bucket),
    ):
        with pytest.raises(ClientError, match="is not authorized to perform"):
            ask()


def test_roles_are_assumed_by_those_whom_they_trust(limited):
    emulator, service = limited(allow("sts:AssumeRole", "*"))
    user = f"arn:aws:iam::{ACCOUNT}:user/simferry-user"
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": user}, "Action": "sts:AssumeRole"}],
        "Version": "2012-10-17",
    }
    service["iam"].create_role(RoleName="mine", AssumeRolePolicyDocument=json.dumps(trust))
    sts = boto3.client("sts")
    sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/mine", RoleSessionName="me")
    with pytest.raises(ClientError, match="trust policy does not allow it"):
        sts.assume_role(RoleArn=emulator.role, RoleSessionName="me")  # SageMaker only
    trust["Statement"].append({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"})
    service["iam"].update_assume_role_policy(RoleName="mine", PolicyDocument=json.dumps(trust))
    with pytest.raises(ClientError, match="trust policy does not allow it"):
        sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/mine", RoleSessionName="me")
    for missing in (f"arn:aws:iam::{ACCOUNT}:role/none", "arn:aws:iam::999999999999:role/mine"):
        with pytest.raises(ClientError, match="There is no role"):
            sts.assume_role(RoleArn=missing, RoleSessionName="me")


def test_bodies_that_are_no_json_objects(emulator):
    for body in (b"[]", b"{", b"\xff", b"[" * 100_000, b'"' + b"x" * 10):
        headers = signed(emulator, "sagemaker", "POST", "/", body, {"X-Amz-Target": "SageMaker.ListProcessingJobs"})
        status, said = send(emulator, "POST", "/", headers, body)
        assert status == 400 and "SerializationException" in said
    assert keys(emulator).secret_key not in said


def test_other_partitions(emulator):
    with pytest.raises(ClientError, match="AWS's main partition, not cn-north-1"):
        boto3.client("iam", region_name="cn-north-1", endpoint_url=emulator.url).list_users()
