"""R's own serialisation, `serialize(x, NULL, xdr = FALSE, version = 2)`: the vectors, lists and data frames of it.

R reads and writes it at the speed of its memory, and every bit survives: NA and NaN, integers, logicals and strings with
NA, factors, dates, times, lists. The format is described in "R Internals", section 1.8.

    bytes of R -> decode -> Vector (or None)            Python values, numpy arrays, tables -> encode -> bytes for R
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .worker.blocks import NA_DOUBLE, NA_INTEGER

_HEADER = b"B\n" + struct.pack("<3i", 2, 0x40202, 0x20300)
_TYPES = {"logical": 10, "integer": 13, "double": 14, "string": 16, "list": 19, "raw": 24}
_KINDS = {number: kind for kind, number in _TYPES.items()}
_DTYPES: dict[str, np.dtype[Any]] = {
    "logical": np.dtype("<i4"),
    "integer": np.dtype("<i4"),
    "double": np.dtype("<f8"),
    "raw": np.dtype("u1"),
}
_NULL, _REFERENCE, _SYMBOL, _PAIRLIST, _CHAR = (0, 254), 255, 1, 2, 9
_OBJECT, _ATTRIBUTES, _TAG = 0x100, 0x200, 0x400
_LATIN1, _UTF8 = 1 << 14, 1 << 15


class NotPlain(ValueError):
    """A kind of R object that is no vector, list or data frame."""


@dataclass
class Vector:
    """An R vector. values: a numpy array; for strings a list of str and None, for lists one of Vector and None."""

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
        """A list's elements with their names."""
        return list(zip(self.names or [""] * len(self), self.values, strict=True))

    def plain(self) -> Any:
        """As Python would have it: one value as itself, several as a list, a list with names as a dict; NA is None."""
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
        """Which values are NA; NaN is not."""
        if self.kind == "double":
            return np.isnan(self.values) & (self.values.view("<u4")[::2] == 1954)
        if self.kind == "string":
            return np.array([v is None for v in self.values], dtype=bool)
        return self.values == NA_INTEGER if self.kind in ("integer", "logical") else np.zeros(len(self), dtype=bool)


# ---- from R ----


def decode(data: "bytes | bytearray | memoryview") -> Vector | None:
    """Raises NotPlain for what is no vector, list or data frame."""
    return _Reader(data).top()


class _Reader:
    def __init__(self, data: "bytes | bytearray | memoryview") -> None:
        self.data = memoryview(data).toreadonly()
        self.at = 14
        self.symbols: list[str] = []
        if bytes(self.data[:2]) != b"B\n" or struct.unpack_from("<i", self.data, 2)[0] != 2:
            raise NotPlain("these bytes were not made by serialize(x, NULL, xdr = FALSE, version = 2)")

    def top(self) -> Vector | None:
        return self.item(self.integer())

    def integer(self) -> int:
        self.at += 4
        return int(struct.unpack_from("<i", self.data, self.at - 4)[0])

    def length(self) -> int:
        length = self.integer()
        return length if length != -1 else self.integer() << 32 | self.integer() & 0xFFFFFFFF

    def bytes(self, length: int) -> memoryview:
        self.at += length
        return self.data[self.at - length : self.at]

    def item(self, flags: int) -> Vector | None:
        number = flags & 0xFF
        if number in _NULL:
            return None
        if number not in _KINDS:
            raise NotPlain(f"an R object of type {number}")
        kind, length = _KINDS[number], self.length()
        if kind == "list":
            values: Any = [self.item(self.integer()) for _ in range(length)]
        elif kind == "string":
            values = [self.text() for _ in range(length)]
        else:
            values = np.frombuffer(self.bytes(length * _DTYPES[kind].itemsize), _DTYPES[kind])
        return Vector(kind, values, self.attributes() if flags & _ATTRIBUTES else {})

    def attributes(self) -> dict[str, Vector | None]:
        out: dict[str, Vector | None] = {}
        while (flags := self.integer()) & 0xFF == _PAIRLIST:
            if flags & _ATTRIBUTES:
                self.attributes()
            tag = self.integer()
            if tag & 0xFF == _SYMBOL:
                self.symbols.append(self.text() or "NA")
                name = self.symbols[-1]
            else:
                name = self.symbols[(tag >> 8 or self.integer()) - 1]
            out[name] = self.item(self.integer())
        return out

    def text(self) -> str | None:
        flags, length = self.integer(), self.integer()
        if length < 0:
            return None
        return str(self.bytes(length), "latin-1" if flags & _LATIN1 else "utf-8", "surrogateescape")


# ---- to R ----


def encode(value: Any) -> bytearray:
    """Python values as R has them: None is NULL, a dict a named list, a numpy array, pandas.DataFrame or pyarrow.Table what R
    has of that kind; a list of texts is a character vector, any other one a list."""
    parts: list[Any] = [_HEADER]
    _write(parts, value)
    return bytearray().join(parts)


def data_frame(columns: Mapping[str, Any], rows: int, classes: Iterable[str] = ()) -> Vector:
    """columns: anything that `encode` makes a vector of."""
    return Vector(
        "list",
        list(columns.values()),
        {
            "names": _texts(columns),
            "class": _texts([*classes, "data.frame"]),
            "row.names": Vector("integer", np.array([NA_INTEGER, -rows], dtype="<i4")),
        },
    )


def _texts(values: Iterable[str | None]) -> Vector:
    return Vector("string", list(values))


def _write(parts: list[Any], value: Any) -> None:
    value = value if value is None or isinstance(value, (Vector, _Strings)) else _vector(value)
    if value is None:
        parts.append(struct.pack("<i", 254))
        return
    flags = _TYPES[value.kind]
    if value.attributes:
        flags |= _ATTRIBUTES | (_OBJECT if "class" in value.attributes else 0)
    length = len(value)
    sizes = (length,) if length < 2**31 else (-1, length >> 32, length & 0xFFFFFFFF)
    parts.append(struct.pack("<i", flags) + struct.pack(f"<{len(sizes)}i", *sizes))
    if value.kind == "list":
        for item in value.values:
            _write(parts, item)
    elif isinstance(value, _Strings):
        parts.append(value.bytes())
    elif value.kind == "string":
        parts += [_char(text) for text in value.values]
    else:
        parts.append(np.ascontiguousarray(value.values, _DTYPES[value.kind]).tobytes())
    if value.attributes:
        for name, attribute in value.attributes.items():
            parts.append(struct.pack("<2i", _PAIRLIST | _TAG, _SYMBOL) + _char(name))
            _write(parts, attribute)
        parts.append(struct.pack("<i", 254))


def _char(text: str | None) -> bytes:
    if text is None:
        return struct.pack("<2i", _CHAR, -1)
    data = text.encode("utf-8", "surrogateescape").replace(b"\0", b"")  # which R's strings can't hold
    return struct.pack("<2i", _CHAR | _UTF8, len(data)) + data


@dataclass
class _Strings:
    """Many strings at once, as Arrow keeps them."""

    offsets: np.ndarray
    data: np.ndarray
    missing: np.ndarray
    kind: str = "string"
    attributes: dict[str, Vector | None] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.missing)

    def bytes(self) -> bytes:
        """Each string's flags, length and bytes, without a loop over them."""
        sizes = np.diff(self.offsets)
        heads = np.empty((len(sizes), 2), dtype="<i4")
        heads[:, 0] = np.where(self.missing, _CHAR, _CHAR | _UTF8)
        heads[:, 1] = np.where(self.missing, -1, sizes)
        out = np.empty(8 * len(sizes) + len(self.data), dtype="u1")
        is_text = np.ones(len(out), dtype=bool)
        starts = self.offsets[:-1] - self.offsets[0] + 8 * np.arange(len(sizes))
        for i, column in enumerate(heads.view("u1").reshape(-1, 8).T):
            out[starts + i] = column
            is_text[starts + i] = False
        out[is_text] = self.data
        return out.tobytes()


def _vector(value: Any) -> Any:
    if isinstance(value, (bool, np.bool_)):
        return Vector("logical", np.array([value], dtype="<i4"))
    if isinstance(value, (int, np.integer)):
        small = abs(int(value)) < 2**31
        return Vector("integer" if small else "double", np.array([value]))
    if isinstance(value, (float, np.floating)):
        return Vector("double", np.array([value]))
    if isinstance(value, str):
        return _texts([value])
    if isinstance(value, (bytes, bytearray)):
        return Vector("raw", np.frombuffer(value, "u1"))
    if isinstance(value, Mapping):
        return Vector("list", list(value.values()), {"names": _texts(str(k) for k in value)} if value else {})
    if isinstance(value, (list, tuple)):
        if value and all(v is None or isinstance(v, str) for v in value):
            return _texts(value)
        return Vector("list", list(value))
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return _array(value)
    if hasattr(value, "num_chunks"):
        return _arrow(value)
    if hasattr(value, "column_names"):
        return data_frame({name: _arrow(value[name]) for name in value.column_names}, value.num_rows)
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        return data_frame({str(name): _series(value[name]) for name in value.columns}, len(value))
    if hasattr(value, "__fspath__"):
        return _texts([str(value)])
    raise TypeError(f"R has nothing like a {type(value).__name__}")


def _array(values: np.ndarray) -> Vector:
    if values.dtype.kind == "b":
        return Vector("logical", values)
    if values.dtype.kind == "f":
        return Vector("double", values)
    small = len(values) == 0 or (values.min() > -(2**31) and values.max() < 2**31)
    return Vector("integer" if small else "double", values)


def _series(series: Any) -> Any:
    """A pandas column; a NaN stays one."""
    import pyarrow as pa

    if getattr(series.dtype, "kind", "O") in "biuf" and isinstance(series.dtype, np.dtype):
        return _array(series.to_numpy())
    return _arrow(pa.chunked_array([pa.array(series, from_pandas=True)]))


def _arrow(column: Any) -> Any:
    """A column of an Arrow table; a null is NA."""
    import pyarrow as pa

    array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = array.type
    missing = array.is_null().to_numpy(zero_copy_only=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        _, offsets, data = array.buffers()
        if len(array) == 0 or offsets is None:
            return Vector("string", [])
        wide = np.dtype("<i8" if pa.types.is_large_string(kind) else "<i4")
        at = np.frombuffer(offsets, wide)[array.offset : array.offset + len(array) + 1].astype(np.int64)
        text = np.frombuffer(data, "u1")[at[0] : at[-1]] if data is not None else np.empty(0, "u1")
        if (np.diff(at)[missing] != 0).any() or not text.all():
            return _texts(array.to_pylist())
        return _Strings(at, text, missing)
    if pa.types.is_null(kind):
        return Vector("logical", np.full(len(array), NA_INTEGER, dtype="<i4"))
    if pa.types.is_floating(kind):
        values = array.fill_null(0.0).to_numpy(zero_copy_only=False).astype("<f8")
        values[missing] = NA_DOUBLE
        return Vector("double", values)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        logical = pa.types.is_boolean(kind)
        made = _array(array.fill_null(False if logical else 0).to_numpy(zero_copy_only=False))
        values = made.values.astype(_DTYPES[made.kind])
        values[missing] = NA_DOUBLE if made.kind == "double" else NA_INTEGER
        return Vector("logical" if logical else made.kind, values)
    raise TypeError(f"R has no column like {kind}")
