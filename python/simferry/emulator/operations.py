"""The operations that the emulator answers. It refuses all others by name.

moto has more, which is not safe or not true: it starts containers that mount folders of the host (Batch, Lambda), or reports jobs as
completed that never ran.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from ..errors import nearest
from .calls import ACCOUNT, BUCKET_NAME, Call, Refusal, not_emulated

_REGION = re.compile(r"(af|ap|ca|eu|il|me|mx|sa|us)-[a-z]+-\d")  # of AWS's main partition

_TAGGED = re.compile(":((processing|training|transform)-job|model|endpoint|endpoint-config)/")  # what tags are kept of

# IAM's operations, by their resource
ROLE = {
    "AttachRolePolicy", "CreateRole", "DeleteRole", "DeleteRolePolicy", "DetachRolePolicy", "GetRole", "GetRolePolicy",
    "ListAttachedRolePolicies", "ListRolePolicies", "PutRolePolicy", "UpdateAssumeRolePolicy",
}  # fmt: skip
USER = {
    "AttachUserPolicy", "CreateAccessKey", "CreateUser", "DeleteAccessKey", "DeleteUser", "DeleteUserPolicy", "DetachUserPolicy",
    "GetUser", "GetUserPolicy", "ListAccessKeys", "ListAttachedUserPolicies", "ListUserPolicies", "PutUserPolicy",
    "UpdateAccessKey",
}  # fmt: skip
POLICY = {
    "CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "GetPolicy", "GetPolicyVersion",
    "ListEntitiesForPolicy", "ListPolicyVersions",
}  # fmt: skip

OPERATIONS = {
    "batch": {
        "CancelJob", "CancelJobs", "CreateComputeEnvironment", "CreateJobQueue", "DeleteComputeEnvironment", "DeleteJobQueue",
        "DeregisterJobDefinition", "DescribeComputeEnvironments", "DescribeJobDefinitions", "DescribeJobQueues",
        "DescribeJobs", "ListJobs", "RegisterJobDefinition", "SubmitJob", "TerminateJob", "TerminateJobs",
        "UpdateComputeEnvironment", "UpdateJobQueue",
    },
    "ce": {"GetCostAndUsage"},
    "cloudformation": {
        "ContinueUpdateRollback", "CreateChangeSet", "CreateStack", "DeleteChangeSet", "DeleteStack", "DescribeChangeSet",
        "DescribeStackEvents", "DescribeStackResources", "DescribeStacks", "ExecuteChangeSet", "GetTemplate",
        "GetTemplateSummary", "ListChangeSets", "ListExports", "ListImports", "ListStackResources", "ListStacks",
        "UpdateStack", "ValidateTemplate",
    },
    "ecr": {
        "BatchDeleteImage", "BatchGetImage", "CreateRepository", "DeleteRepository", "DescribeImages",
        "DescribeRepositories", "GetAuthorizationToken", "GetDownloadUrlForLayer", "GetLifecyclePolicy", "ListImages", "PutImage",
        "PutLifecyclePolicy",
    },
    "ec2": {"DescribeInstances", "ModifyInstanceAttribute", "RunInstances", "StartInstances", "StopInstances", "TerminateInstances"},
    "iam": ROLE | USER | POLICY | {"ListPolicies", "ListRoles", "ListUsers"},
    "logs": {
        "CreateLogGroup", "CreateLogStream", "DeleteLogGroup", "DeleteLogStream", "DeleteRetentionPolicy",
        "DescribeLogGroups", "DescribeLogStreams",
        "FilterLogEvents", "GetLogEvents", "PutLogEvents", "PutRetentionPolicy",
    },
    "sagemaker": {
        "AddTags", "CreateEndpoint", "CreateEndpointConfig", "CreateModel", "CreateProcessingJob",
        "CreateTrainingJob", "CreateTransformJob", "DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel",
        "DeleteTags", "DescribeEndpoint", "DescribeEndpointConfig", "DescribeModel", "DescribeProcessingJob",
        "DescribeTrainingJob", "DescribeTransformJob", "InvokeEndpoint", "ListEndpointConfigs", "ListEndpoints",
        "ListModels", "ListProcessingJobs", "ListTags", "ListTrainingJobs", "ListTransformJobs", "StopProcessingJob",
        "StopTrainingJob", "StopTransformJob", "UpdateEndpoint", "UpdateTrainingJob",
    },
    "servicequotas": {"GetServiceQuota"},
    "ssm": {"DeleteParameter", "GetParameter", "PutParameter", "StartSession", "TerminateSession"},
    "sts": {"AssumeRole", "GetCallerIdentity"},
    "tagging": {"GetResources"},
}  # fmt: skip

# S3's operations: the IAM action by HTTP method and subresource ("": the bucket or the object itself)
BUCKET = {
    "GET": {
        "": "ListBucket", "acl": "GetBucketAcl", "encryption": "GetEncryptionConfiguration",
        "lifecycle": "GetLifecycleConfiguration", "location": "GetBucketLocation", "policy": "GetBucketPolicy",
        "policyStatus": "GetBucketPolicyStatus", "publicAccessBlock": "GetBucketPublicAccessBlock",
        "tagging": "GetBucketTagging", "uploads": "ListBucketMultipartUploads", "versioning": "GetBucketVersioning",
        "versions": "ListBucketVersions",
    },
    "HEAD": {"": "ListBucket"},
    "PUT": {
        "": "CreateBucket", "acl": "PutBucketAcl", "encryption": "PutEncryptionConfiguration",
        "lifecycle": "PutLifecycleConfiguration", "policy": "PutBucketPolicy",
        "publicAccessBlock": "PutBucketPublicAccessBlock", "tagging": "PutBucketTagging", "versioning": "PutBucketVersioning",
    },
    "POST": {"delete": "DeleteObject"},
    "DELETE": {
        "": "DeleteBucket", "encryption": "PutEncryptionConfiguration", "lifecycle": "PutLifecycleConfiguration",
        "policy": "DeleteBucketPolicy", "publicAccessBlock": "PutBucketPublicAccessBlock", "tagging": "PutBucketTagging",
    },
}  # fmt: skip
OBJECT = {
    "GET": {
        "": "GetObject", "acl": "GetObjectAcl", "tagging": "GetObjectTagging", "uploadId": "ListMultipartUploadParts",
        "versionId": "GetObjectVersion",
    },
    "HEAD": {"": "GetObject", "versionId": "GetObjectVersion"},
    "PUT": {"": "PutObject", "acl": "PutObjectAcl", "tagging": "PutObjectTagging", "uploadId": "PutObject"},
    "POST": {"uploads": "PutObject", "uploadId": "PutObject"},
    "DELETE": {
        "": "DeleteObject", "tagging": "DeleteObjectTagging", "uploadId": "AbortMultipartUpload",
        "versionId": "DeleteObjectVersion",
    },
}  # fmt: skip
ACCOUNT_WIDE = {"GET": {"": "ListAllMyBuckets"}}
# query parameters that are no subresource
_PARAMETERS = {
    "bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner", "key-marker", "list-type", "marker",
    "max-buckets", "max-keys", "max-parts", "max-uploads", "part-number-marker", "partNumber", "prefix",
    "response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
    "response-content-type", "response-expires", "start-after", "upload-id-marker", "version-id-marker", "x-id",
}  # fmt: skip
# headers that are passed on to moto's S3; those in _TRANSPORT are used up when a request is parsed
_S3_HEADERS = {
    "cache-control", "content-disposition", "content-encoding", "content-language", "content-md5", "content-type", "expires",
    "if-match", "if-modified-since", "if-none-match", "if-unmodified-since", "range", "x-amz-acl",
    "x-amz-metadata-directive", "x-amz-mp-object-size", "x-amz-sdk-checksum-algorithm", "x-amz-storage-class",
    "x-amz-tagging", "x-amz-tagging-directive",
}  # fmt: skip
_S3_HEADER_PREFIXES = (
    "x-amz-checksum-", "x-amz-copy-source", "x-amz-grant-", "x-amz-meta-", "x-amz-server-side-encryption"
)  # fmt: skip
_TRANSPORT = {
    "x-amz-content-sha256", "x-amz-date", "x-amz-decoded-content-length", "x-amz-expected-bucket-owner",
    "x-amz-optional-object-attributes", "x-amz-request-payer", "x-amz-security-token", "x-amz-source-expected-bucket-owner",
    "x-amz-te", "x-amz-trailer", "x-amz-user-agent",
}  # fmt: skip


def check(call: Call) -> None:
    """Raise Refusal unless the emulator answers this call."""
    if not _REGION.fullmatch(call.region):
        raise Refusal(
            "InvalidRequest", f"simferry's emulator has the regions of AWS's main partition, not {call.region}"
        )
    if call.region not in _regions():
        raise Refusal(
            "InvalidRequest", f"there is no region {call.region}. {nearest(call.region, _regions())}".rstrip()
        )
    if call.service == "s3":
        _check_s3(call)
    elif call.operation not in OPERATIONS[call.service]:
        raise not_emulated(call.service, call.operation)
    elif call.service == "sagemaker" and "Tags" in call.operation:
        arn = str(call.parameters.get("ResourceArn", ""))
        if arn.startswith("arn:") and not _TAGGED.search(arn):
            raise not_emulated("sagemaker", f"{call.operation} of {arn}")
    elif call.service == "logs" and (other := [name for name in call.parameters if "Identifier" in name]):
        raise not_emulated("logs", f"{call.operation} with {other[0]} in place of logGroupName")
    elif call.service == "ecr" and {*_registries(call)} - {ACCOUNT}:
        raise Refusal("AccessDenied", f"simferry's emulator has no account but {ACCOUNT}", 403)
    elif call.operation == "AssumeRole" and any(name.startswith("Policy") for name in call.parameters):
        raise not_emulated("sts", "AssumeRole with policies for the session")


@cache
def _regions() -> frozenset[str]:
    """The regions of AWS's main partition."""
    from botocore.session import Session

    return frozenset(Session().get_available_regions("s3"))


def _registries(call: Call) -> list[str]:
    given = [call.parameters.get("registryId"), *(call.parameters.get("registryIds") or [])]
    return [str(one) for one in given if one is not None]


# ---- S3 ----


def subresource(call: Call) -> str:
    """The subresource of a request to S3, such as "tagging"; "" for the bucket or the object itself."""
    return next((name for name in call.parameters if name not in _PARAMETERS), "")


def action(call: Call) -> str | None:
    """The IAM action that a request to S3 needs; None if the emulator does not answer it."""
    level = OBJECT if call.key else BUCKET if call.bucket else ACCOUNT_WIDE
    return level.get(call.operation, {}).get(subresource(call))


def _check_s3(call: Call) -> None:
    parts = [name for name in call.parameters if name not in _PARAMETERS]
    if len(parts) > 1 or action(call) is None:
        what = "an object" if call.key else "a bucket" if call.bucket else "S3"
        raise not_emulated("s3", f"{call.operation} {' and '.join(parts)}".strip() + f" of {what}")
    for name, value in call.headers.items():
        if name.endswith("expected-bucket-owner") and value != ACCOUNT:
            raise Refusal("AccessDenied", "Access Denied", 403)
        if name.startswith("x-amz-") and not (_is_s3_header(name) or name in _TRANSPORT):
            raise not_emulated("s3", f"the header {name}")
    if copy_source(call) and not (call.operation == "PUT" and call.key and parts in ([], ["uploadId"])):
        raise not_emulated("s3", f"{call.operation} with the header x-amz-copy-source")

    for name, digest in _DIGESTS.items():
        given = call.headers.get(name)
        if given and call.operation == "PUT" and given != base64.b64encode(digest(call.body)).decode():
            raise Refusal("BadDigest", f"The {name} you specified did not match the calculated checksum.")


# checksums of an upload that are verified: those in Python's standard library
_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "content-md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "x-amz-checksum-crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "x-amz-checksum-sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "x-amz-checksum-sha256": lambda body: hashlib.sha256(body).digest(),
}


def _is_s3_header(name: str) -> bool:
    return name in _S3_HEADERS or name.startswith(_S3_HEADER_PREFIXES)


def s3_headers(call: Call) -> dict[str, str]:
    """The headers that are passed on to moto's S3."""
    return {name: value for name, value in call.headers.items() if _is_s3_header(name)}


class Source(NamedTuple):
    bucket: str
    key: str
    version: str


def copy_source(call: Call) -> Source | None:
    """The object that a request copies from, or None."""
    given = call.headers.get("x-amz-copy-source")
    if given is None:
        return None
    path, _, query = given.partition("?")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not BUCKET_NAME.fullmatch(bucket) or not key or (query and not query.startswith("versionId=")):
        raise Refusal("InvalidArgument", f"x-amz-copy-source is no BUCKET/KEY: {given}")
    return Source(bucket, key, unquote(query.removeprefix("versionId=")))


def objects_to_delete(call: Call) -> list[tuple[str, str]]:
    """The keys and versions that DeleteObjects names."""
    try:
        root = ElementTree.fromstring(call.body)
    except ElementTree.ParseError:
        raise Refusal("MalformedXML", "The XML you provided was not well-formed.") from None
    out = []
    for one in root:
        fields = {_name(member): member.text or "" for member in one}
        if (
            _name(one) == "Object"
            and fields.get("Key")
            and len(fields) == len(one)
            and set(fields) <= {"Key", "VersionId"}
        ):
            out.append((fields["Key"], fields.get("VersionId", "")))
        elif _name(one) != "Quiet":
            raise Refusal("MalformedXML", "Objects have a Key, and perhaps a VersionId.")
    if not out or len(out) > 1000:
        raise Refusal("MalformedXML", "1 to 1,000 objects can be deleted at once.")
    return out


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
