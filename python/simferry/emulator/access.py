"""IAM: who asks, what an operation needs, and whether identity-based policies allow it.

moto keeps users, roles and policies, but its own check knows resources only of S3, and names S3's actions after its operations;
policies as tight as docs/iam would be refused. The actions are those of AWS's service authorization reference.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

from .calls import Call, Refusal

ACCOUNT = "123456789012"  # moto's
# an action, the ARN that it is about, the values of condition keys
Need = tuple[str, str, dict[str, str]]


class Principal:
    """Who signed a request, and the policies that hold for them. Raises Refusal for a key that nobody has."""

    def __init__(self, call: Call) -> None:
        from moto.iam import access_control

        try:
            known = access_control.create_access_key(ACCOUNT, "aws", call.access_key, _headers(call))
        except access_control.CreateAccessKeyFailure:
            code = "InvalidAccessKeyId" if call.service == "s3" else "InvalidClientTokenId"
            code = "UnrecognizedClientException" if "X-Amz-Target" in call.headers else code
            raise Refusal(code, "The security token included in the request is invalid.", 403) from None
        self.arn = known.arn
        policies: list[Any] = list(known.collect_policies())
        self.policies = [access_control.IAMPolicy(policy)._policy_json for policy in policies]


def _headers(call: Call) -> dict[str, str]:
    return {"X-Amz-Security-Token": token} if (token := call.headers.get("X-Amz-Security-Token")) else {}


def authorize(call: Call) -> list[str]:
    """The actions that a request needs. Raises Refusal unless all are allowed to whom it comes from."""
    if not call.access_key:
        raise Refusal("AccessDenied", "Access Denied", 403)
    principal = Principal(call)
    needed = list(needs(call))
    for action, resource, context in needed:
        if not allows(principal.policies, action, resource, context):
            raise Refusal(
                "AccessDeniedException" if "X-Amz-Target" in call.headers else "AccessDenied",
                f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no identity-based policy allows the {action} action",
                403 if call.service in ("s3", "iam", "sts") else 400,
            )
    return [action for action, _, _ in needed]


# ---- policies ----


def allows(policies: list[dict[str, Any]], action: str, resource: str, context: dict[str, str]) -> bool:
    """Whether some statement allows it, and none denies it."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy["Statement"])
        if _concerns(statement, action, resource, context)
    }
    return effects == {"Allow"}


def _concerns(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    def named(element: str, value: str) -> bool:
        return any(_like(pattern, value) for pattern in _listed(statement[element]))

    # the case of an action does not matter, that of a resource does
    lower = {key: [p.lower() for p in _listed(statement[key])] for key in ("Action", "NotAction") if key in statement}
    actions = any(_like(p, action.lower()) for one in lower.values() for p in one) != ("NotAction" in lower)
    resources = named("Resource", resource) if "Resource" in statement else not named("NotResource", resource)
    return actions and resources and _holds(statement.get("Condition", {}), context)


def _holds(conditions: dict[str, dict[str, Any]], context: dict[str, str]) -> bool:
    for operator, keys in conditions.items():
        name = operator.removesuffix("IfExists")
        if name not in ("StringEquals", "StringLike", "ArnLike", "ArnEquals"):
            return False
        for key, patterns in keys.items():
            value = context.get(key)
            if value is None:
                if operator.endswith("IfExists"):
                    continue
                return False
            equal = name == "StringEquals"
            if not any(value == p if equal else _like(p, value) for p in _listed(patterns)):
                return False
    return True


def _like(pattern: str, value: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, re.DOTALL))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- what an operation needs ----


def needs(call: Call) -> Iterator[Need]:
    """The actions of a request, each with its resource."""
    if call.service == "s3":
        yield from _s3(call)
    elif call.operation != "GetCallerIdentity":  # everybody may know who they are
        context: dict[str, str] = {}
        yield f"{call.service}:{call.operation}", _resource(call), context
        if call.operation == "CreateRepository" and call.json.get("tags"):
            yield "ecr:TagResource", _resource(call), context
        if call.service == "sagemaker" and call.operation.startswith("Create"):
            if call.json.get("Tags"):
                yield "sagemaker:AddTags", _resource(call), context
            if role := call.json.get("RoleArn"):
                yield "iam:PassRole", str(role), {"iam:PassedToService": "sagemaker.amazonaws.com"}


def _resource(call: Call) -> str:
    """The ARN that a request is about; "*" for an operation on nothing in particular."""
    asked = call.json if "X-Amz-Target" in call.headers else call.query
    here = f"{call.region}:{ACCOUNT}"
    if call.service == "sagemaker":
        if "ResourceArn" in asked:
            return str(asked["ResourceArn"])
        if "ProcessingJobName" in asked:
            return f"arn:aws:sagemaker:{here}:processing-job/{asked['ProcessingJobName']}"
    if call.service == "logs" and "logGroupName" in asked:
        return f"arn:aws:logs:{here}:log-group:{asked['logGroupName']}:log-stream:{asked.get('logStreamName', '')}"
    if call.service == "ecr" and "repositoryName" in asked:
        return f"arn:aws:ecr:{here}:repository/{asked['repositoryName']}"
    if call.service == "ecr" and len(asked.get("repositoryNames", [])) == 1:
        return f"arn:aws:ecr:{here}:repository/{asked['repositoryNames'][0]}"
    if call.service == "iam" and "RoleName" in asked:
        return f"arn:aws:iam::{ACCOUNT}:role/{asked['RoleName']}"
    if call.service == "sts" and "RoleArn" in asked:
        return str(asked["RoleArn"])
    return "*"


# actions on a bucket by method and the part of it that the query names, and those on an object
_BUCKET = {
    "GET": {
        "": "ListBucket", "location": "GetBucketLocation", "policyStatus": "GetBucketPolicyStatus", "acl": "GetBucketAcl",
        "publicAccessBlock": "GetBucketPublicAccessBlock", "policy": "GetBucketPolicy", "tagging": "GetBucketTagging",
        "encryption": "GetEncryptionConfiguration", "versioning": "GetBucketVersioning", "versions": "ListBucketVersions",
        "uploads": "ListBucketMultipartUploads", "lifecycle": "GetLifecycleConfiguration",
    },
    "HEAD": {"": "ListBucket"},
    "PUT": {
        "": "CreateBucket", "acl": "PutBucketAcl", "publicAccessBlock": "PutBucketPublicAccessBlock",
        "policy": "PutBucketPolicy", "tagging": "PutBucketTagging", "encryption": "PutEncryptionConfiguration",
        "versioning": "PutBucketVersioning", "lifecycle": "PutLifecycleConfiguration",
    },
    "DELETE": {"": "DeleteBucket", "policy": "DeleteBucketPolicy"},
}  # fmt: skip
_OBJECT = {
    "GET": {"": "GetObject", "acl": "GetObjectAcl", "tagging": "GetObjectTagging", "versionId": "GetObjectVersion",
            "uploadId": "ListMultipartUploadParts"},
    "HEAD": {"": "GetObject", "versionId": "GetObjectVersion"},
    "PUT": {"": "PutObject", "acl": "PutObjectAcl", "tagging": "PutObjectTagging"},
    "POST": {"": "PutObject"},
    "DELETE": {"": "DeleteObject", "uploadId": "AbortMultipartUpload", "versionId": "DeleteObjectVersion"},
}  # fmt: skip


def _s3(call: Call) -> Iterator[Need]:
    bucket, _, key = call.path.lstrip("/").partition("/")
    arn = f"arn:aws:s3:::{bucket}"
    if not bucket:
        yield "s3:ListAllMyBuckets", "*", {}
    elif call.method == "POST" and "delete" in call.query:
        for one in ElementTree.fromstring(call.body).iter():
            if one.tag.rpartition("}")[2] == "Key":
                yield "s3:DeleteObject", f"{arn}/{one.text}", {}
    elif key:
        yield f"s3:{_action(_OBJECT, call)}", f"{arn}/{key}", {}
        if source := call.headers.get("X-Amz-Copy-Source"):
            yield "s3:GetObject", f"arn:aws:s3:::{unquote(source).lstrip('/')}", {}
    else:
        context = {"s3:prefix": call.query["prefix"]} if "prefix" in call.query else {}
        yield f"s3:{_action(_BUCKET, call)}", arn, context


def _action(table: dict[str, dict[str, str]], call: Call) -> str:
    actions = table.get(call.method, {})
    return next((actions[part] for part in actions if part and part in call.query), actions.get("", call.method))
