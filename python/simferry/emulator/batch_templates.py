"""Properties of templates as requests of AWS Batch."""

from collections.abc import Mapping
from typing import Any

from .schemas import Properties


def _lowered(given: Any) -> Any:
    """Members of a template's property, named as Batch's requests name them."""
    if isinstance(given, Mapping):
        return {f"{name[0].lower()}{name[1:]}": _lowered(value) for name, value in given.items()}
    return [_lowered(one) for one in given] if isinstance(given, list) else given


def resources_of(given: Properties) -> dict[str, Any]:
    """The computeResources of a compute environment."""
    numbers = ("minvCpus", "maxvCpus", "desiredvCpus", "bidPercentage")
    out = {name: int(value) if name in numbers else value for name, value in _lowered(given).items()}
    out.pop("updateToLatestImageVersion", None)
    if "tags" in out:
        out["tags"] = dict(given["Tags"])
    return out


def queue_of(given: Properties) -> dict[str, Any]:
    """What a request that creates or updates a job queue has, without its name."""
    limits = [
        {**one, "maxTimeSeconds": int(one["maxTimeSeconds"])}
        for one in _lowered(given.get("JobStateTimeLimitActions", []))
    ]
    order = [{**one, "order": int(one["order"])} for one in _lowered(given["ComputeEnvironmentOrder"])]
    return {
        "priority": int(given["Priority"]), "state": given.get("State", "ENABLED"), "computeEnvironmentOrder": order,
        "jobStateTimeLimitActions": limits,
    }  # fmt: skip
