"""What types of resources have, by their published schemas: which properties, and which of them can't be changed in place."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

Properties = Mapping[str, Any]


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
