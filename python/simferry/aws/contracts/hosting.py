"""The contract of SageMaker's hosting: names and requests of models, endpoint configurations, endpoints and transform jobs; limits."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import UsageError

VARIANT = "AllTraffic"  # the name of the one variant, as the SDK has it
ENDPOINT_LOGS = "/aws/sagemaker/Endpoints/"  # each endpoint's group of logs begins so
TRANSFORM_LOGS = "/aws/sagemaker/TransformJobs"
MOST_BYTES, MOST_SERVERLESS_BYTES = 6_291_456, 4 * 2**20  # of the body of a request
PAYLOAD_MB, MOST_PAYLOAD_MB = 6, 100  # of a request of a transform job: where none is named, and at most
MEMORY_MB = range(1024, 6145, 1024)  # of serverless endpoints
MOST_CONCURRENT = 200
_NAME = re.compile("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_LONGEST, _DIGITS = 63, 10
Tags = Sequence[Mapping[str, str]]


def check_name(name: str) -> None:
    """Raise UsageError for what is no name of an endpoint or a transform job."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"{name!r} is no name of an endpoint",
            f"It has 1 to {_LONGEST} letters, digits and hyphens, and begins and ends with a letter or digit.",
        )


def name_for(image: str) -> str:
    """An endpoint's name made from that of an image: without host, tag and digest."""
    short = re.sub(r"[@:].*", "", image.rpartition("/")[2])
    return re.sub("[^a-zA-Z0-9]+", "-", short)[:_LONGEST].strip("-") or "endpoint"


def own_name(owner: str, request: Mapping[str, Any]) -> str:
    """The name of an endpoint's model or configuration: the beginning of the endpoint's, and a hash of the request, so that a second
    attempt finds what the first has made."""
    text = json.dumps([owner, {**request, "Tags": None}], sort_keys=True)
    return f"{_begin(owner)}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def is_own_name(owner: str, name: str) -> bool:
    """Whether `own_name` makes such names for this endpoint, or for another one that begins alike: the tags tell."""
    return re.fullmatch(f"{re.escape(_begin(owner))}-[0-9a-f]{{{_DIGITS}}}", name) is not None


def _begin(owner: str) -> str:
    return owner[: _LONGEST - _DIGITS - 1].rstrip("-")


def model_request(
    owner: str, image: str, role: str, model: str | None, environment: Mapping[str, str], tags: Tags
) -> dict[str, Any]:
    """CreateModel. owner: the endpoint or the transform job. model: the address of its tar.gz, if it has one."""
    container = {"Image": image, **({"ModelDataUrl": model} if model else {}), "Environment": dict(environment)}
    request = {"PrimaryContainer": container, "ExecutionRoleArn": role, "Tags": [*tags]}
    return {"ModelName": own_name(owner, request), **request}


def config_request(owner: str, model: str, place: Mapping[str, Any], tags: Tags) -> dict[str, Any]:
    """CreateEndpointConfig. place: `on_instances` or `serverless`."""
    request = {"ProductionVariants": [{"VariantName": VARIANT, "ModelName": model, **place}], "Tags": [*tags]}
    return {"EndpointConfigName": own_name(owner, request), **request}


def on_instances(kind: str, count: int) -> dict[str, Any]:
    return {"InstanceType": kind, "InitialInstanceCount": count, "InitialVariantWeight": 1.0}


def serverless(memory_mb: int, concurrency: int) -> dict[str, Any]:
    return {"ServerlessConfig": {"MemorySizeInMB": memory_mb, "MaxConcurrency": concurrency}}


def endpoint_request(name: str, config: str, tags: Tags) -> dict[str, Any]:
    """CreateEndpoint."""
    return {"EndpointName": name, "EndpointConfigName": config, "Tags": [*tags]}


def transform_request(
    name: str, model: str, source: str, target: str, machines: tuple[str, int], formats: Mapping[str, str], tags: Tags
) -> dict[str, Any]:
    """CreateTransformJob. source, target: addresses of folders. machines: instance type and count. formats: content_type, accept, split
    (such as Line; None sends whole files) and strategy (MultiRecord or SingleRecord)."""
    lines = formats["split"] != "None"
    accept = {"Accept": formats["accept"]} if formats["accept"] else {}
    return {
        "TransformJobName": name,
        "ModelName": model,
        **({"BatchStrategy": formats["strategy"]} if lines else {}),
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": formats["content_type"],
            "SplitType": formats["split"],
        },
        "TransformOutput": {"S3OutputPath": target, "AssembleWith": "Line" if lines else "None", **accept},
        "TransformResources": {"InstanceType": machines[0], "InstanceCount": machines[1]},
        "Tags": [*tags],
    }
