"""The protocol of AWS's query services (such as CloudFormation): requests are forms, answers XML. Both follow the service's model."""

import datetime
import re
from collections.abc import Callable
from typing import Any

from ..aws.limits import service_model
from .calls import Answer, Call, Refusal, headers, in_xml


def parameters(service: str, operation: str, form: dict[str, str]) -> dict[str, Any]:
    """The parameters of a request, as boto3 takes them. form: its fields, such as {"Tags.member.1.Key": "a"}.

    Raises Refusal for unknown parameters and for texts that are no numbers.
    """
    tree: dict[str, Any] = {}
    for path, text in form.items():
        if path == "Version":
            continue
        node, parts = tree, path.split(".")
        for part in parts[:-1]:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise Refusal("MalformedInput", f"{path} is given twice")
        if isinstance(node.get(parts[-1]), dict):
            raise Refusal("MalformedInput", f"{path} is given twice")
        node[parts[-1]] = text
    shape = service_model(service).operation_model(operation).input_shape
    return dict(_read(shape, tree, "")) if shape else {}


def _read(shape: Any, given: Any, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure" and isinstance(given, dict):
        members = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
        if unknown := [name for name in given if name not in members]:
            raise Refusal("MalformedInput", f"unknown parameter {path}{unknown[0]}")
        read_members = {members[n][0]: _read(members[n][1], value, f"{path}{n}.") for n, value in given.items()}
        if missing := [name for name in shape.required_members if name not in read_members]:
            why = "failed to satisfy constraint: Member must not be null"
            raise Refusal("ValidationError", f"Value null at '{path}{missing[0]}' {why}")
        return read_members
    if kind == "list" and isinstance(given, dict):
        name = shape.member.serialization.get("name", "member")
        items = given.get(name)
        if (
            [*given] != [name]
            or not isinstance(items, dict)
            or not all(re.fullmatch(r"[1-9][0-9]{0,8}", number) for number in items)
        ):
            raise Refusal("MalformedInput", f"{path[:-1]} is no list")
        return [_read(shape.member, items[number], f"{path}{number}.") for number in sorted(items, key=int)]
    if kind == "list" and given == "":  # an empty list is sent as an empty field
        return []
    if isinstance(given, dict) or kind in ("structure", "list"):
        raise Refusal("MalformedInput", f"{path[:-1]} is no {kind}")
    read: Callable[[str], Any] = {"integer": int, "long": int, "boolean": _boolean}.get(kind, str)  # type: ignore[assignment]
    try:
        return read(given)
    except ValueError:
        raise Refusal("MalformedInput", f"{path[:-1]} is no {kind}: {given}") from None


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def answer(call: Call, content: dict[str, Any]) -> Answer:
    """Status, headers and body of an answer. content: as boto3 gives it; times are seconds since 1970."""
    service, operation, sent = service_model(call.service), call.operation, headers("text/xml")
    shape, space = service.operation_model(operation).output_shape, service.metadata.get("xmlNamespace", "")
    inner = _write(shape, content) if shape else ""
    if shape and (wrapper := shape.serialization.get("resultWrapper")):
        inner = f"<{wrapper}>{inner}</{wrapper}>"
    request_id = dict(sent)["x-amzn-RequestId"]
    end = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return 200, sent, f'<{operation}Response xmlns="{space}">{inner}{end}</{operation}Response>'.encode()


def _write(shape: Any, value: Any) -> str:
    kind = shape.type_name
    if kind == "structure":
        return "".join(
            _element(member.serialization.get("name", name), _write(member, value[name]))
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if kind == "list":
        name = shape.member.serialization.get("name", "member")
        return "".join(_element(name, _write(shape.member, one)) for one in value)
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "timestamp":
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc).isoformat(timespec="milliseconds")
    return in_xml(str(value))


def _element(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"
