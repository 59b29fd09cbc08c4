"""Checks requests against the limits of a service, with its error texts: those of its model in botocore, and others that are known."""

import re
from functools import cache
from typing import Any

from ..errors import UsageError

SHOWN = 120  # characters of a refused value


class RequestRefused(UsageError):
    """The service would answer this request with a ValidationException."""

    code = "validation"


@cache
def service_model(service: str) -> Any:
    """A service's model. It takes a tenth of a second to load."""
    import botocore.loaders
    import botocore.model

    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"))


def check_request(service: str, operation: str, request: dict[str, Any]) -> None:
    """Raise RequestRefused, with every error, if the service's model does not allow the request.

    service: as boto3 calls it, such as "sagemaker". operation: such as "CreateProcessingJob".
    """
    faults: list[str] = []
    _check(service_model(service).operation_model(operation).input_shape, request, "", faults)
    if faults:
        count = f"{len(faults)} validation error{'s' if len(faults) > 1 else ''} detected"
        raise RequestRefused(f"{count}: {'; '.join(faults)}")
    if operation == "CreateProcessingJob":
        _check_processing_job(request)
    if operation == "CreateTrainingJob":
        _check_training_job(request)


def _check_training_job(request: dict[str, Any]) -> None:
    """What the service refuses beyond its model: channels of one name, a wait that is shorter than the run, Spot without one."""
    names = [one["ChannelName"] for one in request.get("InputDataConfig", [])]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise RequestRefused(f"InputDataConfig must have unique channel names: {', '.join(repeated)}")
    stopping, spot = request.get("StoppingCondition", {}), request.get("EnableManagedSpotTraining", False)
    run, wait = stopping.get("MaxRuntimeInSeconds", 86400), stopping.get("MaxWaitTimeInSeconds")
    if wait is not None and not spot:
        raise RequestRefused("MaxWaitTimeInSeconds is only for managed Spot training (EnableManagedSpotTraining)")
    if spot and (wait is None or wait < run):
        shown = "missing" if wait is None else wait
        raise RequestRefused(
            f"Invalid MaxWaitTimeInSeconds ({shown}): it must be present and be greater than or equal to "
            f"MaxRuntimeInSeconds ({run}) for managed Spot training"
        )


def _check_processing_job(request: dict[str, Any]) -> None:
    """What the service refuses beyond its model: names and folders that are used twice, tags that are AWS's own."""
    inputs = request.get("ProcessingInputs", [])
    outputs = request.get("ProcessingOutputConfig", {}).get("Outputs", [])
    for what, names in (
        ("ProcessingInputs", [one["InputName"] for one in inputs]),
        ("ProcessingOutputs", [one["OutputName"] for one in outputs]),
        ("Tags", [tag["Key"] for tag in request.get("Tags", [])]),
    ):
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise RequestRefused(
                f"{what} must have unique {'keys' if what == 'Tags' else 'names'}: {', '.join(repeated)}"
            )
    taken: dict[str, str] = {}
    for what, places in (("Input", inputs), ("Output", outputs)):
        for one in places:
            folder, whose = one.get(f"S3{what}", {}).get("LocalPath", "").rstrip("/"), f"{what} {one[f'{what}Name']}"
            # two inputs would mix, github.com/aws/sagemaker-python-sdk/issues/4939; outputs: issues/1950
            if folder in taken:
                raise RequestRefused(
                    f"{taken[folder]} and {whose} have the same LocalPath: {folder}", "Give each a folder of its own."
                )
            if what == "Input" and folder:
                taken[folder] = whose
    if reserved := [tag["Key"] for tag in request.get("Tags", []) if tag["Key"].lower().startswith("aws:")]:
        raise RequestRefused(f"the tag {reserved[0]}: keys that begin with aws: are AWS's own")


def _check(shape: Any, value: Any, path: str, faults: list[str]) -> None:
    def refuse(constraint: str) -> None:
        shown = _java(value)
        shown = shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."
        faults.append(f"Value '{shown}' at '{path}' failed to satisfy constraint: {constraint}")

    kind = shape.type_name
    if not isinstance(value, _TYPES.get(kind, object)) or (isinstance(value, bool) and kind != "boolean"):
        return refuse(f"Member must be a {kind}")
    if broken := _broken(shape, value):
        refuse(broken)
    if kind == "structure":
        for name in shape.required_members:
            if name not in value:
                where = _join(path, name)
                faults.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
        for name, member in value.items():
            if name in shape.members:
                _check(shape.members[name], member, _join(path, name), faults)
            else:
                faults.append(f"Unknown parameter '{name}' at '{path or 'request'}'")
    elif kind == "list" and shape.member.type_name == "structure":
        for i, member in enumerate(value):
            _check(shape.member, member, f"{path}.{i + 1}.member", faults)
    elif kind == "list":
        # for simple values the service shows the whole list and all constraints on its members
        if any(not isinstance(m, str) or _broken(shape.member, m) for m in value):
            refuse(f"Member must satisfy constraint: [{', '.join(_constraints(shape.member))}]")
    elif kind == "map":
        for of, shaped, members in (("key", shape.key, value.keys()), ("value", shape.value, value.values())):
            if any(not isinstance(m, str) or _broken(shaped, m) for m in members):
                refuse(f"Map {of} must satisfy constraint: [{', '.join(_constraints(shaped))}]")
    return None


_TYPES: dict[str, Any] = {
    "structure": dict,
    "list": list,
    "map": dict,
    "string": str,
    "integer": int,
    "long": int,
    "boolean": bool,
}


def _constraints(shape: Any) -> list[str]:
    """The constraints on a simple value, in the service's order."""
    limits = shape.metadata
    noun = "value" if shape.type_name in ("integer", "long") else "length"
    out = []
    if "max" in limits:
        out.append(f"Member must have {noun} less than or equal to {limits['max']}")
    if "min" in limits:
        out.append(f"Member must have {noun} greater than or equal to {limits['min']}")
    if "pattern" in limits:
        out.append(f"Member must satisfy regular expression pattern: {limits['pattern']}")
    if "enum" in limits:
        out.append(f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]")
    return out


def _broken(shape: Any, value: Any) -> str:
    """The first constraint that a value breaks; empty if none."""
    limits = shape.metadata
    kind = shape.type_name
    size = value if kind in ("integer", "long") else len(value) if kind in ("string", "list", "map") else 0
    constraints = {word: text for text in _constraints(shape) for word in _WORDS if word in text}
    if "max" in limits and size > limits["max"]:
        return constraints["less than"]
    if "min" in limits and size < limits["min"]:
        return constraints["greater than"]
    if kind == "string" and "enum" in limits and value not in limits["enum"]:
        return constraints["enum"]
    if kind == "string" and "pattern" in limits and not re.fullmatch(_pattern(limits["pattern"]), value):
        return constraints["regular expression"]
    return ""


_WORDS = ("less than", "greater than", "enum", "regular expression")


def _pattern(pattern: str) -> str:
    """A pattern of Java, as the models have it, in Python's syntax."""
    for java, python in ((r"\p{L}", r"a-zA-Z\u00aa-\uffff"), (r"\p{Z}", r"\s"), (r"\p{N}", r"\d")):
        pattern = pattern.replace(java, python)
    return pattern


def _java(value: Any) -> str:
    """A value as Java, and so the service, prints it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={_java(member)}" for key, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_java, value)) + "]"
    return str(value)


def _join(path: str, name: str) -> str:
    name = name[0].lower() + name[1:]
    return f"{path}.{name}" if path else name
