"""Converts R's values to arguments of Python's verbs, and back."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from ..errors import DesignError, Note, UsageError
from ..hints import NA, Literal, Option, Text
from ..r.serialization import Vector, data_frame
from ..sweep.lists import listed

Arguments = dict[str, Any]
VERBS: dict[str, Callable[[Arguments], Any]] = {}
# arguments that are not options; options are checked by sweep/options.py
_WHOLE = ("condition", "replication")
_TEXTS = ("store", "job", "folder", "pattern", "script", "name", "platform", "to", "packages", "template")


def plain(arguments: Arguments) -> Arguments:
    """The arguments as plain Python values. A single NA becomes hints.NA. `condition` and `replication` become int, also from 1.0."""
    out = {name: None if value is None else NA if _is_na(value) else _plain(value) for name, value in arguments.items()}
    for name, value in out.items():
        if name in _WHOLE and isinstance(value, float) and value.is_integer():
            out[name] = int(value)
        elif name in _WHOLE and not (value is None or (isinstance(value, int) and not isinstance(value, bool))):
            raise UsageError(
                Text(Option(name), " is ", Literal(value), "; it has to be a whole number"), Option(name, 10)
            )
    return out


def _plain(vector: Vector) -> Any:
    if "data.frame" in vector.classes:
        return {name: one.to_pylist() for name, one in columns_of(vector).items()}
    return vector.plain()


def _is_na(vector: Vector) -> bool:
    return vector.kind not in ("list", "raw") and len(vector) == 1 and vector.elements() == [None]


def check_texts(arguments: Arguments) -> None:
    for name in _TEXTS:
        value = arguments.get(name)
        if value is not None and value.kind != "string":
            shown = NA if _is_na(value) else value.plain()
            raise UsageError(Text(Option(name), " is ", Literal(shown), "; it has to be a text"))


def backend_of(vector: Vector) -> Arguments:
    """A backend's name and options. vector: its name, or the list that R's sim_*() functions return."""
    given = dict(vector.items()) if vector.kind == "list" else {"name": vector}
    return {name: value for name, value in plain(given).items() if value is not None}


def text_list(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


def column(name: str, vector: Vector | None) -> Any:
    """A column of a design: an R vector as an Arrow array of the same type. Raises DesignError."""
    import pyarrow as pa

    classes = [] if vector is None else [c for c in vector.classes if c not in ("ordered", *_OF_LISTS)]
    if vector is not None and vector.kind == "list" and not classes:
        return _column_of_vectors(name, vector.values)
    if vector is None or vector.kind in ("list", "raw"):
        what = "NULL" if vector is None else "a data frame" if "data.frame" in classes else f"of type {vector.kind}"
        raise DesignError(f"parameter {name} is {what}", f"{_ALLOWED}. Pass other objects as constants.")
    if "factor" in classes:
        codes, levels = vector.elements(), vector.texts("levels")
        return pa.array([None if code is None else levels[code - 1] for code in codes], pa.string())
    if "difftime" in classes:
        raise DesignError(
            f"parameter {name} is a difftime", f'Pass its number in a unit: as.numeric({name}, units = "secs").'
        )
    if classes:
        raise DesignError(
            f"parameter {name} is of class {classes[0]}",
            f"{_ALLOWED}: convert it with as.numeric() or as.character().",
        )
    if vector.kind == "string":
        return pa.array(vector.values, pa.string())
    values = vector.values.astype(bool) if vector.kind == "logical" else vector.values
    return pa.array(np.require(values, requirements="A"), mask=vector.missing(), from_pandas=False)


_ALLOWED = "Parameters are numbers, integers, logicals and strings, and lists of vectors of these"
_OF_LISTS = ("AsIs", "vctrs_list_of", "vctrs_vctr", "list")


def _column_of_vectors(name: str, vectors: Iterable[Vector | None]) -> Any:
    """A list as a column: of lists, or of single values where all are single. NULL is a missing list."""
    import pyarrow as pa

    arrays: list[Any] = []
    for one in vectors:
        is_matrix = one is not None and "dim" in one.attributes
        if one is not None and (one.names or is_matrix or one.kind == "list" or one.classes):
            what = f"a value of class {one.classes[0]}" if one.classes else "a list" if one.kind == "list" else ""
            raise DesignError(
                f"parameter {name} holds {'a matrix' if is_matrix else what or 'a vector with names'}",
                f"{_ALLOWED}. A list with names passes any values by these: {name} = list(small = ..., large = ...).",
            )
        arrays.append(None if one is None else column(name, one))
    known = [array for array in arrays if array is not None and array.null_count < len(array)]
    kinds = {array.type for array in known} or {pa.float64()}
    if len(kinds) > 1 and not kinds <= {pa.int32(), pa.float64()}:
        words = {pa.int32(): "integers", pa.float64(): "numbers", pa.bool_(): "logicals", pa.string(): "strings"}
        raise DesignError(f"parameter {name} mixes {' and '.join(sorted(words[kind] for kind in kinds))}")
    kind = kinds.pop() if len(kinds) == 1 else pa.float64()
    inside = [pa.nulls(len(a), kind) if a.null_count == len(a) else a.cast(kind) for a in arrays if a is not None]
    elements = pa.concat_arrays(inside) if inside else pa.array([], kind)
    lengths = [-1 if array is None else len(array) for array in arrays]
    return elements if set(lengths) == {1} else listed(lengths, elements)


def columns_of(vector: Vector) -> dict[str, Any]:
    names = vector.names
    if vector.kind != "list":
        what = "a matrix" if "dim" in vector.attributes else "a vector"
        raise DesignError(
            f"{what} is not a design", "Write sim_grid(n = c(10, 20), effect = 0.5), or pass a data frame."
        )
    if len(vector) and not all(names):
        raise DesignError("a parameter has no name", "Write sim_grid(n = c(10, 20), effect = 0.5).")
    if twice := [name for name in names if names.count(name) > 1]:
        raise DesignError(f"parameter {twice[0]} is given twice")
    return {name: column(name, value) for name, value in vector.items()}


def design_of(vector: Vector | None, note: bool = False) -> Any:
    """The design of a data frame, a list, or a file. note: say where a list may have been meant as a grid."""
    from ..sweep import design

    if vector is None:
        return design.Design({})
    if vector.kind == "string":
        return design.table(vector.plain())
    rows = vector.attributes.get("row.names")
    if (
        vector.kind == "list" and not len(vector) and rows is not None and len(rows) in (1, 2)
    ):  # a grid without parameters
        return design.Design({})
    columns = columns_of(vector)
    if columns and not any(len(column) for column in columns.values()):
        raise DesignError("the design has no rows", "A design needs at least one condition.")
    if note and not vector.classes:
        values = {name: one.to_pylist() for name, one in columns.items()}
        if text := design.note_of_columns(values, "sim_grid()", "sim_table()"):
            warnings.warn(Note(text), stacklevel=2)
    return design.Design(columns)


def design_frame(made: Any) -> Vector:
    frame: Vector = data_frame({name: made.table[name] for name in made.names}, len(made), ["simferry_design"])
    return frame


Verb = TypeVar("Verb", bound=Callable[[Arguments], Any])


def verb(function: Verb) -> Verb:
    VERBS[function.__name__.rstrip("_")] = function
    return function


def findings(found: list[dict[str, Any]]) -> Vector:
    """The findings of the doctor and of the check of images, as a data frame."""
    ok = Vector("logical", [-(2**31) if f["ok"] is None else f["ok"] for f in found])
    columns: Arguments = {"what": Vector("string", [f["what"] for f in found]), "ok": ok}
    columns["found"] = Vector("string", [f["found"] for f in found])
    columns["hint"] = Vector("string", [f.get("hint", "") for f in found])
    return data_frame(columns, len(found))
