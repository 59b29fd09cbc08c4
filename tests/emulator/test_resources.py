"""Resources of stacks: those of services are real, what they say is what the services have, and nothing half-made stays."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError
from simferry.emulator.resources import Failed, Made, Place
from simferry.emulator.schemas import (
    needs,
)

PLACE = Place("lab", "Thing", "us-east-1", {"made-by": "simferry"})
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


@pytest.fixture
def resources(emulator):
    return emulator._resources_of(emulator.environment["AWS_ACCESS_KEY_ID"])


def role(name):
    return {"AssumeRolePolicyDocument": TRUST, "Policies": [{"PolicyName": name, "PolicyDocument": ALLOW}]}


def expiring(days):
    rule = {"rulePriority": 1, "action": {"type": "expire"}}
    chosen = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return {"LifecyclePolicy": {"LifecyclePolicyText": json.dumps({"rules": [{**rule, "selection": chosen}]})}}


@pytest.mark.parametrize(
    ("kind", "first", "second", "shown"),
    [
        ("AWS::ECR::Repository", expiring(3), expiring(9),
         lambda name: '"countNumber": 9' in boto3.client("ecr").get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]),
        ("AWS::IAM::Role", role("a"), role("b"),
         lambda name: boto3.client("iam").list_role_policies(RoleName=name)["PolicyNames"] == ["b"]),
        ("AWS::IAM::ManagedPolicy", {"PolicyDocument": ALLOW}, {"PolicyDocument": ALLOW},
         lambda name: boto3.client("iam").get_policy(PolicyArn=name)["Policy"]["DefaultVersionId"] == "v2"),
        ("AWS::Logs::LogGroup", {"RetentionInDays": 1}, {"RetentionInDays": 3},
         lambda name: boto3.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"][0]["retentionInDays"] == 3),
    ],
)  # fmt: skip
def test_a_type_is_made_changed_and_deleted(resources, kind, first, second, shown):
    made = resources.create(kind, PLACE, first)
    assert "-thing-" in made.physical.lower() and not shown(made.physical)
    assert resources.update(kind, PLACE, made, second, first) == made and shown(made.physical)
    for _ in range(2):  # the second time it is gone
        resources.delete(kind, PLACE, made, second)
    with pytest.raises((ClientError, IndexError)):
        shown(made.physical)


def test_a_bucket_is_as_its_properties_say(resources):
    s3 = boto3.client("s3")
    blocked = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True)
    given = {
        "PublicAccessBlockConfiguration": blocked,
        "LifecycleConfiguration": {"Rules": [{"Id": "a", "Status": "Enabled", "ExpirationInDays": 9}]},
    }
    made = resources.create("AWS::S3::Bucket", PLACE, given)
    assert s3.get_bucket_tagging(Bucket=made.physical)["TagSet"] == [{"Key": "made-by", "Value": "simferry"}]
    assert s3.get_public_access_block(Bucket=made.physical)["PublicAccessBlockConfiguration"] == blocked
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=made.physical)["Rules"]
    assert rule["Expiration"] == {"Days": 9}
    document = {"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
                               "Condition": {"Bool": {"aws:SecureTransport": False}}}]}  # fmt: skip
    policy = resources.create("AWS::S3::BucketPolicy", PLACE, {"Bucket": made.physical, "PolicyDocument": document})
    s3.put_object(Bucket=made.physical, Key="a", Body=b"a")  # loopback counts as TLS
    with pytest.raises(Failed, match="not empty"):
        resources.delete("AWS::S3::Bucket", PLACE, made, given)
    document["Statement"][0].pop("Condition")
    resources.update("AWS::S3::BucketPolicy", PLACE, policy, {"Bucket": made.physical, "PolicyDocument": document}, {})
    with pytest.raises(s3.exceptions.ClientError, match=r"AccessDenied|Forbidden"):
        s3.get_object(Bucket=made.physical, Key="a")
    resources.delete("AWS::S3::BucketPolicy", PLACE, policy, {})
    assert s3.get_object(Bucket=made.physical, Key="a")


def test_what_can_not_be_completed_is_not_left_behind(resources):
    with pytest.raises(Failed):
        resources.create(
            "AWS::IAM::Role",
            PLACE,
            {"AssumeRolePolicyDocument": TRUST, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/No"]},
        )
    assert [one["RoleName"] for one in boto3.client("iam").list_roles()["Roles"]] == ["simferry"]


def test_networks_are_only_kept(resources):
    made = resources.create("AWS::EC2::VPC", PLACE, {"CidrBlock": "10.0.0.0/16"})
    assert made.physical.startswith("vpc-") and made.attributes == {"VpcId": made.physical}
    assert resources.update("AWS::EC2::VPC", PLACE, made, {}, {}) == made
    template = resources.create("AWS::EC2::LaunchTemplate", PLACE, {})
    assert (
        resources.update("AWS::EC2::LaunchTemplate", PLACE, template, {}, {}).attributes["LatestVersionNumber"] == "2"
    )
    assert not resources.knows("AWS::Lambda::Function")


def test_a_policy_is_given_to_roles_and_taken_from_them(resources):
    iam = boto3.client("iam")
    roles = [resources.create("AWS::IAM::Role", PLACE, role("runs")).physical for _ in range(2)]

    def given_to():
        return {one["RoleName"] for one in iam.list_entities_for_policy(PolicyArn=made.physical)["PolicyRoles"]}

    first, second = ({"PolicyDocument": ALLOW, "Roles": [name]} for name in roles)
    made = resources.create("AWS::IAM::ManagedPolicy", PLACE, first)
    assert given_to() == {roles[0]}
    resources.update("AWS::IAM::ManagedPolicy", PLACE, made, second, first)
    assert given_to() == {roles[1]}
    resources.delete("AWS::IAM::ManagedPolicy", PLACE, made, second)
    assert iam.list_attached_role_policies(RoleName=roles[1])["AttachedPolicies"] == []
    with pytest.raises(Failed, match="nobody"):
        resources.create("AWS::IAM::ManagedPolicy", PLACE, {"PolicyDocument": ALLOW, "Roles": ["nobody"]})
    assert iam.list_policies(Scope="Local")["Policies"] == []


def test_the_rights_that_handlers_need():
    """Those of the properties that are used, each with its resource."""
    asked = {one: resource for one, resource, _ in needs("AWS::EC2::VPC", "create", "vpc-1", "eu-west-1", {})}
    assert asked["ec2:CreateVpc"] == "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1" and asked["ec2:DescribeVpcs"] == "*"
    assert not [one for one in asked if "Encryption" in one]
    every = needs("AWS::IAM::InstanceProfile", "create", "p", "eu-west-1", {"Roles": ["r"]})
    (passed,) = [one for one in every if one[0] == "iam:PassRole"]
    assert passed[1:] == ("arn:aws:iam::123456789012:role/r", {"iam:PassedToService": "ec2.amazonaws.com"})


def test_queues_and_compute_environments_are_batchs(resources):
    batch = boto3.client("batch")
    limit = {
        "Action": "CANCEL",
        "State": "RUNNABLE",
        "MaxTimeSeconds": "600",
        "Reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    }
    machines = {
        "Type": "SPOT", "MinvCpus": 0, "MaxvCpus": "16", "Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"],
        "InstanceRole": "arn:1", "InstanceTypes": ["default_x86_64"], "AllocationStrategy": "SPOT_PRICE_CAPACITY_OPTIMIZED",
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": "1"}, "Tags": {"Name": "Machine"},
    }  # fmt: skip
    given = {"Type": "managed", "ComputeResources": machines}
    made = resources.create("AWS::Batch::ComputeEnvironment", PLACE, given)
    more = {"Type": "managed", "ComputeResources": {**machines, "MaxvCpus": "64"}}
    assert resources.update("AWS::Batch::ComputeEnvironment", PLACE, made, more, given) == made
    (shown,) = batch.describe_compute_environments(computeEnvironments=[made.physical])["computeEnvironments"]
    assert shown["tags"] == {"made-by": "simferry"} and shown["computeResources"]["maxvCpus"] == 64
    assert shown["computeResources"]["launchTemplate"] == {"launchTemplateId": "lt-1", "version": "1"}
    assert shown["computeResources"]["tags"] == {"Name": "Machine"}

    order = [{"Order": "1", "ComputeEnvironment": made.physical}]
    first = {"Priority": "1", "ComputeEnvironmentOrder": order, "JobStateTimeLimitActions": [limit]}
    queue = resources.create("AWS::Batch::JobQueue", PLACE, first)
    resources.update("AWS::Batch::JobQueue", PLACE, queue, {**first, "Priority": 5}, first)
    (shown,) = batch.describe_job_queues(jobQueues=[queue.physical])["jobQueues"]
    assert shown["priority"] == 5 and shown["jobStateTimeLimitActions"][0]["maxTimeSeconds"] == 600
    with pytest.raises(Failed, match="JobQueue relationship"):
        resources.delete("AWS::Batch::ComputeEnvironment", PLACE, made, more)
    for kind, one in (("JobQueue", queue), ("ComputeEnvironment", made)):
        for _ in range(2):  # the second time it is gone
            resources.delete(f"AWS::Batch::{kind}", PLACE, one, {})
    assert (
        batch.describe_job_queues()["jobQueues"] == batch.describe_compute_environments()["computeEnvironments"] == []
    )


def test_names_are_as_long_as_the_services_allow():
    place = Place("x" * 100, "Bucket", "us-east-1", {})
    assert len(place.name(63)) == 63 and "-Bucket-" in place.name(63)
    assert Made("a", {}).physical == "a"
