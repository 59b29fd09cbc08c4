"""The resource types of CloudFormation that the emulator has: how each is created, updated and deleted, and what GetAtt gives.

Buckets, repositories, roles, policies and log groups are real ones of the emulator's services. An instance is one of moto's, which has
states and starts no machine. Networks are only kept in the stack: nothing here uses them.
"""

import base64
import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from .batch_templates import queue_of, resources_of
from .calls import ACCOUNT
from .schemas import needs

Properties = Mapping[str, Any]
_RECORDED = {  # by type: what its ids begin with
    "AWS::CloudFormation::WaitCondition": "",
    "AWS::CloudFormation::WaitConditionHandle": "https://cloudformation-waitcondition.s3.amazonaws.com/",
    "AWS::EC2::InternetGateway": "igw-",
    "AWS::EC2::LaunchTemplate": "lt-",
    "AWS::EC2::Route": "route-",
    "AWS::EC2::RouteTable": "rtb-",
    "AWS::EC2::SecurityGroup": "sg-",
    "AWS::EC2::Subnet": "subnet-",
    "AWS::EC2::SubnetRouteTableAssociation": "rtbassoc-",
    "AWS::EC2::VPC": "vpc-",
    "AWS::EC2::VPCEndpoint": "vpce-",
    "AWS::EC2::VPCGatewayAttachment": "IGW|vpc-",
    "AWS::IAM::InstanceProfile": "",
}

# what services say of a resource that does not exist
_GONE = {
    "InvalidInstanceID.NotFound",
    "NoSuchBucket",
    "NoSuchEntity",
    "RepositoryNotFoundException",
    "ResourceNotFoundException",
}


class Failed(Exception):
    """A service refused to create, update or delete a resource. The text is its reason."""


class Made(NamedTuple):
    """A resource. physical: what Ref gives. attributes: what GetAtt gives."""

    physical: str
    attributes: dict[str, Any]


class Place(NamedTuple):
    """Where a resource belongs. tags: those of the stack."""

    stack: str
    logical: str
    region: str
    tags: Mapping[str, str]

    def name(self, length: int = 64) -> str:
        """A name as CloudFormation makes it."""
        end = f"-{self.logical}-{secrets.token_hex(6)}"
        return f"{self.stack[: length - len(end)]}{end}"


class Resources:
    """client: makes a boto3 client for a service and a region, with the rights of the caller. check: raises Failed unless the caller may
    do all of this: actions with resources and values of condition keys."""

    def __init__(
        self,
        client: Callable[[str, str], Any],
        check: Callable[[Iterable[tuple[str, str, dict[str, str]]]], None] = lambda _: None,
    ) -> None:
        self.client, self.check = client, check
        self._types: dict[str, tuple[Callable[..., Made], Callable[..., Made], Callable[..., None]]] = {
            "AWS::ECR::Repository": (self._make_repository, self._change_repository, self._delete_repository),
            "AWS::IAM::ManagedPolicy": (self._make_policy, self._change_policy, self._delete_policy),
            "AWS::IAM::Role": (self._make_role, self._change_role, self._delete_role),
            "AWS::Logs::LogGroup": (self._make_logs, self._change_logs, self._delete_logs),
            "AWS::S3::Bucket": (self._make_bucket, self._change_bucket, self._delete_bucket),
            "AWS::S3::BucketPolicy": (self._put_bucket_policy, self._change_bucket_policy, self._drop_bucket_policy),
            "AWS::Batch::ComputeEnvironment": (
                self._make_environment,
                self._change_environment,
                self._delete_environment,
            ),
            "AWS::Batch::JobQueue": (self._make_queue, self._change_queue, self._delete_queue),
            "AWS::EC2::Instance": (self._make_instance, self._change_instance, self._delete_instance),
            **dict.fromkeys(_RECORDED, (self._record, self._keep, self._forget)),
        }

    def knows(self, kind: str) -> bool:
        return kind in self._types

    def create(self, kind: str, place: Place, given: Properties) -> Made:
        """Raises Failed."""
        made: Made = self._asked(self._types[kind][0], kind, place, given)
        return made

    def update(self, kind: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        """Raises Failed. given: the new properties."""
        updated: Made = self._asked(self._types[kind][1], kind, place, made, given, before)
        return updated

    def delete(self, kind: str, place: Place, made: Made, given: Properties) -> None:
        """Raises Failed. Does nothing for a resource that is gone."""
        from botocore.exceptions import ClientError

        def remove() -> None:
            try:
                self._types[kind][2](kind, place, made, given)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _GONE:
                    raise

        self._asked(remove)

    def _asked(self, function: Callable[..., Any], *arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return function(*arguments)
        except BotoCoreError as error:  # values of a wrong type
            raise Failed(f"Properties validation failed: {error}") from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # the same, here
            raise Failed(f"Properties validation failed: {type(error).__name__}: {error}") from None
        except ClientError as error:
            answer, meta = error.response["Error"], error.response["ResponseMetadata"]
            status, request = meta.get("HTTPStatusCode", 400), meta.get("RequestId", "")
            service = error.operation_name
            raise Failed(
                f"{answer['Message']} (Service: {service}, Status Code: {status}, Request ID: {request})"
            ) from None

    def _completed(self, kind: str, place: Place, made: Made, given: Properties) -> Made:
        """A resource after the rest of its properties is set. What can't be completed is not left behind."""
        _, change, delete = self._types[kind]
        try:
            return change(kind, place, made, given, {})
        except BaseException:
            with contextlib.suppress(Exception):
                delete(kind, place, made, given)
            raise

    # ---- S3 ----

    def _make_bucket(self, _: str, place: Place, given: Properties) -> Made:
        name = given.get("BucketName") or place.name(63).lower()
        s3 = self.client("s3", place.region)
        here = {"CreateBucketConfiguration": {"LocationConstraint": place.region}}
        s3.create_bucket(Bucket=name, **({} if place.region == "us-east-1" else here))
        made = Made(name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"})
        return self._completed("AWS::S3::Bucket", place, made, given)

    def _change_bucket(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        s3, name = self.client("s3", place.region), made.physical
        if given.get("PublicAccessBlockConfiguration"):
            s3.put_public_access_block(
                Bucket=name, PublicAccessBlockConfiguration=_typed(given["PublicAccessBlockConfiguration"])
            )
        if rules := given.get("LifecycleConfiguration", {}).get("Rules"):
            s3.put_bucket_lifecycle_configuration(
                Bucket=name, LifecycleConfiguration={"Rules": [_rule(rule) for rule in rules]}
            )
        elif before.get("LifecycleConfiguration"):
            s3.delete_bucket_lifecycle(Bucket=name)
        if given.get("BucketEncryption"):
            rules = given["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            asked = [{"ApplyServerSideEncryptionByDefault": one["ServerSideEncryptionByDefault"]} for one in rules]
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": asked})
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": _tags(place, given)})
        return made

    def _delete_bucket(self, _: str, place: Place, made: Made, given: Properties) -> None:
        self.client("s3", place.region).delete_bucket(Bucket=made.physical)

    def _put_bucket_policy(self, _: str, place: Place, given: Properties) -> Made:
        text = json.dumps(given["PolicyDocument"])
        self.client("s3", place.region).put_bucket_policy(Bucket=given["Bucket"], Policy=text)
        return Made(given["Bucket"], {})

    def _change_bucket_policy(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        return self._put_bucket_policy(_, place, given)

    def _drop_bucket_policy(self, _: str, place: Place, made: Made, given: Properties) -> None:
        self.client("s3", place.region).delete_bucket_policy(Bucket=made.physical)

    # ---- ECR ----

    def _make_repository(self, _: str, place: Place, given: Properties) -> Made:
        name = given.get("RepositoryName") or place.name().lower()
        ecr = self.client("ecr", place.region)
        found = ecr.create_repository(
            repositoryName=name, imageTagMutability=given.get("ImageTagMutability", "MUTABLE"), tags=_tags(place, given)
        )["repository"]
        made = Made(name, {"Arn": found["repositoryArn"], "RepositoryUri": found["repositoryUri"]})
        return self._completed("AWS::ECR::Repository", place, made, given)

    def _change_repository(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        if text := given.get("LifecyclePolicy", {}).get("LifecyclePolicyText"):
            self.client("ecr", place.region).put_lifecycle_policy(
                repositoryName=made.physical, lifecyclePolicyText=text
            )
        return made

    def _delete_repository(self, _: str, place: Place, made: Made, given: Properties) -> None:
        self.client("ecr", place.region).delete_repository(
            repositoryName=made.physical, force=_true(given.get("EmptyOnDelete"))
        )

    # ---- IAM ----

    def _make_role(self, _: str, place: Place, given: Properties) -> Made:
        iam, name = self.client("iam", place.region), given.get("RoleName") or place.name()
        role = iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(given["AssumeRolePolicyDocument"]),
            Tags=_tags(place, given),
        )["Role"]
        made = Made(name, {"Arn": role["Arn"], "RoleId": role["RoleId"]})
        return self._completed("AWS::IAM::Role", place, made, given)

    def _change_role(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        iam, name = self.client("iam", place.region), made.physical
        trust = json.dumps(given["AssumeRolePolicyDocument"])
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        inline, attached = given.get("Policies", []), given.get("ManagedPolicyArns", [])
        for one in inline:
            iam.put_role_policy(
                RoleName=name, PolicyName=one["PolicyName"], PolicyDocument=json.dumps(one["PolicyDocument"])
            )
        for gone in {one["PolicyName"] for one in before.get("Policies", [])} - {one["PolicyName"] for one in inline}:
            iam.delete_role_policy(RoleName=name, PolicyName=gone)
        for arn in {*attached} - {*before.get("ManagedPolicyArns", [])}:
            iam.attach_role_policy(RoleName=name, PolicyArn=arn)
        for arn in {*before.get("ManagedPolicyArns", [])} - {*attached}:
            iam.detach_role_policy(RoleName=name, PolicyArn=arn)
        return made

    def _delete_role(self, _: str, place: Place, made: Made, given: Properties) -> None:
        iam, name = self.client("iam", place.region), made.physical
        iam.get_role(RoleName=name)  # raises an error if it is gone
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for one in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=one["PolicyArn"])
        iam.delete_role(RoleName=name)

    def _make_policy(self, _: str, place: Place, given: Properties) -> Made:
        iam = self.client("iam", place.region)
        policy = iam.create_policy(
            PolicyName=given.get("ManagedPolicyName") or place.name(128),
            PolicyDocument=json.dumps(given["PolicyDocument"]),
            Description=given.get("Description", ""),
        )["Policy"]
        made = Made(policy["Arn"], {"PolicyArn": policy["Arn"], "PolicyId": policy["PolicyId"]})
        try:
            self._attach(iam, made.physical, given, {})
        except BaseException:
            with contextlib.suppress(Exception):
                self._delete_policy(_, place, made, given)
            raise
        return made

    def _attach(self, iam: Any, arn: str, given: Properties, before: Properties) -> None:
        """Give a policy to the roles that its template names, and take it from those that it named before."""
        for role in sorted({*given.get("Roles", ())} - {*before.get("Roles", ())}):
            iam.attach_role_policy(RoleName=role, PolicyArn=arn)
        for role in sorted({*before.get("Roles", ())} - {*given.get("Roles", ())}):
            iam.detach_role_policy(RoleName=role, PolicyArn=arn)

    def _change_policy(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        iam, arn = self.client("iam", place.region), made.physical
        versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
        if len(versions) >= 5:  # the most that IAM keeps
            oldest = min((v for v in versions if not v["IsDefaultVersion"]), key=lambda v: v["CreateDate"])
            iam.delete_policy_version(PolicyArn=arn, VersionId=oldest["VersionId"])
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(given["PolicyDocument"]), SetAsDefault=True)
        self._attach(iam, arn, given, before)
        return made

    def _delete_policy(self, _: str, place: Place, made: Made, given: Properties) -> None:
        iam, arn = self.client("iam", place.region), made.physical
        iam.get_policy(PolicyArn=arn)  # raises an error if it is gone
        users = iam.list_entities_for_policy(PolicyArn=arn)
        mine = {*given.get("Roles", ())}
        for one in [one for one in users["PolicyRoles"] if one["RoleName"] in mine]:
            iam.detach_role_policy(RoleName=one["RoleName"], PolicyArn=arn)
            users["PolicyRoles"].remove(one)
        if users["PolicyUsers"] or users["PolicyRoles"] or users["PolicyGroups"]:  # moto would delete it
            raise Failed("Cannot delete a policy attached to entities. (Service: Iam, Status Code: 409)")
        for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not one["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=one["VersionId"])
        iam.delete_policy(PolicyArn=arn)

    # ---- logs ----

    def _make_logs(self, _: str, place: Place, given: Properties) -> Made:
        name = given.get("LogGroupName") or place.name(512)
        tags = {tag["Key"]: tag["Value"] for tag in _tags(place, given)}
        self.client("logs", place.region).create_log_group(logGroupName=name, tags=tags)
        made = Made(name, {"Arn": f"arn:aws:logs:{place.region}:{ACCOUNT}:log-group:{name}:*"})
        return self._completed("AWS::Logs::LogGroup", place, made, given)

    def _change_logs(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        if days := given.get("RetentionInDays"):
            self.client("logs", place.region).put_retention_policy(
                logGroupName=made.physical, retentionInDays=int(days)
            )
        elif before.get("RetentionInDays"):
            self.client("logs", place.region).delete_retention_policy(logGroupName=made.physical)
        return made

    def _delete_logs(self, _: str, place: Place, made: Made, given: Properties) -> None:
        self.client("logs", place.region).delete_log_group(logGroupName=made.physical)

    # ---- Batch ----

    def _make_environment(self, _: str, place: Place, given: Properties) -> Made:
        name = given.get("ComputeEnvironmentName") or place.name(128)
        made = self.client("batch", place.region).create_compute_environment(
            computeEnvironmentName=name, type=str(given["Type"]).upper(), state=given.get("State", "ENABLED"),
            computeResources=resources_of(given["ComputeResources"]), tags={**place.tags, **given.get("Tags", {})},
        )  # fmt: skip
        return Made(made["computeEnvironmentArn"], {"ComputeEnvironmentArn": made["computeEnvironmentArn"]})

    def _change_environment(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        resources = resources_of(given["ComputeResources"])
        allowed = self.client("batch", place.region).meta.service_model.shape_for("ComputeResourceUpdate").members
        self.client("batch", place.region).update_compute_environment(
            computeEnvironment=made.physical, state=given.get("State", "ENABLED"),
            computeResources={name: value for name, value in resources.items() if name in allowed and name != "type"},
        )  # fmt: skip
        return made

    def _delete_environment(self, _: str, place: Place, made: Made, given: Properties) -> None:
        batch = self.client("batch", place.region)
        if batch.describe_compute_environments(computeEnvironments=[made.physical])["computeEnvironments"]:
            batch.update_compute_environment(computeEnvironment=made.physical, state="DISABLED")
            batch.delete_compute_environment(computeEnvironment=made.physical)

    def _make_queue(self, _: str, place: Place, given: Properties) -> Made:
        made = self.client("batch", place.region).create_job_queue(
            jobQueueName=given.get("JobQueueName") or place.name(128), tags={**place.tags, **given.get("Tags", {})},
            **queue_of(given),
        )  # fmt: skip
        return Made(made["jobQueueArn"], {"JobQueueArn": made["jobQueueArn"]})

    def _change_queue(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        self.client("batch", place.region).update_job_queue(jobQueue=made.physical, **queue_of(given))
        return made

    def _delete_queue(self, _: str, place: Place, made: Made, given: Properties) -> None:
        batch = self.client("batch", place.region)
        if batch.describe_job_queues(jobQueues=[made.physical])["jobQueues"]:
            batch.update_job_queue(jobQueue=made.physical, state="DISABLED")
            batch.delete_job_queue(jobQueue=made.physical)

    # ---- EC2 ----

    def _make_instance(self, _: str, place: Place, given: Properties) -> Made:
        one = self.client("ec2", place.region).run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType=given.get("InstanceType", "t3.micro"),
            UserData=base64.b64decode(given.get("UserData", "")).decode(),
            TagSpecifications=[{"ResourceType": "instance", "Tags": _tags(place, given)}],
        )["Instances"][0]  # fmt: skip
        return Made(one["InstanceId"], {"InstanceId": one["InstanceId"], "PrivateIp": one["PrivateIpAddress"]})

    def _change_instance(self, _: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        ec2, this = self.client("ec2", place.region), made.physical
        if any(
            given.get(name) != before.get(name) for name in ("InstanceType", "UserData")
        ):  # only while it is stopped
            ec2.stop_instances(InstanceIds=[this])
            ec2.modify_instance_attribute(InstanceId=this, InstanceType={"Value": given["InstanceType"]})
            ec2.start_instances(InstanceIds=[this])
        return made

    def _delete_instance(self, _: str, place: Place, made: Made, given: Properties) -> None:
        self.client("ec2", place.region).terminate_instances(InstanceIds=[made.physical])

    # ---- what is only kept in the stack ----

    def _record(self, kind: str, place: Place, given: Properties) -> Made:
        if kind == "AWS::IAM::InstanceProfile":
            name = place.name(128)
            self.check(needs(kind, "create", name, place.region, given))
            return Made(name, {"Arn": f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}"})
        number = f"{_RECORDED[kind]}{secrets.token_hex(9)[:17]}"
        named = {"VPC": "VpcId", "Subnet": "SubnetId", "SecurityGroup": "GroupId"}
        self.check(needs(kind, "create", number, place.region, given))
        attributes = {named.get(kind.rpartition(":")[2], "Id"): number}
        if kind == "AWS::EC2::LaunchTemplate":
            attributes |= {"LatestVersionNumber": "1", "DefaultVersionNumber": "1", "LaunchTemplateId": number}
        return Made(number, attributes)

    def _keep(self, kind: str, place: Place, made: Made, given: Properties, before: Properties) -> Made:
        self.check(needs(kind, "update", made.physical, place.region, given))
        if kind == "AWS::EC2::LaunchTemplate":
            latest = str(int(made.attributes["LatestVersionNumber"]) + 1)
            return made._replace(attributes={**made.attributes, "LatestVersionNumber": latest})
        return made

    def _forget(self, kind: str, place: Place, made: Made, given: Properties) -> None:
        self.check(needs(kind, "delete", made.physical, place.region, given))


def _tags(place: Place, given: Properties) -> list[dict[str, str]]:
    """The tags of a resource: its own and those of the stack."""
    own = {tag["Key"]: tag["Value"] for tag in given.get("Tags", [])}
    return [{"Key": key, "Value": str(value)} for key, value in {**place.tags, **own}.items()]


def _rule(rule: Properties) -> dict[str, Any]:
    """A rule of a bucket's lifecycle, as S3 has it."""
    out: dict[str, Any] = {
        "ID": rule.get("Id", ""),
        "Status": rule["Status"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
    }
    if "ExpirationInDays" in rule:
        out["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "AbortIncompleteMultipartUpload" in rule:
        days = rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
        out["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(days)}
    return out


def _true(value: Any) -> bool:
    return str(value).lower() == "true"


def _typed(flags: Properties) -> dict[str, bool]:
    return {name: _true(value) for name, value in flags.items()}
