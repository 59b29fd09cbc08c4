"""The endpoints of an account as they are now, what they cost, and what they print."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..errors import UsageError, nearest
from ..hints import Command
from . import session, stacks
from .contracts.hosting import ENDPOINT_LOGS, VARIANT
from .logs import Streams
from .prices import prices
from .session import AccessDenied, asking, client
from .tags import MADE_BY, Tagged, made_by_simferry

TAG = "simferry:endpoint"  # of an endpoint, its configuration and its model: the endpoint's name
UPLOADED = "simferry:uploaded"  # of a model: the folder with what was uploaded for it
DESCRIBED = 100  # endpoints that are looked at, three requests each
KIND = "sagemaker:endpoint"  # as tags have it
HIDDEN = "may not be looked at"
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")  # they can't be deleted, or are


@dataclass(frozen=True)
class Served:
    """An endpoint. status: in SageMaker's words, such as InService. reason: why it has failed. config, models, images: what it is made
    of. instance_type: empty where it is serverless; then memory_mb and concurrency are given. dollars_an_hour: while nothing is asked,
    None if the price is not known. ours: whether simferry has made it. stack: for which."""

    name: str
    status: str
    reason: str
    config: str
    models: tuple[str, ...]
    variants: tuple[str, ...]
    images: tuple[str, ...]
    instance_type: str
    instances: int
    memory_mb: int
    concurrency: int
    dollars_an_hour: float | None
    created: datetime
    ours: bool
    stack: str = ""

    @property
    def where(self) -> str:
        """Its machines in words."""
        if self.memory_mb:
            return f"serverless, {self.memory_mb:,} MB, at most {self.concurrency} requests at once"
        return f"{self.instances} x {self.instance_type}" if self.instance_type else "machines of an unknown type"

    @property
    def costs(self) -> str:
        """What it costs in words."""
        if self.dollars_an_hour is None:
            return "price not known"
        return "nothing while idle" if self.memory_mb else f"${self.dollars_an_hour:.2f} an hour"

    def __str__(self) -> str:
        made = "" if self.ours else "  (not made by simferry)"
        reason = f": {self.reason}" if self.reason else ""
        return f"endpoint {self.name}  {self.status}{reason}, {self.where}, {self.costs}{made}"


def described(found: Served) -> dict[str, object]:
    """What is known of it, for JSON and R."""
    return {
        "name": found.name, "status": found.status, "reason": found.reason, "instance_type": found.instance_type,
        "instances": found.instances, "memory_mb": found.memory_mb, "concurrency": found.concurrency,
        "dollars_an_hour": found.dollars_an_hour, "created": found.created.isoformat(), "config": found.config,
        "models": [*found.models], "images": [*found.images], "ours": found.ours, "stack": found.stack,
    }  # fmt: skip


def is_missing(error: Any) -> bool:
    """Whether SageMaker's refusal (botocore's ClientError) says that there is no such thing."""
    answer = error.response["Error"]
    return answer.get("Code") in ("ValidationException", "ResourceNotFound") and any(
        words in answer.get("Message", "") for words in ("Could not find", "does not exist")
    )


def look(operation: str, what: str, **asked: str) -> dict[str, Any] | None:
    """The answer of one of SageMaker's Describe operations; None if there is no such thing. Raises AwsError."""
    from botocore.exceptions import ClientError

    with asking(what):
        try:
            return dict(getattr(client("sagemaker"), operation)(**asked))
        except ClientError as error:
            if is_missing(error):
                return None
            raise


def state(name: str) -> dict[str, Any] | None:
    """DescribeEndpoint's answer; None if there is none of this name. Raises AwsError."""
    return look("describe_endpoint", f"endpoint {name}", EndpointName=name)


def find(name: str) -> Served | None:
    """An endpoint by its name; None if there is none. Raises AwsError."""
    found = state(name)
    return _served(found) if found else None


def there(name: str) -> Served:
    """An endpoint by its name. Raises UsageError if there is none, with the names nearest to it."""
    if found := find(name):
        return found
    raise unknown(name)


def unknown(name: str) -> UsageError:
    """The error where there is no endpoint of a name."""
    near = nearest(name, names())
    return UsageError(
        f"there is no endpoint {name} in {session.region()}", near or Command("endpoint list") + "  lists them."
    )


def names() -> list[str]:
    """The names of all endpoints in the configured region, the newest first. Raises AwsError."""
    with asking("SageMaker's endpoints"):
        pages = client("sagemaker").get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 100})
        return [one["EndpointName"] for page in pages for one in page["Endpoints"]]


def running() -> tuple[list[Served], int]:
    """The endpoints in the configured region, the newest first, whoever made them; and how many there are beyond the first DESCRIBED.

    Raises AwsError.
    """
    every = names()
    found = [find(name) for name in every[:DESCRIBED]]
    return [one for one in found if one], max(0, len(every) - DESCRIBED)


def of_simferry(tagged: Iterable[Tagged] | None = None) -> list[Served]:
    """Those that simferry has made, found by their tags; one that may not be looked at, too. tagged: what is known to have them.

    Raises AwsError.
    """
    out = []
    for one in made_by_simferry((KIND,)) if tagged is None else tagged:
        if one.kind == KIND:
            try:
                now = state(one.name)
                found = _served(now, one.tags) if now else None
            except AccessDenied:
                time = datetime.fromtimestamp(0, timezone.utc)
                found = Served(one.name, HIDDEN, "", "", (), (), (), "", 0, 0, 0, None, time, True, one.stack)
            out += [found] if found else []
    return out


def images() -> list[str]:
    """The images of all endpoints in the configured region, whoever made them. Raises AwsError."""
    found = [now for name in names() if (now := state(name))]
    return [image for now in found for image in _images(now)]


def _images(found: Mapping[str, Any]) -> tuple[str, ...]:
    every = [one for of in found.get("ProductionVariants", []) for one in of.get("DeployedImages", [])]
    return tuple(one["SpecifiedImage"] for one in every if one.get("SpecifiedImage"))


def tags_of(arn: str) -> dict[str, str]:
    """The tags of something of SageMaker's; none where it has just gone. Raises AwsError."""
    found = look("list_tags", arn.rpartition(":")[2], ResourceArn=arn) or {"Tags": []}
    return {tag["Key"]: tag["Value"] for tag in found["Tags"]}


def _served(found: Mapping[str, Any], tags: Mapping[str, str] | None = None) -> Served:
    """tags: if they are known."""
    name, config = found["EndpointName"], found["EndpointConfigName"]
    told = look("describe_endpoint_config", f"endpoint configuration {config}", EndpointConfigName=config) or {}
    asked = {one["VariantName"]: one for one in told.get("ProductionVariants", [])}
    variants = found.get("ProductionVariants", [])
    counts = {one["VariantName"]: one.get("DesiredInstanceCount", one.get("CurrentInstanceCount")) for one in variants}
    machines = [
        (one.get("InstanceType", ""), counts.get(which) or one.get("InitialInstanceCount", 1))
        for which, one in asked.items()
        if "ServerlessConfig" not in one
    ]
    idle = [one["ServerlessConfig"] for one in asked.values() if "ServerlessConfig" in one]
    tags = tags_of(found["EndpointArn"]) if tags is None else tags
    status = found["EndpointStatus"]
    return Served(
        name, status, found.get("FailureReason", ""), config,
        tuple(one["ModelName"] for one in asked.values() if one.get("ModelName")), tuple(asked) or tuple(counts),
        _images(found),
        " and ".join(dict.fromkeys(kind for kind, _ in machines)), sum(count for _, count in machines),
        sum(one["MemorySizeInMB"] for one in idle), sum(one["MaxConcurrency"] for one in idle),
        0.0 if status == "Failed" else _dollars_an_hour(machines, idle, bool(asked)), found["CreationTime"],
        tags.items() >= MADE_BY.items(), tags.get(stacks.TAG, ""),
    )  # fmt: skip


def _dollars_an_hour(
    machines: Sequence[tuple[str, int]], idle: Sequence[Mapping[str, Any]], known: bool
) -> float | None:
    """While nothing is asked. known: whether the configuration is there."""
    table = prices(session.region()).dollars_per_hour
    if not known or any(one.get("ProvisionedConcurrency") for one in idle) or any(k not in table for k, _ in machines):
        return None
    return sum(table[kind] * count for kind, count in machines)


def lines(name: str, variants: Sequence[str] = ()) -> dict[str, list[str]]:
    """What the containers of an endpoint have printed, by variant and machine. variants: their names. Raises AwsError."""
    out: dict[str, list[str]] = {}
    for variant, machine, line in Streams(group=f"{ENDPOINT_LOGS}{name}").look(variants or [VARIANT]):
        out.setdefault(f"{variant}/{machine}", []).append(line)
    return out
