"""A service's own limits on requests, with the service's own words: read from the model that botocore ships."""

import re
from functools import cache
from typing import Any

from ..errors import UsageError


class RequestRefused(UsageError):
    """The service would answer this request with a ValidationException."""

    code = "validation"


@cache
def _model(service: str) -> Any:
    import botocore.loaders
    import botocore.model

    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"))


def check_request(service: str, operation: str, request: dict[str, Any]) -> None:
    """Raise RequestRefused, naming every fault, if the service's model does not allow the request.

    service: as boto3 calls it, such as "sagemaker". operation: such as "CreateProcessingJob".
    """
    faults: list[str] = []
    _check(_model(service).operation_model(operation).input_shape, request, "", faults)
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise RequestRefused(f"{count}: {'; '.join(faults)}")


def _check(shape: Any, value: Any, path: str, faults: list[str]) -> None:
    def refuse(constraint: str) -> None:
        shown = str(value) if len(str(value)) < 120 else f"{str(value)[:117]}..."
        faults.append(f"Value '{shown}' at '{path}' failed to satisfy constraint: Member must {constraint}")

    limits = shape.metadata
    kind = shape.type_name
    if kind == "structure":
        if not isinstance(value, dict):
            return refuse("be a structure")
        for name in shape.required_members:
            if name not in value:
                faults.append(
                    f"Value null at '{_join(path, name)}' failed to satisfy constraint: Member must not be null"
                )
        for name, member in value.items():
            if name in shape.members:
                _check(shape.members[name], member, _join(path, name), faults)
            else:
                faults.append(f"Unknown parameter '{name}' at '{path or 'request'}'")
        return None
    if kind == "integer" or kind == "long":
        size, noun = value, "value"
        if not isinstance(value, int) or isinstance(value, bool):
            return refuse("be an integer")
    elif kind in ("string", "list", "map"):
        size, noun = len(value), "length"
    else:
        return None
    if "max" in limits and size > limits["max"]:
        refuse(f"have {noun} less than or equal to {limits['max']}")
    if "min" in limits and size < limits["min"]:
        refuse(f"have {noun} greater than or equal to {limits['min']}")
    if kind == "string":
        if "enum" in limits and value not in limits["enum"]:
            refuse(f"satisfy enum value set: [{', '.join(limits['enum'])}]")
        if "pattern" in limits and not re.fullmatch(_pattern(limits["pattern"]), value, re.DOTALL):
            refuse(f"satisfy regular expression pattern: {limits['pattern']}")
    elif kind == "list":
        for i, member in enumerate(value):
            _check(shape.member, member, f"{path}.{i + 1}.member", faults)
    elif kind == "map":
        for key, member in value.items():
            _check(shape.key, key, f"{path}.{key}", faults)
            _check(shape.value, member, f"{path}.{key}", faults)
    return None


def _pattern(pattern: str) -> str:
    """The models' patterns are Java's."""
    return pattern.replace(r"\p{L}", "^\\W\\d_").replace(r"\p{Z}", r"\s").replace(r"\p{N}", r"\d")


def _join(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name
