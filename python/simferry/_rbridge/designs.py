"""Designs."""

from typing import Any

from ..errors import DesignError
from ..r.serialization import Vector
from .arguments import Arguments, column, columns_of, design_frame, design_of, plain, verb

_OF_INTEGERS = ("int32", "list<item: int32>")


@verb
def design(given: Arguments) -> Vector:
    """given: kind, parameters (a list of vectors) and options."""
    from ..sweep import design as designs
    from ..sweep import sampling

    kind = given["kind"].plain()
    options = plain(dict(given["options"].items())) if given.get("options") else {}
    if kind == "table":
        return design_frame(_typed(given["parameters"], options.get("types")))
    if kind in ("grid", "zipped"):
        columns = columns_of(given["parameters"])
        types = {name: "integer" for name, c in columns.items() if str(c.type) in _OF_INTEGERS} | (
            options.get("types") or {}
        )
        return design_frame(getattr(designs, kind)({name: c.to_pylist() for name, c in columns.items()}, types=types))
    sources, types = {}, {}
    for name, vector in given["parameters"].items():
        sources[name] = _source(name, vector)
        if vector is not None and vector.kind == "integer":
            types[name] = "integer"
    if "" in sources:
        raise DesignError("a parameter has no name", "Write sim_random(100, n = c(10L, 50L)).")
    return design_frame(getattr(sampling, kind)(options["size"], sources, seed=options["seed"], types=types))


def _typed(vector: Vector | None, types: Any) -> Any:
    from ..sweep import design as designs

    if vector is not None and vector.kind == "string":
        return designs.table(vector.plain(), types=types)
    made = design_of(vector)
    return designs.table(made.table, types=types) if types else made


def _source(name: str, vector: Vector | None) -> Any:
    """Two numbers are a range (two integers: of whole numbers). Strings, logicals and lists are a choice."""
    if vector is not None and vector.kind in ("double", "integer"):
        values = vector.elements()
        if len(values) != 2 or vector.classes:
            raise DesignError(
                f"parameter {name} is neither a range nor a choice",
                f"A range has two ends, {name} = c(10, 50); a choice of numbers is a list, {name} = list(10, 20, 50).",
            )
        return tuple(values)
    if vector is None:
        raise DesignError(f"parameter {name} is NULL")
    if vector.kind == "list":
        return column(name, vector).to_pylist()
    values = vector.plain()
    return values if isinstance(values, list) else [values]
