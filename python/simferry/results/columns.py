"""Joins columns of several blocks and converts them to Arrow. Doubles keep every bit (NA is the NaN with low word 1954, as in R)."""

import contextlib
import dataclasses
import zoneinfo

import numpy as np
import pyarrow as pa

from ..errors import StoreError
from ..worker import blocks
from ..worker.blocks import Column
from ..worker.forms import common_form, common_levels, text_of

KINDS = ("logical", "integer", "double", "string")  # each holds all values of those before it
ARROW_TYPES = {"double": pa.float64(), "integer": pa.int32(), "logical": pa.bool_(), "string": pa.string()}
_DOUBLE = pa.float64()
SECONDS = {b"simferry.form": b"seconds"}  # metadata of a column that holds durations, in seconds


def unified(columns: list[Column]) -> Column:
    """Joins columns of several blocks; the result has the narrowest kind that holds all values."""
    if len(columns) == 1:
        return columns[0]
    if {(c.kind, c.form) for c in columns} == {("double", "")}:  # of which there may be thousands
        return Column("double", np.concatenate([c.values for c in columns]))
    columns = widened(columns)
    values, text = np.concatenate([c.values for c in columns]), b"".join(c.text for c in columns)
    return dataclasses.replace(columns[0], values=values, text=text)


def widened(columns: list[Column]) -> list[Column]:
    """The columns with one kind and one form, that of the narrowest column that holds all values."""
    if len(columns) == 1 and not columns[0].form:
        return columns
    if any(c.is_list for c in columns):
        return _of_lists(columns)
    if any(c.form for c in columns):
        return _of_one_form(columns)
    kind = max((c.kind for c in columns), key=KINDS.index)
    return [as_kind(c, kind) for c in columns]


def _of_lists(columns: list[Column]) -> list[Column]:
    """The same where some hold lists: single values beside them are lists of one, missing ones missing lists."""
    parts = [blocks.unlisted(c) if c.is_list else _lists_of_one(c) for c in columns]
    elements = widened([elements for _, elements in parts])
    return [blocks.lists(lengths, some) for (lengths, _), some in zip(parts, elements, strict=True)]


def _lists_of_one(column: Column) -> tuple[np.ndarray, Column]:
    column = as_kind(column, "string") if column.form else column
    there = ~_missing(column)
    if column.kind == "string":
        elements = blocks.strings([v for v in column.strings() if v is not None])
    else:
        elements = Column(column.kind, column.values[there])
    return np.where(there, 1, -1), elements


def _of_one_form(columns: list[Column]) -> list[Column]:
    """The same where some stand for more than their kind. What has no value at all takes the form of the others."""
    known = [c for c in columns if not _missing(c).all()] or [c for c in columns if c.form]
    forms = {c.form for c in known}
    form = "" if "" in forms else common_form(forms, {c.levels for c in known})
    plain = None
    if forms == {"", "long"}:
        form, plain = _with_longs(known)
    elif not form:
        plain = None if forms <= {"", "seconds"} else "string"
    if form:
        levels = common_levels({c.levels for c in known})
        kind = blocks.FORMS[form.partition(" ")[0]]
        each = [_stored(c, form) if any(c is k for k in known) else nothing(kind, len(c.values)) for c in columns]
        return [dataclasses.replace(c, form=form, levels=levels) for c in each]
    kind = plain or max((c.kind for c in known), key=KINDS.index)
    each = [as_kind(c, kind) if any(c is k for k in known) else nothing(kind, len(c.values)) for c in columns]
    return [dataclasses.replace(c, form="", levels=()) for c in each]


def _with_longs(columns: list[Column]) -> tuple[str, str | None]:
    """The form, or the kind, of 64-bit integers and other numbers: whichever holds all of them exactly."""
    others = [c for c in columns if not c.form]
    if any(c.kind == "string" for c in others):
        return "", "string"
    numbers = np.concatenate([c.values[~_missing(c)] for c in others if c.kind == "double"] or [np.empty(0)])
    if (np.isfinite(numbers) & (numbers == np.trunc(numbers)) & (abs(numbers) <= 2**53)).all():
        return "long", None
    exact = all(int(float(v)) == int(v) for c in columns if c.form for v in c.strings() if v is not None)
    return "", "double" if exact else "string"


def _missing(column: Column) -> np.ndarray:
    if column.kind in ("string", "raw"):
        return np.asarray(column.values < 0)
    if column.kind == "double":
        return np.asarray(np.isnan(column.values) & (column.values.view("<u4")[::2] == 1954))  # R's NA
    return np.asarray(column.values == blocks.NA_INTEGER)


is_missing = _missing


def nothing(kind: str, rows: int) -> Column:
    """A column of missing values."""
    if kind == "double":
        return blocks.numbers(kind, np.full(rows, blocks.NA_DOUBLE))
    return Column(kind, np.full(rows, -1 if kind == "string" else blocks.NA_INTEGER, dtype="<i4"))


def _stored(column: Column, form: str) -> Column:
    """A column as one of a form that holds its values."""
    if form != "long" or column.form:
        return column
    given = as_kind(column, "double").values.tolist()
    return blocks.strings([None if na else str(int(v)) for v, na in zip(given, _missing(column).tolist(), strict=True)])


def as_kind(column: Column, kind: str) -> Column:
    if column.kind == kind and not (column.form and kind == "string"):
        return column
    if kind == "string":
        stored = column.strings() if column.kind == "string" else column.values.tolist()
        if column.kind == "logical":
            stored = [bool(v) for v in stored]
        rows = zip(_missing(column).tolist(), stored, strict=True)
        return blocks.strings([None if na else text_of(column.form, v) for na, v in rows])
    if kind == "double":
        if column.kind == "string":  # digits
            return blocks.numbers(kind, [blocks.NA_DOUBLE if v is None else float(v) for v in column.strings()])
        values = column.values.astype("<f8")
        values[column.values == blocks.NA_INTEGER] = blocks.NA_DOUBLE
        return Column(kind, values)
    return Column(kind, column.values)


def wrong_form(table: blocks.Table) -> str:
    """What is wrong with the forms of a table's columns; empty if nothing is."""
    for name, column in table.columns.items():
        if not (form := column.form):
            continue
        texts = column.strings() if form in ("long", "factor", "ordered") else []
        known = [text for text in texts if text is not None]
        try:
            if column.is_list:
                blocks.unlisted(column)
            elif form == "long":
                pa.array([int(text) for text in known], pa.int64())
            elif not set(known) <= set(column.levels):
                raise ValueError("a level is missing")
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError, pa.ArrowException) as error:
            return f"its output {name!r} is no {form} ({error})"
    return ""


def as_table(columns: dict[str, Column], order: np.ndarray | None = None) -> pa.Table:
    """Columns as a pyarrow.Table, those of durations with SECONDS as metadata. order: numbers of the rows to take, from 0."""
    arrays = [as_arrow(column) if order is None else _taken(column, order) for column in columns.values()]
    if all(column.form != "seconds" for column in columns.values()):
        return pa.table(arrays, names=list(columns))
    fields = [
        pa.field(name, array.type, metadata=SECONDS if column.form == "seconds" else None)
        for (name, column), array in zip(columns.items(), arrays, strict=True)
    ]
    return pa.table(arrays, schema=pa.schema(fields))


def _taken(column: Column, order: np.ndarray) -> pa.Array:
    if column.kind == "double" and not column.form:
        return as_arrow(Column("double", column.values[order]))
    return as_arrow(column).take(pa.array(order))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column of this type holds numbers or logicals."""
    floating = kind == _DOUBLE or pa.types.is_floating(kind)  # thousands may be doubles
    return bool(floating or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def is_seconds(table: pa.Table, name: str) -> bool:
    """Whether a column holds durations, in seconds."""
    return bool((table.schema.field(name).metadata or {}).items() >= SECONDS.items())


def is_of_results(kind: pa.DataType) -> bool:
    """Whether an output may have this type."""
    simple = (*ARROW_TYPES.values(), pa.large_string(), pa.date32(), pa.int64())
    if pa.types.is_list(kind):
        return kind.value_type in ARROW_TYPES.values()
    if pa.types.is_dictionary(kind):
        return bool(kind.value_type == pa.string())
    return kind in simple or bool(pa.types.is_timestamp(kind))


def _as_formed(column: Column) -> pa.Array:
    form, _, detail = column.form.partition(" ")
    missing = _missing(column)
    if column.is_list:
        lengths, elements = blocks.unlisted(column)
        offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))])
        values = as_arrow(elements)
        if offsets[-1] >= 2**31 or pa.types.is_large_string(values.type):
            raise StoreError(
                "lists with more than two thousand million elements, or 2 GB of texts, do not fit a column"
            )
        made = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=pa.array(missing))
        return made
    if form in ("date", "time"):
        finite = np.isfinite(column.values) & (abs(column.values) < (4e6 if form == "date" else 9e12))
        values = np.where(finite, column.values, 0.0)
        if form == "date":
            return pa.array(np.floor(values).astype("i4"), pa.int32(), mask=~finite).cast(pa.date32())
        whole = np.floor(values)
        ticks = whole.astype("i8") * 1_000_000 + np.round((values - whole) * 1e6).astype("i8")
        return pa.array(ticks, pa.int64(), mask=~finite).cast(pa.timestamp("us", tz=_zone(detail) if detail else None))
    texts = column.strings()
    if form == "long":
        return pa.array([None if v is None else int(v) for v in texts], pa.int64())
    code: dict[str | None, int] = {level: i for i, level in reversed(list(enumerate(column.levels)))}
    codes = pa.array([code.get(v, 0) for v in texts], pa.int32(), mask=missing)
    return pa.DictionaryArray.from_arrays(codes, pa.array(column.levels, pa.string()), ordered=form == "ordered")


def _zone(name: str) -> str:
    """A time zone that is known here; UTC for others."""
    with contextlib.suppress(Exception):
        if (name[0] in "+-" and len(name) == 6) or zoneinfo.ZoneInfo(name):
            return name
    return "UTC"


def as_arrow(column: Column) -> pa.Array:
    if column.form and column.form != "seconds":
        return _as_formed(column)
    values = column.values
    if column.kind == "double":  # not by pa.array(), which loads pandas, and takes five times as long
        return pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
    if column.kind == "string":
        try:
            column.text.decode()
        except UnicodeDecodeError:
            return as_arrow(blocks.strings(column.strings()))
        sizes = np.maximum(values, 0)
        offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        wide = offsets[-1] >= 2**31
        return (pa.LargeStringArray if wide else pa.StringArray).from_buffers(
            len(values),
            pa.py_buffer(offsets.astype("<i8" if wide else "<i4")),
            pa.py_buffer(column.text),
            _validity(values >= 0),
        )
    validity = _validity(values != blocks.NA_INTEGER)
    if column.kind == "logical":
        bits = np.packbits(values != 0, bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), len(values), [validity, pa.py_buffer(bits)])
    return pa.Array.from_buffers(pa.int32(), len(values), [validity, pa.py_buffer(values)])


def plain_rows(table: blocks.Table) -> pa.Table:
    """A block's table as a pyarrow.Table."""
    return as_table(table.columns)


def _validity(valid: np.ndarray) -> pa.Buffer | None:
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little").tobytes())
