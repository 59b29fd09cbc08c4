"""Reads .rds and .RData into rows. simferry's own reader runs no code of the file."""

from typing import Any

from ..r.serialization import Other, Vector, decode_any
from ..r.values import from_r, scalars
from ..worker.forms import ListCell
from ..worker.rows import as_rows

MOST_VALUES = 10_000_000
Rows = dict[str, list[Any]]
_READ = "Data frames, vectors and lists of them are read"


def read_r(data: bytes) -> Rows:
    """The rows of a file of saveRDS() or save(), decompressed. Raises ValueError if it holds something else."""
    try:
        if data.startswith(b"RDX"):
            found = decode_any(data[5:])
            return _of_objects(dict(found.items()) if isinstance(found, Vector) else {})
        return rows_of(decode_any(data))
    except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        # a container may write anything
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from None


def _of_objects(objects: dict[str, Any]) -> Rows:
    """The objects of one save(): one of them; single values; or one table, with single values that are repeated in each row."""
    # save.image() writes those too
    objects = {n: v for n, v in objects.items() if n != ".Random.seed" and not _is_code(v)}
    single = {name: value for name, value in objects.items() if _is_single(value)}
    others = {name: value for name, value in objects.items() if name not in single}
    if len(objects) == 1 and others:
        return rows_of(next(iter(others.values())))
    if len(others) > 1 or not objects:
        held = ", ".join(f"{name} ({described(value)})" for name, value in objects.items())
        raise ValueError(
            f"it holds {held or 'no object with values'}, and no single table. "
            "save(results, file = ...) writes the one object that is to be read"
        )
    rows = {name: [from_r(value)] for name, value in single.items()}
    if not others:
        return rows
    name, value = next(iter(others.items()))
    table = rows_of(value)
    if _is_bare(value):  # value_1, ... would not tell whose they are
        table = {label.replace("value", name, 1): values for label, values in table.items()}
    if twice := sorted(set(table) & set(rows)):
        raise ValueError(f"it holds {twice[0]} twice: as an object, and as a column of {name}")
    count = len(next(iter(table.values()), []))
    return {**table, **{name: values * count for name, values in rows.items()}} if table else {}


def rows_of(value: Any) -> Rows:
    """The columns of an R object, as of what a function returns. Raises ValueError if it is no table."""
    if isinstance(value, Vector):
        _check_size(value)
        if value.kind == "list" and not _shape(value):
            return _of_frame(value) if "data.frame" in value.classes else _of_list(value)
        if len(shape := _shape(value)) == 2 and value.kind not in ("raw", "complex"):
            if value.kind == "list" and not all(_is_single(v) for v in value.values):
                raise ValueError(f"it holds a matrix of lists. {_READ}")
            return _of_matrix(value, shape)
        if len(shape) < 2 and value.kind not in ("list", "raw", "complex"):
            found = as_rows(from_r(value))
            if found is not None:
                return found
    if value is None:
        return {}
    raise ValueError(f"it holds {described(value)}. {_READ}")


def _of_frame(value: Vector) -> Rows:
    out: Rows = {}
    for name, column in value.items():
        if name in out:
            raise ValueError(f"it holds two columns named {name!r}")
        if (
            isinstance(column, Vector)
            and column.kind == "list"
            and all(v is None or _is_plain(v) for v in column.values)
        ):
            out[name] = [None if v is None else ListCell(_elements(v)) for v in column.values]
            continue
        if not isinstance(column, Vector) or column.kind in ("list", "raw") or len(_shape(column)) > 2:
            raise ValueError(f"column {name} of its data frame is {described(column)}, and no vector")
        if len(shape := _shape(column)) == 2:  # as aggregate() makes; write.csv() names its columns so
            parts = _of_matrix(Vector(column.kind, column.values, column.attributes), shape)
            named = {f"{name}.{part}": values for part, values in parts.items() if part != "row_name"}
            if twice := sorted(set(named) & set(out)):
                raise ValueError(f"it holds two columns named {twice[0]!r}")
            out |= named
        else:
            out[name] = _elements(column)
    labels = value.attributes.get("row.names")
    if out and isinstance(labels, Vector) and labels.kind == "string":  # numbers are R's own
        out = {_free("row_name", out): labels.elements(), **out}
    return out


def _of_list(value: Vector) -> Rows:
    if value.classes:
        raise ValueError(f"it holds {described(value)}. {_READ}")
    items = [(name, v) for name, v in value.items() if v is not None]
    names = [name for name, _ in items if name]
    if all(map(_is_bare, (v for _, v in items))) and (twice := [n for n in names if names.count(n) > 1]):
        raise ValueError(f"it holds two vectors named {twice[0]!r}")
    if all(_is_single(v) for _, v in items):
        return as_rows(from_r(Vector("list", [v for _, v in items], _names([n for n, _ in items])))) or {}
    lengths = {len(v) for _, v in items if _is_bare(v)}
    if all(name and _is_bare(v) for name, v in items) and len(lengths) == 1:  # as data.frame() makes of it
        return {name: _elements(v) for name, v in items}
    if len({_is_table(v) for _, v in items}) > 1:
        held = ", ".join(f"{name or 'without a name'} ({described(v)})" for name, v in items)
        raise ValueError(f"it holds a list of {held}. {_READ}, but not of both kinds")
    parts = [(name, rows_of(v)) for name, v in items]
    labels = list(dict.fromkeys(label for _, part in parts for label in part))
    out: Rows = {label: [] for label in labels}
    named: list[Any] = []
    for name, part in parts:
        count = len(next(iter(part.values()), []))
        named += [name] * count
        for label in labels:
            out[label] += part.get(label, [None] * count)
    return {_free("row_name", out): named, **out} if any(named) else out


def _of_matrix(value: Vector, shape: list[int]) -> Rows:
    count, width = shape
    labels = value.attributes.get("dimnames")
    rows, columns = (v.elements() if v is not None else [] for v in labels.values) if labels is not None else ([], [])
    names = [name or f"V{i + 1}" for i, name in enumerate(columns)] or [f"V{i + 1}" for i in range(width)]
    if len(set(names)) < width:
        raise ValueError(f"its matrix has {width} columns with {len(set(names))} names")
    flat = _elements(value)
    out = {name: flat[i * count : (i + 1) * count] for i, name in enumerate(names)}
    return {_free("row_name", out): rows, **out} if rows else out


def described(value: Any) -> str:
    """An R object in words, for messages."""
    if isinstance(value, Other):
        return f"{'an' if value.kind[0] in 'aeiouS' else 'a'} {value.kind}"
    if value is None:
        return "NULL"
    if "data.frame" in value.classes:
        return "a data frame"
    if value.classes and value.kind == "list":
        return f"an object of class {value.classes[0]}"
    if len(shape := _shape(value)) > 1:
        return f"an array of {' x '.join(map(str, shape))}"
    if value.kind in ("complex", "raw"):
        return f"a vector of type {value.kind}"
    if value.kind == "list":
        return f"a list of {len(value)}: {', '.join(sorted({described(v) for v in value.values}))}"[:200]
    return "one value" if len(value) == 1 else f"a vector of {len(value)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, Vector) and ("data.frame" in value.classes or len(_shape(value)) == 2)


def _check_size(value: Vector) -> None:
    """A few bytes can stand for a long sequence."""
    if len(value) > MOST_VALUES:
        raise ValueError(f"it holds a vector of {len(value):,} values; at most {MOST_VALUES:,} are read")


def _is_code(value: Any) -> bool:
    return isinstance(value, Other) and value.kind in ("function", "environment", "call", "symbol")


def _is_bare(value: Any) -> bool:
    """Whether it is a vector without names and dimensions."""
    return isinstance(value, Vector) and value.kind not in ("list", "raw") and not value.names and not _shape(value)


def _is_plain(value: Any) -> bool:
    return _is_bare(value) and value.kind != "complex" and not value.classes


def _is_single(value: Any) -> bool:
    return _is_bare(value) and len(value) == 1


def _shape(value: Vector) -> list[int]:
    found = value.attributes.get("dim")
    return found.values.tolist() if isinstance(found, Vector) and found.kind == "integer" else []


def _names(names: list[str]) -> dict[str, Vector | None]:
    return {"names": Vector("string", list(names))} if any(names) else {}


def _elements(value: Vector) -> list[Any]:
    """The values of a vector; R's NA of a double stays the NaN that it is."""
    _check_size(value)
    if value.kind == "list":  # of single values
        return [_elements(v)[0] for v in value.values]
    if value.kind == "double" and not value.classes:
        return list(value.values.tolist())
    if not value.classes:
        return value.elements()
    if "factor" in value.classes:
        levels = value.texts("levels")
        return [None if code is None else levels[code - 1] for code in Vector(value.kind, value.values).elements()]
    return scalars(value)


def _free(name: str, taken: Rows) -> str:
    number = 0
    first = name
    while name in taken:
        number += 1
        name = f"{first}_{number}"
    return name
