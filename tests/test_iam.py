"""The policies of docs/iam: all that is needed is allowed, nothing else is, and each action is explained."""

import json
import re

import boto3
import pytest
from botocore.exceptions import ClientError
from emulator_fixtures import Jobs
from simferry import registry
from simferry.aws.policies import folder, policy
from simferry.emulator.access import allows

VALUES = {"Account": "123456789012", "Bucket": "lab", "Prefix": "simferry/", "Region": "us-east-1", "Role": "simferry"}
# what pushing to ECR itself needs and the emulator's registry does not; what only costs and quotas need
ELSEWHERE = {
    "ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:DeleteRepository", "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart", "pricing:GetProducts", "s3:AbortMultipartUpload", "servicequotas:ListServiceQuotas",
}  # fmt: skip


def actions(name: str) -> set[str]:
    found = [statement["Action"] for statement in policy(name, **VALUES)["Statement"]]
    return {action for one in found for action in ([one] if isinstance(one, str) else one)}


@pytest.mark.parametrize("name", ["user", "role"])
def test_each_action_is_explained(name):
    text = (folder() / "README.md").read_text()
    table = text.split(f"## {name}.json")[1].split("\n## ")[0]
    rows = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(\w+:\w+)`", rows)) == actions(name)


def test_a_run_needs_all_of_these_actions_and_no_more(emulate, image_r):
    """What simferry's verbs ask of AWS, with the keys of a user who has no policy but docs/iam/user.json."""
    emulator = emulate(iam=True)
    jobs = Jobs(emulator, image_r)
    jobs.image = registry.push(image_r, "123456789012.dkr.ecr.us-east-1.amazonaws.com").uri
    repository = jobs.image.rpartition("/")[2].partition(":")[0]
    boto3.client("ecr").describe_images(repositoryName=repository)
    boto3.client("sts").get_caller_identity()
    boto3.client("iam").get_role(RoleName="simferry")
    jobs.submit("one", 'cat("hello")', outputs={"output": "Continuous"}, Tags=[{"Key": "run", "Value": "power"}])
    done = jobs.wait("one")
    assert done["ProcessingJobStatus"] == "Completed", done
    assert jobs.log("one") == ["hello"]
    assert jobs.sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    jobs.submit("two", "Sys.sleep(60)")
    jobs.sagemaker.stop_processing_job(ProcessingJobName="two")
    jobs.wait("two")
    assert jobs.keys("code/") == ["code/one/script.R", "code/two/script.R"]
    jobs.get("code/one/script.R")
    jobs.s3.delete_objects(Bucket=emulator.bucket, Delete={"Objects": [{"Key": "code/one/script.R"}]})
    jobs.s3.head_bucket(Bucket=emulator.bucket)
    jobs.s3.get_bucket_location(Bucket=emulator.bucket)
    jobs.s3.get_bucket_acl(Bucket=emulator.bucket)
    for look in (jobs.s3.get_bucket_policy_status, jobs.s3.get_public_access_block):
        with pytest.raises(ClientError, match="NoSuch"):  # allowed, and there is none
            look(Bucket=emulator.bucket)
    assert emulator.actions == actions("user") - ELSEWHERE


@pytest.mark.parametrize(
    ("ask", "action"),
    [
        (lambda jobs: jobs.s3.put_object(Bucket="other", Key="a"), "s3:PutObject on resource: arn:aws:s3:::other/a"),
        (lambda jobs: jobs.s3.list_objects_v2(Bucket="other"), "s3:ListBucket on resource: arn:aws:s3:::other"),
        (
            lambda jobs: jobs.s3.copy({"Bucket": "other", "Key": "a"}, jobs.emulator.bucket, "a"),
            "",  # a HEAD, whose refusal has no words
        ),
        (lambda jobs: jobs.s3.create_bucket(Bucket="mine"), "s3:CreateBucket"),
        (lambda jobs: boto3.client("iam").list_users(), "iam:ListUsers"),
        (
            lambda jobs: boto3.client("sts").assume_role(RoleArn=jobs.emulator.role, RoleSessionName="me"),
            "sts:AssumeRole",
        ),
        (
            lambda jobs: jobs.submit("one", "1", role="arn:aws:iam::123456789012:role/admin"),
            "iam:PassRole on resource: arn:aws:iam::123456789012:role/admin",
        ),
        (
            lambda jobs: jobs.logs.get_log_events(logGroupName="/aws/lambda/x", logStreamName="y"),
            "logs:GetLogEvents on resource: arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/x:log-stream:y",
        ),
    ],
)
def test_what_is_not_allowed(emulate, ask, action):
    jobs = Jobs(emulate(iam=True), "no-image")
    with pytest.raises(ClientError) as caught:
        ask(jobs)
    said = caught.value.response["Error"]
    assert said["Code"] in ("AccessDenied", "AccessDeniedException", "403")
    assert action in said["Message"]


def test_keys_that_nobody_has(emulate, monkeypatch):
    emulate(iam=True)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        boto3.client("sagemaker").list_processing_jobs()
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        boto3.client("s3").list_buckets()


def test_a_job_can_do_what_its_role_may_and_no_more(emulate, image_r):
    """Here a role that may read inputs, and write neither outputs nor logs."""
    emulator = emulate(iam=True)
    read = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    emulator._client("iam", "us-east-1").put_role_policy(  # as the service: the user may not
        RoleName="simferry",
        PolicyName="simferry",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [read]}),
    )
    jobs = Jobs(emulator, image_r)
    jobs.submit("one", 'cat("hello"); writeLines("1", "/opt/ml/processing/output/a")', outputs={"output": "EndOfJob"})
    reason = jobs.wait("one")["FailureReason"]
    assert f"PutObject failed for s3://{emulator.bucket}/one/output" in reason
    assert "assumed-role/simferry/SageMaker is not authorized to perform: s3:PutObject" in reason
    with pytest.raises(ClientError, match="log group does not exist"):
        jobs.log("one")


@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("s3:GetObject", "arn:aws:s3:::lab/simferry/run/a", {}, True),
        ("s3:GetObject", "arn:aws:s3:::lab/other", {}, False),
        ("s3:getobject", "arn:aws:s3:::lab/simferry/a", {}, True),
        ("s3:GetObject", "arn:aws:s3:::LAB/simferry/a", {}, False),
        ("s3:ListBucket", "arn:aws:s3:::lab", {}, True),
        ("s3:ListBucket", "arn:aws:s3:::lab-2", {}, False),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/simferry",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
            True,
        ),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/simferry",
            {"iam:PassedToService": "ec2.amazonaws.com"},
            False,
        ),
        ("iam:PassRole", "arn:aws:iam::123456789012:role/simferry", {}, False),
        (
            "iam:PassRole",
            "arn:aws:iam::123456789012:role/admin",
            {"iam:PassedToService": "sagemaker.amazonaws.com"},
            False,
        ),
        ("sagemaker:ListProcessingJobs", "*", {}, True),
        ("sagemaker:CreateTrainingJob", "*", {}, False),
    ],
)
def test_what_the_users_policy_allows(action, resource, context, allowed):
    assert allows([policy("user", **VALUES)], action, resource, context) is allowed


def test_a_denial_wins():
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    no_deleting = {"Statement": [{"Effect": "Deny", "NotAction": ["s3:Get*", "s3:Put?bject"], "Resource": "*"}]}
    assert allows([everything], "s3:DeleteObject", "arn:aws:s3:::lab/a", {})
    assert not allows([everything, no_deleting], "s3:DeleteObject", "arn:aws:s3:::lab/a", {})
    assert allows([everything, no_deleting], "s3:PutObject", "arn:aws:s3:::lab/a", {})
