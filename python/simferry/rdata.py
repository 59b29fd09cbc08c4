"""R's own serialisation: what `serialize` and `saveRDS` write, and the vectors, lists and data frames that R is given.

R reads and writes it at the speed of its memory, and every bit survives: NA and NaN, integers, logicals and strings with
NA, factors, dates, times, lists. The format is described in "R Internals", section 1.8. Reading it runs nothing.

    bytes of R -> decode -> Vector (or None)            Python values, numpy arrays, tables -> encode -> bytes for R
    bytes of R -> decode_any -> Vector, Other or None   calls, functions and environments are named, not rebuilt
"""

import codecs
import contextlib
import math
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .worker import blocks
from .worker.blocks import NA_DOUBLE, NA_INTEGER

_HEADER = b"B\n" + struct.pack("<3i", 2, 0x40202, 0x20300)
_TYPES = {"logical": 10, "integer": 13, "double": 14, "complex": 15, "string": 16, "list": 19, "raw": 24}
_KINDS = {number: kind for kind, number in _TYPES.items()}
_DTYPES: dict[str, np.dtype[Any]] = {
    "logical": np.dtype("<i4"),
    "integer": np.dtype("<i4"),
    "double": np.dtype("<f8"),
    "complex": np.dtype("<c16"),
    "raw": np.dtype("u1"),
}
_NULL, _REFERENCE, _SYMBOL, _PAIRLIST, _CHAR = (0, 254), 255, 1, 2, 9
_ENVIRONMENT, _POINTER, _WEAK, _S4, _EXPRESSION, _BYTECODE, _ALTREP = 4, 22, 23, 25, 20, 21, 238
_PAIRS = {2: "pairlist", 3: "function", 5: "promise", 6: "call", 17: "dots"}
_BUILTIN = (7, 8)
_NAMED_SPACES = (248, 249, 250)  # persistent, namespace, package
_CONSTANTS = {241: "environment", 242: "environment", 247: "environment", 253: "environment", 251: "missing argument"}
_BYTECODE_PAIRS = {2: False, 6: False, 239: True, 240: True}  # with attributes?
_REPEATED, _TO_REPEAT = 243, 244
_OBJECT, _ATTRIBUTES, _TAG = 0x100, 0x200, 0x400
_LATIN1, _UTF8 = 1 << 14, 1 << 15
_UTF8_OR_ASCII = _UTF8 | 1 << 18


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


@dataclass
class Other:
    """What is no vector or list: a call, a function, an environment, an S4 object."""

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<R {self.kind}>"


# ---- from R ----


def decode(data: "bytes | bytearray | memoryview") -> Vector | None:
    """Raises NotPlain for what is no vector, list or data frame."""
    found: Vector | None = _Reader(data, _refuse).item()
    return found


def decode_any(data: "bytes | bytearray | memoryview") -> "Vector | Other | None":
    """The same for every object, calls and the like as `Other`. Raises ValueError where the bytes are cut short or no object of R's."""
    try:
        found: Vector | Other | None = _Reader(data, lambda number: None).item()
    except (
        struct.error,
        LookupError,
        AttributeError,
        TypeError,
        ArithmeticError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ValueError(f"these bytes are no whole object of R's ({error})") from None
    return found


def _refuse(number: int) -> None:
    raise NotPlain(f"an R object of type {number}")


class _Reader:
    """not_plain: called with the type of what is no vector or list, before it is read."""

    def __init__(self, data: "bytes | bytearray | memoryview", not_plain: Callable[[int], None]) -> None:
        self.data = memoryview(data).toreadonly()
        self.not_plain = not_plain
        self.order = {b"B\n": "<", b"X\n": ">"}.get(bytes(self.data[:2]), "")
        self.int32 = struct.Struct(self.order + "i")
        self.dtypes = {kind: np.dtype(f"{self.order or '<'}{dtype.str[1:]}") for kind, dtype in _DTYPES.items()}
        self.encoding = "utf-8"
        self.references: list[Any] = []
        self.at = 2
        version = self.integer() if self.order and len(self.data) >= 6 else 0
        if version not in (2, 3):
            raise NotPlain("these bytes were not made by R's serialize() or saveRDS(), in binary, version 2 or 3")
        self.at = 14
        if version == 3:
            name = str(self.bytes(self.integer()), "ascii", "replace")
            with contextlib.suppress(LookupError):
                self.encoding = codecs.lookup(name).name

    def integer(self) -> int:
        self.at += 4
        return int(self.int32.unpack_from(self.data, self.at - 4)[0])

    def length(self) -> int:
        length = self.integer()
        return length if length != -1 else self.integer() << 32 | self.integer() & 0xFFFFFFFF

    def bytes(self, length: int) -> memoryview:
        self.at += length
        if length < 0 or self.at > len(self.data):
            raise ValueError("these bytes are cut short")
        return self.data[self.at - length : self.at]

    def item(self) -> Any:
        flags = self.integer()
        number = flags & 0xFF
        if number in _NULL:
            return None
        if number not in _KINDS:
            return self.other(flags, number)
        kind, length = _KINDS[number], self.length()
        if kind == "list":
            values: Any = [self.item() for _ in range(length)]
        elif kind == "string":
            values = self.texts(length)
        else:
            values = np.frombuffer(self.bytes(length * _DTYPES[kind].itemsize), self.dtypes[kind])
            if self.order == ">":
                values = values.astype(_DTYPES[kind])
        return Vector(kind, values, self.attributes() if flags & _ATTRIBUTES else {})

    def attributes(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while (flags := self.integer()) & 0xFF == _PAIRLIST:
            if flags & _ATTRIBUTES:
                self.attributes()
            tag = self.symbol(self.integer())
            out[tag] = self.item()
        return out

    def symbol(self, flags: int) -> str:
        if flags & 0xFF == _SYMBOL:
            self.references.append(self.text() or "NA")
            return str(self.references[-1])
        return str(self.references[(flags >> 8 or self.integer()) - 1])

    def text(self) -> str | None:
        return self.texts(1)[0]

    def texts(self, count: int) -> list[str | None]:
        """As many of those, in a loop that a column of a million can be read with."""
        head = struct.Struct(self.order + "2i").unpack_from
        data, at, native = self.data, self.at, self.encoding
        out: list[str | None] = []
        for _ in range(count):
            flags, length = head(data, at)
            at += 8
            if length < 0:
                out.append(None)
                continue
            encoding = "utf-8" if flags & _UTF8_OR_ASCII else "latin-1" if flags & _LATIN1 else native
            out.append(str(data[at : at + length], encoding, "surrogateescape"))
            at += length
        self.at = at
        self.bytes(0)  # are there so many?
        return out

    # ---- what is no vector ----

    def other(self, flags: int, number: int) -> Any:
        if number == _ALTREP:
            return self.compact()
        self.not_plain(number)
        if number == _REFERENCE:
            found = self.references[(flags >> 8 or self.integer()) - 1]
            return Other("symbol") if isinstance(found, str) else found
        if number in _CONSTANTS:
            return Other(_CONSTANTS[number])
        if number == _SYMBOL:
            self.symbol(flags)
            return Other("symbol")
        if number in _PAIRS:
            return self.pairs(flags, number)
        if number == _EXPRESSION:
            for _ in range(self.length()):
                self.item()
            found = Other("expression")
        elif number in _BUILTIN:
            self.bytes(self.integer())
            found = Other("function")
        elif number in _NAMED_SPACES:
            self.integer()
            for _ in range(self.integer()):
                self.text()
            self.references.append(Other("environment"))
            return self.references[-1]
        elif number == _ENVIRONMENT:
            self.integer()
            self.references.append(Other("environment"))
            place = len(self.references) - 1
            for _ in range(4):
                self.item()
            return self.references[place]
        elif number in (_POINTER, _WEAK):
            found = Other("external pointer" if number == _POINTER else "weak reference")
            self.references.append(found)
            for _ in range(2 if number == _POINTER else 0):
                self.item()
        elif number == _S4:
            found = Other("S4 object")
        elif number == _BYTECODE:
            self.integer()
            self.bytecode()
            found = Other("bytecode")
        else:
            raise NotPlain(f"an R object of type {number}")
        if flags & _ATTRIBUTES:
            found.attributes = self.attributes()
        return found

    def pairs(self, flags: int, number: int) -> Any:
        """Pairs of a value and what follows. A pairlist is a list; of the others it is known what they are."""
        names: list[str | None] = []
        values: list[Any] = []
        kind = first = number
        attributes: dict[str, Any] = {}
        while kind in _PAIRS:
            if flags & _ATTRIBUTES:
                attributes |= self.attributes()
            tag = None
            if flags & _TAG:
                tag = self.symbol(f) if (f := self.integer()) & 0xFF in (_SYMBOL, _REFERENCE) else self.rest(f)
            names.append(tag if isinstance(tag, str) else "")
            values.append(self.item())
            flags = self.integer()
            kind = flags & 0xFF
        self.rest(flags)
        if first != _PAIRLIST:
            return Other(_PAIRS[first], attributes)
        return Vector("list", values, {"names": _texts(names)} if any(names) else {})

    def rest(self, flags: int) -> Any:
        """The item whose flags were read."""
        self.at -= 4
        return self.item()

    def compact(self) -> Any:
        """What R holds in another form in memory (ALTREP): sequences, numbers whose text is not made yet, wrapped vectors."""
        about, state, attributes = self.item_of_class(), self.item(), self.integer()
        if about in ("compact_intseq", "compact_realseq"):
            count, start, step = state.values.tolist()
            if not (0 <= count < 2**31 and abs(start) < 2**53 and abs(step) == 1):
                raise ValueError("a sequence that R does not make")
            kind = "integer" if about == "compact_intseq" else "double"
            found = Vector(kind, (start + step * np.arange(int(count))).astype(_DTYPES[kind]))
        elif about == "deferred_string":
            found = Vector("string", [None if v is None else _as_character(v) for v in state.values[0].elements()])
        elif about.startswith("wrap_"):
            found = state.values[0]
        else:
            raise NotPlain(f"an R vector of the class {about}")
        if attributes & 0xFF == _PAIRLIST:
            self.at -= 4
            found = Vector(found.kind, found.values, self.attributes())
        return found

    def item_of_class(self) -> str:
        """The first symbol of a pairlist of symbols and a number."""
        out = ""
        while self.integer() & 0xFF == _PAIRLIST:
            inner = self.integer()
            if inner & 0xFF in (_SYMBOL, _REFERENCE):
                symbol = self.symbol(inner)
                out = out or symbol
            else:
                self.rest(inner)
        return out

    def bytecode(self) -> None:
        """Compiled functions: what they are made of is skipped."""
        self.item()
        for _ in range(self.integer()):
            kind = self.integer()
            if kind == _BYTECODE:
                self.bytecode()
            elif kind in _BYTECODE_PAIRS or kind in (_REPEATED, _TO_REPEAT):
                self.bytecode_pairs(kind)
            else:
                self.item()

    def bytecode_pairs(self, kind: int) -> None:
        while True:
            if kind == _REPEATED:
                self.integer()
                return
            if kind == _TO_REPEAT:
                self.integer()
                kind = self.integer()
            if kind not in _BYTECODE_PAIRS:
                self.item()
                return
            if _BYTECODE_PAIRS[kind]:
                self.item()
            self.item()
            self.bytecode_pairs(self.integer())
            kind = self.integer()


def _as_character(number: float) -> str:
    """As R's as.character() has it: 15 digits, and the shorter of 100 and 1e+02."""
    if isinstance(number, int) or not math.isfinite(number):
        return blocks.as_text(number)
    digits = f"{number:.14e}".partition("e")[0].rstrip("0").rstrip(".")
    exponent = int(f"{number:.14e}".partition("e")[2])
    places = max(len(digits.lstrip("-").replace(".", "")) - 1 - exponent, 0)
    fixed, scientific = f"{number:.{places}f}", f"{digits}e{exponent:+03d}"
    return fixed if len(fixed) <= len(scientific) else scientific


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
    value = value if value is None or isinstance(value, (Vector, _Strings)) else vector(value)
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


def vector(value: Any) -> Any:
    """What `encode` makes of one value: a Vector or its like. Raises TypeError for what R has nothing like."""
    if isinstance(value, (bool, np.bool_)):
        return Vector("logical", np.array([value], dtype="<i4"))
    if isinstance(value, (int, np.integer)):
        small = abs(int(value)) < 2**31
        return Vector("integer" if small else "double", np.array([value]))
    if isinstance(value, (float, np.floating)):
        return Vector("double", np.array([value]))
    if isinstance(value, (complex, np.complexfloating)):
        return Vector("complex", np.array([value]))
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
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return _array(value)
    if hasattr(value, "num_chunks"):
        return _arrow(value)
    if hasattr(value, "dtype") and hasattr(value, "to_frame"):
        return _series(value)
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
    if values.dtype.kind in "fc":
        return Vector("double" if values.dtype.kind == "f" else "complex", values)
    small = len(values) == 0 or (values.min() > -(2**31) and values.max() < 2**31)
    return Vector("integer" if small else "double", values)


def _series(series: Any) -> Any:
    """A pandas column; a NaN stays one. Objects of many kinds are a list."""
    import pandas as pd
    import pyarrow as pa

    if getattr(series.dtype, "kind", "O") in "biufc" and isinstance(series.dtype, np.dtype):
        return _array(series.to_numpy())
    try:
        return _arrow(pa.chunked_array([pa.array(series, from_pandas=True)]))
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        if series.dtype != object:
            raise
        return Vector("list", [None if v is None or v is pd.NA else v for v in series])


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
    if pa.types.is_dictionary(kind) and kind.value_type in (pa.string(), pa.large_string()):
        codes = array.indices.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False) + np.int32(1)
        codes[missing] = NA_INTEGER
        classes = ["ordered", "factor"] if kind.ordered else ["factor"]
        return Vector("integer", codes, {"levels": _texts(array.dictionary.to_pylist()), "class": _texts(classes)})
    if pa.types.is_date(kind):
        days = array.cast(pa.date32()).cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype("<f8")
        days[missing] = NA_DOUBLE
        return Vector("double", days, {"class": _texts(["Date"])})
    if pa.types.is_timestamp(kind):
        ticks = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        seconds = ticks / {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        seconds[missing] = NA_DOUBLE
        # a time without a zone keeps the hour that it shows
        return Vector("double", seconds, {"class": _texts(["POSIXct", "POSIXt"]), "tzone": _texts([kind.tz or "UTC"])})
    raise TypeError(f"R has no column like {kind}")
