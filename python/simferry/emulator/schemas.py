"""What types of CloudFormation's resources are, by their published schemas: properties, replacement, rights that are needed."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from .calls import ACCOUNT

Properties = Mapping[str, Any]

# actions of the handlers of these types that belong to properties which nobody here uses
_UNUSED = ("EncryptionControl", "Ingress", "Tenancy", "SubnetCidrBlock", "VpnGateway", "vpc-lattice:", "vpce:")

_IN_ARNS = {  # what a resource is called there, where it is not the type
    "Route": "route-table", "SubnetRouteTableAssociation": "route-table", "VPCEndpoint": "vpc-endpoint",
    "VPCGatewayAttachment": "internet-gateway",
}  # fmt: skip


def needs(kind: str, verb: str, name: str, region: str, given: Properties) -> Iterator[tuple[str, str, dict[str, str]]]:
    """The actions that the service's handler of a type needs, as its schema says, each with its resource."""
    for action in _schema(kind).get("handlers", {}).get(verb, {}).get("permissions", ()):
        if any(word in action for word in _UNUSED):
            continue
        if action == "iam:PassRole":
            for role in given.get("Roles", ()):
                yield action, f"arn:aws:iam::{ACCOUNT}:role/{role}", {"iam:PassedToService": "ec2.amazonaws.com"}
        elif action.startswith("iam:"):
            yield action, f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}", {}
        else:
            last = kind.rpartition(":")[2]
            what = _IN_ARNS.get(last) or re.sub(r"(?<=[a-z])(?=[A-Z])", "-", last).lower()
            here = f"arn:aws:ec2:{region}:{ACCOUNT}:{what}/{name}"
            yield action, "*" if action.startswith("ec2:Describe") else here, {}


@cache
def _schema(kind: str) -> Mapping[str, Any]:
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    return dict(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema)


def exists(kind: str) -> bool:
    """Whether AWS has resources of a type."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    return kind in PROVIDER_SCHEMA_MANAGER.get_resource_types("us-east-1")


def unknown_properties(kind: str, given: Properties) -> list[str]:
    return sorted(set(given) - set(_schema(kind)["properties"]))


def missing_properties(kind: str, given: Properties) -> list[str]:
    return sorted(set(_schema(kind).get("required") or ()) - set(given))


def changed_properties(before: Properties, after: Properties) -> list[str]:
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def fixed_properties(kind: str) -> set[str]:
    """The properties that can't be changed in place."""
    return {path.split("/")[2] for path in _schema(kind).get("createOnlyProperties") or ()}


def replaces(kind: str, before: Properties, after: Properties) -> bool:
    """Whether a change makes a new resource in place of the old one."""
    fixed = _schema(kind).get("createOnlyProperties") or ()
    return any(
        _at(before, path) != _at(after, path)
        for path in (re.sub(r"^/properties/", "", one).split("/") for one in fixed)
    )


def _at(given: Any, path: list[str]) -> Any:
    for part in path:
        given = given.get(part) if isinstance(given, Mapping) else None
    return given
