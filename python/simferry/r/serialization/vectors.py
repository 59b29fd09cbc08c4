"""R's vectors in Python, and the numbers of types and flags in R's serialisation."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...worker.blocks import NA_INTEGER

TYPES = {"logical": 10, "integer": 13, "double": 14, "complex": 15, "string": 16, "list": 19, "raw": 24}
KINDS = {number: kind for kind, number in TYPES.items()}
OBJECTS = {  # of other types, in words
    **{1: "a symbol", 2: "a pairlist", 3: "a function", 4: "an environment", 5: "a promise", 6: "a call"},
    **{7: "a function of R itself", 8: "a function of R itself", 17: "the dots of a function", 20: "an expression"},
    **{21: "bytecode", 22: "an external pointer", 23: "a weak reference", 25: "an S4 object"},
}
DTYPES: dict[str, np.dtype[Any]] = {
    "logical": np.dtype("<i4"),
    "integer": np.dtype("<i4"),
    "double": np.dtype("<f8"),
    "complex": np.dtype("<c16"),
    "raw": np.dtype("u1"),
}
PAIRLIST, SYMBOL, CHAR = 2, 1, 9
OBJECT, ATTRIBUTES, TAG = 0x100, 0x200, 0x400
UTF8 = 1 << 15


class NotPlain(ValueError):
    """An R object that is not a vector, list or data frame."""


@dataclass
class Vector:
    """An R vector. values: a numpy array; for strings a list of str and None; for lists a list of Vector and None."""

    kind: str
    values: Any
    attributes: dict[str, "Vector | None"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)

    def texts(self, attribute: str) -> list[str | None]:
        found = self.attributes.get(attribute)
        return list(found.values) if found is not None and found.kind == "string" else []

    @property
    def names(self) -> list[str]:
        return [name or "" for name in self.texts("names")]

    @property
    def classes(self) -> list[str]:
        return [name or "" for name in self.texts("class")]

    def items(self) -> list[tuple[str, "Vector | None"]]:
        """The elements of a list, with their names."""
        return list(zip(self.names or [""] * len(self), self.values, strict=True))

    def plain(self) -> Any:
        """As plain Python: one value as a scalar, several as a list, with names as a dict; NA as None."""
        if self.kind == "list":
            values = [None if v is None else v.plain() for v in self.values]
            return dict(zip(self.names, values, strict=True)) if self.names else values
        out = self.elements()
        return (
            out[0]
            if len(out) == 1 and not self.names
            else dict(zip(self.names, out, strict=True))
            if self.names
            else out
        )

    def elements(self) -> list[Any]:
        """The values of an atomic vector, NA as None."""
        if self.kind == "string":
            return list(self.values)
        missing = self.missing()
        values = self.values.astype(bool) if self.kind == "logical" else self.values
        return [None if na else v for v, na in zip(values.tolist(), missing.tolist(), strict=True)]

    def missing(self) -> np.ndarray:
        """Which values are NA, as a logical array. NaN is not NA."""
        if self.kind == "double":
            return np.asarray(np.isnan(self.values) & (self.values.view("<u4")[::2] == 1954))
        if self.kind == "string":
            return np.array([v is None for v in self.values], dtype=bool)
        if self.kind in ("integer", "logical"):
            return np.asarray(self.values == NA_INTEGER)
        return np.zeros(len(self), dtype=bool)


@dataclass
class Other:
    """An R object that is not a vector or list, such as a call, a function, an environment or an S4 object."""

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<R {self.kind}>"


def texts(values: Iterable[str | None]) -> Vector:
    return Vector("string", list(values))
