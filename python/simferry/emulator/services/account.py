"""What is asked of a whole account: resources by their tags (Resource Groups Tagging API), costs (Cost Explorer), and quotas."""

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from ...aws import quotas
from ...aws.limits import RequestRefused, check_request
from ..calls import ACCOUNT, Call, Refusal
from .stacks import Stacks

PAGE = 50
LARGE = 10_000  # vCPUs
_MODELS = {
    "tagging": "resourcegroupstaggingapi",
    "ce": "ce",
    "servicequotas": "service-quotas",
}  # the services' names in botocore
Tags = dict[str, str]


class HasTags(Protocol):
    """A service whose resources have tags."""

    def tagged(self, region: str) -> Iterable[tuple[str, Tags]]:
        """ARN and tags of what is in a region."""


class Account:
    """Answers GetResources, GetCostAndUsage and GetServiceQuota. Nothing costs here: the answer has no groups, as one for a tag that is
    not activated. services: those whose resources have tags. vcpus: quotas of vCPUs by the type of Batch's compute environments; of those
    without one it is large."""

    def __init__(self, stacks: Stacks, services: Iterable[HasTags], vcpus: Mapping[str, int]) -> None:
        self.stacks, self.services, self.vcpus = stacks, services, vcpus

    def answers(self, call: Call) -> bool:
        return call.service in _MODELS

    def answer(self, call: Call) -> dict[str, Any]:
        wrong = {"tagging": "InvalidParameterException", "servicequotas": "IllegalArgumentException"}.get(
            call.service, "ValidationException"
        )
        try:
            check_request(_MODELS[call.service], call.operation, call.parameters)
        except RequestRefused as error:
            raise Refusal(wrong, error.message) from None
        if call.service == "servicequotas":
            return self._quota(call.parameters)
        return self._resources(call) if call.service == "tagging" else _costs(call.parameters)

    def stop(self, seconds: float) -> None:
        pass

    # ---- quotas ----

    def _quota(self, given: dict[str, Any]) -> dict[str, Any]:
        service, code = given["ServiceCode"], given["QuotaCode"]
        for kind, (of, own, name) in quotas.QUOTAS.items():
            if (of, own) == (service, code):
                value = float(self.vcpus.get(kind, LARGE))
                told = {"ServiceCode": of, "QuotaCode": own, "QuotaName": name, "Value": value}
                return {"Quota": {**told, "Unit": "None", "Adjustable": True, "GlobalQuota": False}}
        raise Refusal("NoSuchResourceException", "simferry's emulator has the quotas of vCPUs only")

    # ---- tags ----

    def _resources(self, call: Call) -> dict[str, Any]:
        given = call.parameters
        kinds, filters = given.get("ResourceTypeFilters", []), given.get("TagFilters", [])
        found = [
            {"ResourceARN": arn, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            for arn, tags in sorted(self._tagged(call.region))
            if tags and all(_fits(tags, one) for one in filters) and (not kinds or _is_of(arn, kinds))
        ]
        token = given.get("PaginationToken", "")
        if token and not token.isdigit():
            raise Refusal("PaginationTokenExpiredException", "The pagination token is not valid")
        first = int(token or 0)
        last = first + given.get("ResourcesPerPage", PAGE)
        return {"ResourceTagMappingList": found[first:last], "PaginationToken": str(last) if last < len(found) else ""}

    def _tagged(self, region: str) -> Iterator[tuple[str, Tags]]:
        """ARN and tags of what is in a region."""
        from moto.ecr.models import ecr_backends
        from moto.logs.models import logs_backends
        from moto.s3.models import s3_backends

        made_by = {}
        for stack in [one for one in self.stacks.stacks if one.region == region]:
            if stack.wanted and stack.status != "DELETE_COMPLETE":
                yield stack.arn, dict(stack.wanted.tags)
            for logical, one in list(stack.resources.items()):
                if one.made:
                    names = {"stack-name": stack.name, "stack-id": stack.arn, "logical-id": logical}
                    made_by[one.made.physical] = {f"aws:cloudformation:{key}": value for key, value in names.items()}
        s3, ecr, logs = s3_backends[ACCOUNT]["aws"], ecr_backends[ACCOUNT][region], logs_backends[ACCOUNT][region]
        for bucket in list(s3.buckets.values()):
            if bucket.region_name == region:
                yield (
                    f"arn:aws:s3:::{bucket.name}",
                    {**s3.tagger.get_tag_dict_for_resource(bucket.arn), **made_by.get(bucket.name, {})},
                )
        for repository in list(ecr.repositories.values()):
            tags = ecr.tagger.get_tag_dict_for_resource(repository.arn)
            yield repository.arn, {**tags, **made_by.get(repository.name, {})}
        for group in list(logs.groups.values()):
            yield group.arn, {**logs.tagger.get_tag_dict_for_resource(group.arn), **made_by.get(group.name, {})}
        for service in self.services:
            for arn, tags in service.tagged(region):
                yield arn, {**tags, **made_by.get(arn, {})}


def _fits(tags: Tags, wanted: dict[str, Any]) -> bool:
    return wanted["Key"] in tags and (not wanted.get("Values") or tags[wanted["Key"]] in wanted["Values"])


def _is_of(arn: str, kinds: list[str]) -> bool:
    """Whether a resource is of one of the kinds: a service, or service:type."""
    service, own = arn.split(":")[2], arn.split(":", 5)[5]
    return any(
        kind == service or own.startswith(kind.removeprefix(f"{service}:"))
        for kind in kinds
        if kind.split(":")[0] == service
    )


# ---- costs ----


def _costs(given: dict[str, Any]) -> dict[str, Any]:
    period = given["TimePeriod"]
    try:
        start, end = (datetime.date.fromisoformat(period[name]) for name in ("Start", "End"))
    except ValueError:
        raise Refusal("ValidationException", "TimePeriod has to have dates such as 2026-11-01") from None
    if start >= end:
        raise Refusal("ValidationException", "Start date (and hour) should be before end date (and hour)")
    one = {"TimePeriod": period, "Total": {}, "Groups": [], "Estimated": True}
    return {"ResultsByTime": [one], "GroupDefinitions": given.get("GroupBy", []), "DimensionValueAttributes": []}
