"""Parameters whose values are functions or other objects: the design has their names, the simulation gets the objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import DesignError


@dataclass(frozen=True)
class Named:
    """A value of a parameter that goes by a name."""

    name: str
    value: Any


def named(values: Mapping[str, Any]) -> list[Named]:
    """The values of a dict, by its keys."""
    return [Named(name, value) for name, value in values.items()]


def holds_objects(values: Any) -> bool:
    """Whether some values are functions, classes or `Named`."""
    if isinstance(values, (pa.Array, pa.ChunkedArray)) or (isinstance(values, np.ndarray) and values.dtype != object):
        return False
    return any(isinstance(v, Named) or callable(v) for v in values)


def names_and_objects(parameter: str, values: Any) -> tuple[list[str | None], dict[str, Any]]:
    """The name of each value, and the values by name. None stays None. Raises DesignError where a value has no name of its own."""
    names: list[str | None] = []
    objects: dict[str, Any] = {}
    for value in values:
        if value is None:
            names.append(None)
            continue
        if not isinstance(value, Named):
            name = getattr(value, "__name__", None)
            if not isinstance(name, str) or name == "<lambda>":
                raise DesignError(
                    f"parameter {parameter} holds {value!r}, which has no name",
                    f'Give each value a name: {parameter}={{"first": ..., "second": ...}}',
                )
            value = Named(name, value)
        if objects.setdefault(value.name, value.value) is not value.value:
            raise DesignError(
                f"parameter {parameter} holds two objects named {value.name!r}",
                f'Give each a name of its own: {parameter}={{"first": ..., "second": ...}}',
            )
        names.append(value.name)
    return names, objects
