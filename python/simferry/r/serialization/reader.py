"""Reads the format of `serialize` and `saveRDS`."""

import codecs
import contextlib
import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from ...worker import blocks
from .vectors import ATTRIBUTES, DTYPES, KINDS, OBJECTS, PAIRLIST, SYMBOL, TAG, UTF8, NotPlain, Other, Vector, texts

_NULL, _REFERENCE = (0, 254), 255
_ENVIRONMENT, _POINTER, _WEAK, _S4, _EXPRESSION, _BYTECODE, _ALTREP = 4, 22, 23, 25, 20, 21, 238
_PROMISE = 5
_PAIRS = {2: "pairlist", 3: "function", _PROMISE: "promise", 6: "call", 17: "dots"}
_BUILTIN = (7, 8)
_NAMED_SPACES = (247, 248, 249)  # persistent, package, namespace
_CONSTANTS = {**dict.fromkeys((241, 242, 250, 253), "environment"), 251: "missing argument", 252: "unbound value"}
_BYTECODE_PAIRS = {2: False, 6: False, 239: True, 240: True}  # with attributes?
_REPEATED, _TO_REPEAT = 243, 244
_LATIN1 = 1 << 14
_LONGEST_SEQUENCE = 1 << 27  # a few bytes can stand for a long sequence
_UTF8_OR_ASCII = UTF8 | 1 << 18


def decode(data: "bytes | bytearray | memoryview") -> Vector | None:
    """The vector, list or data frame in R's bytes. Raises NotPlain for other objects."""
    found: Vector | None = _Reader(data, _refuse).item()
    return found


def decode_any(data: "bytes | bytearray | memoryview") -> "Vector | Other | None":
    """The same for all objects; calls and the like become `Other`. Raises ValueError if the bytes are not a complete object of R."""
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
        raise ValueError(f"these bytes are not a complete object of R ({error})") from None
    return found


def runs_code(data: "bytes | bytearray | memoryview") -> bool:
    """Whether R could run code when it reads an object: it has a promise, or its bytes are not a complete object."""
    kinds: set[int] = set()
    try:
        _Reader(data, kinds.add).item()
    except Exception:  # a stranger's bytes may cause any error
        return True
    return _PROMISE in kinds


def _refuse(number: int) -> None:
    raise NotPlain(OBJECTS.get(number, f"an R object of type {number}"))


class _Reader:
    """not_plain: called with the type number of an object that is not a vector or list, before it is read."""

    def __init__(self, data: "bytes | bytearray | memoryview", not_plain: Callable[[int], None]) -> None:
        self.data = memoryview(data).toreadonly()
        self.not_plain = not_plain
        self.order = {b"B\n": "<", b"X\n": ">"}.get(bytes(self.data[:2]), "")
        self.int32 = struct.Struct(self.order + "i")
        self.dtypes = {kind: np.dtype(f"{self.order or '<'}{dtype.str[1:]}") for kind, dtype in DTYPES.items()}
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
        if number not in KINDS:
            return self.other(flags, number)
        kind, length = KINDS[number], self.length()
        if kind == "list":
            values: Any = [self.item() for _ in range(length)]
        elif kind == "string":
            values = self.texts(length)
        else:
            values = np.frombuffer(self.bytes(length * DTYPES[kind].itemsize), self.dtypes[kind])
            if self.order == ">":
                values = values.astype(DTYPES[kind])
        return Vector(kind, values, self.attributes() if flags & ATTRIBUTES else {})

    def attributes(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        while (flags := self.integer()) & 0xFF == PAIRLIST:
            if flags & ATTRIBUTES:
                self.attributes()
            tag = self.symbol(self.integer())
            out[tag] = self.item()
        return out

    def symbol(self, flags: int) -> str:
        if flags & 0xFF == SYMBOL:
            self.references.append(self.text() or "NA")
            return str(self.references[-1])
        return str(self.references[(flags >> 8 or self.integer()) - 1])

    def text(self) -> str | None:
        return self.texts(1)[0]

    def texts(self, count: int) -> list[str | None]:
        """Read `count` strings, in a fast loop: a column may have a million."""
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
        self.bytes(0)  # raises an error if the end of the data was passed
        return out

    # ---- other objects ----

    def other(self, flags: int, number: int) -> Any:
        if number == _ALTREP:
            return self.compact()
        self.not_plain(number)
        if number == _REFERENCE:
            found = self.references[(flags >> 8 or self.integer()) - 1]
            return Other("symbol") if isinstance(found, str) else found
        if number in _CONSTANTS:
            return Other(_CONSTANTS[number])
        if number == SYMBOL:
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
            index = len(self.references) - 1
            for _ in range(4):
                self.item()
            return self.references[index]
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
            raise NotPlain(OBJECTS.get(number, f"an R object of type {number}"))
        if flags & ATTRIBUTES:
            found.attributes = self.attributes()
        return found

    def pairs(self, flags: int, number: int) -> Any:
        """Read a linked list. A pairlist becomes a list; functions, calls and the like become Other."""
        names: list[str | None] = []
        values: list[Any] = []
        kind = first = number
        attributes: dict[str, Any] = {}
        while kind in _PAIRS:
            if flags & ATTRIBUTES:
                attributes |= self.attributes()
            tag = None
            if flags & TAG:
                tag = self.symbol(f) if (f := self.integer()) & 0xFF in (SYMBOL, _REFERENCE) else self.rest(f)
            names.append(tag if isinstance(tag, str) else "")
            values.append(self.item())
            flags = self.integer()
            kind = flags & 0xFF
        self.rest(flags)
        if first != PAIRLIST:
            return Other(_PAIRS[first], attributes)
        return Vector("list", values, {"names": texts(names)} if any(names) else {})

    def rest(self, flags: int) -> Any:
        """Read the item whose flags have just been read."""
        self.at -= 4
        return self.item()

    def compact(self) -> Any:
        """Read a vector in a compact form (ALTREP): sequences, numbers to be converted to strings, wrapped vectors."""
        about, state, attributes = self.item_of_class(), self.item(), self.integer()
        if about in ("compact_intseq", "compact_realseq"):
            count, start, step = state.values.tolist()
            if not (0 <= count < _LONGEST_SEQUENCE and abs(start) < 2**53 and abs(step) == 1):
                raise ValueError("a sequence that R does not write, or that is too long")
            kind = "integer" if about == "compact_intseq" else "double"
            found = Vector(kind, (start + step * np.arange(int(count))).astype(DTYPES[kind]))
        elif about == "deferred_string":
            found = Vector("string", [None if v is None else as_character(v) for v in state.values[0].elements()])
        elif about.startswith("wrap_"):
            found = state.values[0]
        else:
            raise NotPlain(f"an R vector of the class {about}")
        if attributes & 0xFF == PAIRLIST:
            self.at -= 4
            found = Vector(found.kind, found.values, self.attributes())
        return found

    def item_of_class(self) -> str:
        """The class of a compact vector: the first symbol of a pairlist."""
        out = ""
        while self.integer() & 0xFF == PAIRLIST:
            inner = self.integer()
            if inner & 0xFF in (SYMBOL, _REFERENCE):
                symbol = self.symbol(inner)
                out = out or symbol
            else:
                self.rest(inner)
        return out

    def bytecode(self) -> None:
        """Skip the content of a compiled function."""
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


def as_character(number: float) -> str:
    """As R's as.character(): 15 digits, in fixed or scientific notation, whichever is shorter."""
    if isinstance(number, int) or not math.isfinite(number):
        return blocks.as_text(number)
    digits = f"{number:.14e}".partition("e")[0].rstrip("0").rstrip(".")
    exponent = int(f"{number:.14e}".partition("e")[2])
    places = max(len(digits.lstrip("-").replace(".", "")) - 1 - exponent, 0)
    fixed, scientific = f"{number:.{places}f}", f"{digits}e{exponent:+03d}"
    return fixed if len(fixed) <= len(scientific) else scientific
