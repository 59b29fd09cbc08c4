"""Where jobs run."""

import inspect
from typing import Any

from ..errors import UsageError, nearest
from .base import Backend

_KNOWN = {"local": ("local", "Local"), "docker": ("docker", "Docker"), "sagemaker": ("processing", "Sagemaker")}


def backend(name: str, **options: Any) -> Backend:
    """The backend of that name. Raises UsageError for another name, and for an option that it does not have."""
    from importlib import import_module

    if name not in _KNOWN:
        raise UsageError(
            f"there is no backend {name!r}", nearest(name, _KNOWN) or f"Backends are: {', '.join(_KNOWN)}."
        )
    module, kind = _KNOWN[name]
    made = getattr(import_module(f".{module}", __name__), kind)
    known = inspect.signature(made).parameters
    for option, value in options.items():
        if option not in known and value is not None:
            raise UsageError(
                f"the {name} backend has no option {option}", f"It has: {', '.join(known)}. Is another --backend meant?"
            )
        if isinstance(value, (int, float)) and not isinstance(value, bool) and not value > 0:
            raise UsageError(f"{option} is {value}; it has to be above 0")
    given = {option: value for option, value in options.items() if value is not None}
    place: Backend = made(**given)
    place.options = given
    return place
