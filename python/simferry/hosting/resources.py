"""Makes and removes a model, an endpoint configuration and an endpoint. What an earlier attempt has made, or a lost answer hides, is
found again: names of models and configurations are hashes of what they are."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..aws import endpoints
from ..aws.contracts import hosting as contract
from ..aws.endpoints import BUSY, TAG, is_missing, look, state, tags_of
from ..aws.session import AwsError, QuotaError, asking, client, emulated
from ..errors import NoAnswer
from ..words import duration

Tell = Callable[[str], None]
SHOWN = 15  # lines of a log that an error shows
KINDS = {
    "model": "ModelName", "endpoint_config": "EndpointConfigName", "endpoint": "EndpointName", "transform_job": "TransformJobName",
}  # fmt: skip
_WORDS = {
    "model": "model",
    "endpoint_config": "endpoint configuration",
    "endpoint": "endpoint",
    "transform_job": "transform job",
}


def poll_seconds() -> float:
    return 0.2 if emulated("sagemaker") else 10.0


def make(kind: str, request: Mapping[str, Any]) -> bool:
    """Create something of KINDS, unless it is there. Returns whether this made it. Raises QuotaError, AwsError, NoAnswer."""
    from botocore.exceptions import ClientError

    name = request[KINDS[kind]]
    if there(kind, name):
        return False
    try:
        with asking(f"{_WORDS[kind]} {name}"):
            try:
                getattr(client("sagemaker"), f"create_{kind}")(**request)
            except ClientError as error:
                answer = error.response["Error"]
                if answer["Code"] == "ResourceLimitExceeded":
                    hint = "Ask AWS for more (Service Quotas, Amazon SageMaker), or use another instance type."
                    raise QuotaError(answer["Message"], hint, answer["Code"]) from None
                if "already exist" not in answer.get("Message", ""):
                    raise
                return False  # an attempt whose answer was lost has made it
    except NoAnswer:
        if not there(kind, name):
            raise
    return True


def there(kind: str, name: str) -> bool:
    """Whether there is something of KINDS with this name. Raises AwsError."""
    return look(f"describe_{kind}", f"{_WORDS[kind]} {name}", **{KINDS[kind]: name}) is not None


def remove(kind: str, name: str) -> None:
    """Delete something of KINDS; nothing happens if it is gone. Raises AwsError."""
    from botocore.exceptions import ClientError

    with asking(f"{_WORDS[kind]} {name}"):
        try:
            getattr(client("sagemaker"), f"delete_{kind}")(**{KINDS[kind]: name})
        except ClientError as error:
            if not is_missing(error):
                raise


def settled(name: str, tell: Tell) -> Mapping[str, Any] | None:
    """DescribeEndpoint's answer once nothing goes on; None where the endpoint is gone. tell: called with each new state."""
    began, last = time.monotonic(), ""
    while (now := state(name)) and (status := now["EndpointStatus"]) in BUSY:
        if status != last:
            tell(f"  {status}")
            last = status
        time.sleep(poll_seconds())
    if now and last:
        tell(f"  {now['EndpointStatus']} after {duration(time.monotonic() - began)}")
    return now


def remove_endpoint(name: str, tell: Tell) -> None:
    """Delete an endpoint, and wait until it is gone: its configuration may go only then. One that is being created comes to its end first.

    Raises AwsError.
    """
    if settled(name, tell):
        remove("endpoint", name)
        if settled(name, lambda line: None):
            raise AwsError(f"endpoint {name} can't be deleted: it is {(state(name) or {}).get('EndpointStatus')}")


def made_for(owner: str, kind: str) -> Iterator[str]:
    """The names of models, or configurations, that were made for an endpoint or a transform job; what others have made is left out.

    Raises AwsError.
    """
    key, listed = KINDS[kind], {"model": "Models", "endpoint_config": "EndpointConfigs"}[kind]
    with asking("SageMaker"):
        pages = client("sagemaker").get_paginator(f"list_{kind}s")
        found = [
            one
            for page in pages.paginate(NameContains=owner[:52].rstrip("-"), PaginationConfig={"PageSize": 100})
            for one in page[listed]
            if contract.is_own_name(owner, one[key])
        ]
    for one in found:
        arn = one[{"model": "ModelArn", "endpoint_config": "EndpointConfigArn"}[kind]]
        if tags_of(arn).get(TAG) == owner:
            yield one[key]


def last_lines(name: str) -> str:
    """The end of an endpoint's log, for a message; empty if there is none, or it may not be read."""
    try:
        printed = [line for some in endpoints.lines(name).values() for line in some[-SHOWN:]]
    except AwsError:
        return ""
    return "".join(f"\n  {line}" for line in printed[-SHOWN:])
