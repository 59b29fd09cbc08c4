"""IAM: the principal of a request, the actions that it needs, and whether identity-based policies allow them.

moto stores users, roles and policies. Its own check is too coarse for the policies in docs/iam: it checks resources for S3 only, and
it names S3's actions after its operations. The actions here are those of AWS's service authorization reference.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from .calls import ACCOUNT, Call, Refusal
from .operations import POLICY, ROLE, USER, action, copy_source, objects_to_delete, subresource

# an action, the ARN of its resource, the values of condition keys
Need = tuple[str, str, dict[str, str]]


class Principal:
    """The user or role that signed a request, and its policies. Raises Refusal for an unknown key."""

    def __init__(self, access_key: str, session_token: str) -> None:
        from moto.iam import access_control

        token = {"X-Amz-Security-Token": session_token} if session_token else {}
        try:
            known = access_control.create_access_key(ACCOUNT, "aws", access_key, token)
        except access_control.CreateAccessKeyFailure:
            raise Refusal("InvalidAccessKeyId", "The security token included in the request is invalid.", 403) from None
        self.arn = known.arn
        policies: list[Any] = list(known.collect_policies())
        self.policies = [access_control.IAMPolicy(policy)._policy_json for policy in policies]


def authorize(call: Call) -> list[str]:
    """The actions that a request needs. Raises Refusal unless its principal may do all of them."""
    if call.operation in ("CancelJobs", "TerminateJobs"):  # they have no actions of their own
        jobs = [
            replace(call, operation=call.operation[:-1], parameters={"jobId": job})
            for job in call.parameters.get("jobs", ())
        ]
        return [wanted for one in jobs for wanted in authorize(one)]
    principal = Principal(call.access_key, call.token)
    needed = list(needs(call, principal.arn))
    check(principal, needed)
    if call.operation == "AssumeRole" and not _trusts(call.parameters["RoleArn"], principal.arn):
        raise _denied(
            principal, "sts:AssumeRole", call.parameters["RoleArn"], "the role's trust policy does not allow it"
        )
    return [wanted for wanted, _, _ in needed]


def check(principal: Principal, needed: Iterable[Need]) -> None:
    """Raises Refusal unless a principal may do all of this."""
    for wanted, resource, context in needed:
        if not allows(principal.policies, wanted, resource, context):
            raise _denied(principal, wanted, resource, f"no identity-based policy allows the {wanted} action")


def _denied(principal: Principal, wanted: str, resource: str, why: str) -> Refusal:
    message = f"User: {principal.arn} is not authorized to perform: {wanted} on resource: {resource} because {why}"
    return Refusal("AccessDenied", message, 403)


def _trusts(role: str, arn: str) -> bool:
    """Whether the role's trust policy lets this user or role assume it. moto does not check trust policies."""
    from moto.iam.models import iam_backends

    document = json.loads(iam_backends[ACCOUNT]["aws"].get_role_by_arn(role).assume_role_policy_document)
    trusted = {"*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", arn}
    if ":assumed-role/" in arn:  # a role's session is the role
        trusted.add(f"arn:aws:iam::{ACCOUNT}:role/{arn.split('/')[1]}")
    effects = set()
    for statement in _listed(document["Statement"]):
        principals = statement.get("Principal", "*")
        named = _listed(principals.get("AWS", [])) if isinstance(principals, dict) else _listed(principals)
        actions = [str(one).lower() for one in _listed(statement.get("Action", "*"))]
        concerns = trusted & set(named) and any(_like(one, "sts:assumerole") for one in actions)
        if concerns and _holds(statement.get("Condition", {}), {}, statement["Effect"] == "Deny"):
            effects.add(statement["Effect"])
    return effects == {"Allow"}


# ---- policies ----


def allows(policies: list[dict[str, Any]], action: str, resource: str, context: dict[str, str]) -> bool:
    """Whether at least one statement allows the action, and none denies it."""
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy["Statement"])
        if _concerns(statement, action, resource, context)
    }
    return effects == {"Allow"}


def _concerns(statement: dict[str, Any], action: str, resource: str, context: dict[str, str]) -> bool:
    """Whether a statement applies. Where that is unknown (the operator of a condition, a policy variable), a statement that allows
    does not apply, and one that denies does."""
    denies = statement["Effect"] == "Deny"

    def named(element: str, value: str) -> bool:
        return any(_like(pattern, value) or (denies and "${" in pattern) for pattern in _listed(statement[element]))

    # actions ignore case, resources do not
    lower = {key: [p.lower() for p in _listed(statement[key])] for key in ("Action", "NotAction") if key in statement}
    actions = any(_like(p, action.lower()) for one in lower.values() for p in one) != ("NotAction" in lower)
    resources = named("Resource", resource) if "Resource" in statement else not named("NotResource", resource)
    return actions and resources and _holds(statement.get("Condition", {}), context, denies)


def _holds(conditions: dict[str, dict[str, Any]], context: dict[str, str], where_unknown: bool) -> bool:
    for operator, keys in conditions.items():
        name = operator.removesuffix("IfExists")
        for key, patterns in keys.items():
            if name not in ("StringEquals", "StringLike", "ArnLike", "ArnEquals") or key.lower() not in _CONTEXT:
                satisfied = where_unknown
            elif (value := context.get(_CONTEXT[key.lower()])) is None:
                satisfied = operator.endswith("IfExists")
            else:
                satisfied = any(value == p if name == "StringEquals" else _like(p, value) for p in _listed(patterns))
            if not satisfied:
                return False
    return True


# the condition keys that are evaluated
_TAGS = ("made-by", "simferry:stack")  # of resources
_CONTEXT = {
    key.lower(): key
    for key in (
        "iam:AWSServiceName",
        "iam:PassedToService",
        "iam:PolicyARN",
        "s3:prefix",
        *(f"aws:ResourceTag/{tag}" for tag in _TAGS),
    )
}


def _like(pattern: str, value: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), value, re.DOTALL))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# ---- the actions of an operation ----

_PREFIX = {"tagging": "tag"}  # of a service's actions, where it is not the service's name
_OF_SAGEMAKER = {  # members of requests that name a resource: its type
    "ProcessingJobName": "processing-job", "TrainingJobName": "training-job", "TransformJobName": "transform-job",
    "EndpointName": "endpoint", "EndpointConfigName": "endpoint-config", "ModelName": "model",
}  # fmt: skip


def needs(call: Call, caller: str) -> Iterator[Need]:
    """The actions that a request needs, each with its resource. caller: the ARN of its principal."""
    if call.service == "s3":
        yield from _s3(call)
    elif call.service == "batch":
        yield from _batch(call)
    elif call.operation != "GetCallerIdentity":  # needs no permission
        given = call.parameters
        for resource in _resources(call, caller):
            attached = {"iam:PolicyARN": str(given["PolicyArn"])} if "PolicyArn" in given else {}
            own = _tags(call, resource)
            yield f"{_PREFIX.get(call.service, call.service)}:{call.operation}", resource, {**attached, **own}
            if call.operation == "CreateRepository" and given.get("tags"):
                yield "ecr:TagResource", resource, {}
            if call.operation == "RunInstances" and any(name.startswith("TagSpecification.") for name in given):
                yield "ec2:CreateTags", resource, {}
            if call.operation == "CreateLogGroup" and given.get("tags"):
                yield "logs:TagResource", resource, {}
            if call.operation == "CreateRole" and any(name.startswith("Tags.") for name in given):
                yield "iam:TagRole", resource, {}
        if call.service == "sagemaker" and call.operation.startswith("Create"):
            if given.get("Tags"):
                yield "sagemaker:AddTags", _resources(call, caller)[0], {}
            if role := given.get("RoleArn") or given.get("ExecutionRoleArn"):
                yield "iam:PassRole", str(role), {"iam:PassedToService": "sagemaker.amazonaws.com"}


def _resources(call: Call, caller: str) -> list[str]:
    """The ARNs of the resources of a request; "*" for an operation without one."""
    given = call.parameters
    here = f"{call.region}:{ACCOUNT}"
    if call.service == "sagemaker" and "ResourceArn" in given:
        return [str(given["ResourceArn"])]
    if call.service == "sagemaker":
        named = [f"{kind}/{given[member]}" for member, kind in _OF_SAGEMAKER.items() if member in given]
        if "TransformJobName" in given:  # its model is no resource of the request
            named = named[:1]
        return [f"arn:aws:sagemaker:{here}:{one}" for one in named] or ["*"]
    if call.service == "logs" and call.operation != "DescribeLogGroups":
        stream = given.get("logStreamName", "")
        return [f"arn:aws:logs:{here}:log-group:{given.get('logGroupName', '')}:log-stream:{stream}"]
    if call.service == "ec2" and call.operation != "DescribeInstances":
        named = [value for name, value in given.items() if re.fullmatch(r"InstanceId(\.\d+)?", name)]
        return [f"arn:aws:ec2:{here}:instance/{one}" for one in named or ["*"]]
    if call.service == "ssm":
        return _of_ssm(call, here)
    if call.service == "ecr" and call.operation != "GetAuthorizationToken":
        names = [given["repositoryName"]] if "repositoryName" in given else given.get("repositoryNames") or ["*"]
        return [f"arn:aws:ecr:{here}:repository/{name}" for name in names]
    if call.service == "cloudformation":
        return [_stack(call, str(given["StackName"]))] if given.get("StackName") else ["*"]
    if call.operation in ROLE:
        return [_identity("role", str(given.get("RoleName", "")))]
    if call.operation in USER:
        return [_identity("user", given["UserName"]) if given.get("UserName") else caller]
    if call.operation == "CreatePolicy":
        return [f"arn:aws:iam::{ACCOUNT}:policy{given.get('Path', '/')}{given.get('PolicyName', '')}"]
    if call.operation in POLICY:
        return [str(given.get("PolicyArn", ""))]
    if call.operation == "AssumeRole":
        return [str(given.get("RoleArn", ""))]
    return ["*"]


def _of_ssm(call: Call, here: str) -> list[str]:
    given = call.parameters
    if call.operation == "StartSession":
        document = f"arn:aws:ssm:{call.region}::document/{given.get('DocumentName', 'SSM-SessionManagerRunShell')}"
        return [f"arn:aws:ec2:{here}:instance/{given.get('Target', '')}", document]
    if call.operation == "TerminateSession":
        return [f"arn:aws:ssm:{here}:session/{given.get('SessionId', '')}"]
    return [f"arn:aws:ssm:{here}:parameter/{str(given.get('Name', '')).lstrip('/')}"]


def _tags(call: Call, arn: str) -> dict[str, str]:
    """The condition keys of simferry's tags, for a repository or an instance that has them."""
    tags: dict[str, str] = {}
    if call.service == "ecr":
        from moto.ecr.models import ecr_backends

        tags = ecr_backends[ACCOUNT][call.region].tagger.get_tag_dict_for_resource(arn)
    elif ":instance/i-" in arn:
        from moto.ec2.models import ec2_backends

        found = ec2_backends[ACCOUNT][call.region].get_instance_by_id(arn.rpartition("/")[2])
        tags = {tag["key"]: tag["value"] for tag in found.get_tags()} if found else {}
    return {f"aws:ResourceTag/{tag}": tags[tag] for tag in _TAGS if tag in tags}


_OF_BATCH = {  # members of requests that name a resource: its type
    "computeEnvironment": "compute-environment", "computeEnvironmentName": "compute-environment", "jobDefinition": "job-definition",
    "jobDefinitionName": "job-definition", "jobId": "job", "jobQueue": "job-queue", "jobQueueName": "job-queue",
}  # fmt: skip


def _batch(call: Call) -> Iterator[Need]:
    """AWS Batch: those that look have no resource."""
    given, here = call.parameters, f"arn:aws:batch:{call.region}:{ACCOUNT}"

    def named(kind: str, name: str) -> str:
        return name if name.startswith("arn:") else f"{here}:{kind}/{name}"

    wanted = f"batch:{call.operation}"
    if call.operation.startswith(("Describe", "List")):
        yield wanted, "*", {}
        return
    used = [one["computeEnvironment"] for one in given.get("computeEnvironmentOrder", ())]
    own = [named(kind, str(given[member])) for member, kind in _OF_BATCH.items() if member in given]
    for resource in [*own, *(named("compute-environment", one) for one in used)]:
        yield wanted, resource, {}
    if given.get("tags"):
        yield "batch:TagResource", f"{here}:job/id" if call.operation == "SubmitJob" else own[0], {}
    if call.operation == "CreateComputeEnvironment" and "serviceRole" not in given:
        role = "role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"
        context = {"iam:AWSServiceName": "batch.amazonaws.com"}
        yield "iam:CreateServiceLinkedRole", f"arn:aws:iam::{ACCOUNT}:{role}", context
    if call.operation == "RegisterJobDefinition":
        tasks = given.get("ecsProperties", {}).get("taskProperties", []) or [given.get("containerProperties", {})]
        for role in {
            one[key] for one in tasks for key in ("jobRoleArn", "taskRoleArn", "executionRoleArn") if key in one
        }:
            yield "iam:PassRole", role, {"iam:PassedToService": "ecs-tasks.amazonaws.com"}


def _identity(kind: str, name: str) -> str:
    """The ARN of a user or a role: that of the existing one, with its path, or one without a path."""
    from moto.iam.models import iam_backends

    iam = iam_backends[ACCOUNT]["aws"]
    found = [one.arn for one in (iam.roles if kind == "role" else iam.users).values() if one.name == name]
    return found[0] if found else f"arn:aws:iam::{ACCOUNT}:{kind}/{name}"


def _stack(call: Call, name: str) -> str:
    """The ARN of a stack, by its name or ARN. The end, which is unknown here, is a word that policies match with *."""
    return name if name.startswith("arn:") else f"arn:aws:cloudformation:{call.region}:{ACCOUNT}:stack/{name}/id"


def _s3(call: Call) -> Iterator[Need]:
    arn = f"arn:aws:s3:::{call.bucket}"
    wanted = f"s3:{action(call)}"
    if not call.bucket:
        yield wanted, "*", {}
    elif subresource(call) == "delete" and not call.key:
        for key, version in objects_to_delete(call):
            yield f"s3:DeleteObject{'Version' if version else ''}", f"{arn}/{key}", {}
    elif call.key:
        yield wanted, f"{arn}/{call.key}", {}
        if source := copy_source(call):
            yield f"s3:GetObject{'Version' if source.version else ''}", f"arn:aws:s3:::{source.bucket}/{source.key}", {}
        if "x-amz-tagging" in call.headers and wanted == "s3:PutObject":
            yield "s3:PutObjectTagging", f"{arn}/{call.key}", {}
        if _grants(call) and wanted == "s3:PutObject":
            yield "s3:PutObjectAcl", f"{arn}/{call.key}", {}
    else:
        yield wanted, arn, {"s3:prefix": call.parameters["prefix"]} if "prefix" in call.parameters else {}
        if _grants(call) and wanted == "s3:CreateBucket":
            yield "s3:PutBucketAcl", arn, {}


def _grants(call: Call) -> bool:
    return any(name == "x-amz-acl" or name.startswith("x-amz-grant-") for name in call.headers)
