"""The block format: tables of a few column types in one gzip member, written by the workers and read by everybody.

After decompression: a text header, an empty line, then the columns one after the other, little endian.

    simferry block 1
    interpreter: R 4.2.2               facts, `key: value`; backslash and newline escaped
    table: results 1000                a table of 1,000 rows, then its columns
    integer: condition
    double: mean

double is 8 bytes (R's NA is the NaN with low word 1954); integer and logical are int32 (-2^31 is NA); string is an int32
byte length for each row (-1 is NA), then the UTF-8 of all rows; raw is the same with any bytes, and no NA. gzip's own
checksum and length prove the file whole.

This file travels with the worker into images that have no simferry: it needs numpy alone.
"""

import math
import re
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAGIC = "simferry block 1"
NA_INTEGER = -(2**31)
NA_DOUBLE = np.array([0x7FF00000000007A2], dtype="<u8").view("<f8")[0]
_STEP, _PART, _LONGEST_HEADER = 1 << 16, 1 << 22, 1 << 26  # bytes
_DTYPES: dict[str, np.dtype[Any]] = {"double": np.dtype("<f8"), "integer": np.dtype("<i4"), "logical": np.dtype("<i4")}


class DamagedBlock(Exception):
    """The bytes are not a whole block."""


@dataclass
class Column:
    """One column. kind: double, integer, logical, string or raw. values: an array of that kind; for the last two the byte lengths."""

    kind: str
    values: np.ndarray
    text: bytes = b""

    def strings(self) -> list[str | None]:
        """The texts of a string column; bytes that are no UTF-8 are shown as \\x and their hexadecimal digits."""
        out: list[str | None] = []
        start = 0
        for length in self.values.tolist():
            out.append(None if length < 0 else self.text[start : start + length].decode(errors="backslashreplace"))
            start += max(length, 0)
        return out


@dataclass
class Table:
    name: str
    rows: int
    columns: dict[str, Column] = field(default_factory=dict)


@dataclass
class Block:
    facts: dict[str, str]
    tables: list[Table]

    def table(self, name: str) -> Table:
        """Its first table of that name. Raises DamagedBlock where it has none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise DamagedBlock(f"it has no table {name!r}")


def strings(values: Any) -> Column:
    """A string column from texts and None."""
    encoded = [None if v is None else _utf8(v) for v in values]
    lengths = np.array([-1 if v is None else len(v) for v in encoded], dtype="<i4")
    return Column("string", lengths, b"".join(v for v in encoded if v is not None))


def numbers(kind: str, values: Any) -> Column:
    """A double, integer or logical column from an array."""
    return Column(kind, np.ascontiguousarray(values, dtype=_DTYPES[kind]))


def as_text(value: Any) -> str:
    """A value that stands among texts, as R writes it, with all of its digits."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if value != value else "Inf" if value > 0 else "-Inf"
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    try:
        return str(value)
    except ValueError:  # a whole number of more digits than Python writes
        return hex(value)


def encode(block: Block) -> bytes:
    header = [MAGIC, *(f"{key}: {_escape(value)}" for key, value in block.facts.items())]
    body = []
    for table in block.tables:
        header.append(f"table: {table.name} {table.rows}")
        for name, column in table.columns.items():
            header.append(f"{column.kind}: {_escape(name)}")
            body += [column.values.tobytes(), column.text]
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [squeeze.compress(("\n".join(header) + "\n\n").encode(errors="backslashreplace"))]
    parts += [squeeze.compress(data) for data in body]
    return b"".join([*parts, squeeze.flush()])


def decode(data: bytes) -> Block:
    """Takes the memory that the header declares, and no more.

    Raises DamagedBlock when the bytes are cut short, changed, or something else, or hold more or less than the header declares.
    """
    try:
        return _decoded(_Unpacked(data))
    except (zlib.error, ValueError, OverflowError) as error:
        raise DamagedBlock(str(error)) from None


class _Unpacked:
    """The content of a gzip member, as far as it is asked for."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = memoryview(data), 0
        self.expand = zlib.decompressobj(31)
        self.ahead = memoryview(b"")  # unpacked, and not taken yet

    def some(self, most: int) -> bytes | memoryview:
        """Up to so many bytes; none at the end, which is there and right."""
        if self.ahead:
            ready, self.ahead = self.ahead[:most], self.ahead[most:]
            return ready
        while not self.expand.eof:
            packed = self.expand.unconsumed_tail or self.data[self.at : self.at + _STEP]
            if not self.expand.unconsumed_tail:
                self.at += len(packed)
            if out := self.expand.decompress(packed, most):
                return out
            if not packed:
                raise DamagedBlock("cut short")
        return b""

    def header(self) -> bytes:
        """All before the first empty line."""
        head, end, magic = bytearray(), -1, MAGIC.encode()
        while end < 0:
            more = self.some(_STEP)
            head += more
            if head[: len(magic)] != magic[: len(head)]:
                raise DamagedBlock(f"begins with {_first_words(head)!r}, not {MAGIC!r}")
            if not more or len(head) > _LONGEST_HEADER:
                raise DamagedBlock("it has no header that ends")
            end = head.find(b"\n\n", max(0, len(head) - len(more) - 1))
        self.ahead = memoryview(bytes(head[end + 2 :]))
        return bytes(head[:end])

    def take(self, size: int) -> bytearray:
        """So many bytes. What a header says that there are takes memory only as it comes."""
        out = bytearray()
        while (left := size - len(out)) > 0:
            if not (more := self.some(min(left, _PART))):
                raise DamagedBlock(f"{len(out)} bytes of a column where its header describes {size}")
            out += more
        return out

    def end(self) -> None:
        if self.some(1):
            raise DamagedBlock("it holds more than its header describes")
        if after := len(self.expand.unused_data) + len(self.data) - self.at:
            raise DamagedBlock(f"{after} bytes follow its end")


def _first_words(head: bytearray) -> str:
    return head.partition(b"\n")[0][:40].decode(errors="backslashreplace")


def _decoded(content: _Unpacked) -> Block:
    lines = content.header().decode().split("\n")
    if lines[0] != MAGIC:
        raise DamagedBlock(f"begins with {lines[0][:40]!r}, not {MAGIC!r}")
    block = Block({}, [])
    for line in lines[1:]:
        key, _, value = line.partition(": ")
        if key == "table":
            name, _, rows = value.rpartition(" ")
            if not rows.isdecimal():
                raise DamagedBlock(f"table {name!r} has {rows[:40]!r} rows")
            block.tables.append(Table(name, int(rows)))
        elif not block.tables:
            block.facts[key] = _unescape(value)
        else:
            table = block.tables[-1]
            if key not in ("string", "raw") and key not in _DTYPES:
                raise DamagedBlock(f"a column of kind {key[:40]!r}")
            dtype = _DTYPES.get(key, _DTYPES["integer"])
            values = np.frombuffer(content.take(table.rows * dtype.itemsize), dtype)
            text = b""
            if key in ("string", "raw"):
                text = bytes(content.take(int(values[values > 0].sum(dtype=np.int64))))
            name = _unescape(value)
            while name in table.columns:  # none is lost, whatever a worker was given to write
                name += "_result"
            table.columns[name] = Column(key, values, text)
    content.end()
    return block


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(text: str) -> str:
    return text if "\\" not in text else re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def _utf8(text: str) -> bytes:
    """What came in as bytes that are no UTF-8 (surrogateescape) goes out as those bytes; other lone surrogates as \\u and digits."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
