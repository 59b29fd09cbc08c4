"""The block format: tables of a few column types in one gzip member, written by the workers and read by everybody.

After decompression: a text header, an empty line, then the columns one after the other, little endian.

    simferry block 1
    interpreter: R 4.2.2               facts, `key: value`; backslash and newline escaped
    table: results 1000                a table of 1,000 rows, then its columns
    integer: condition
    double: mean

double is 8 bytes (R's NA is the NaN with low word 1954); integer and logical are int32 (-2^31 is NA); string is an int32
byte length for each row (-1 is NA), then the UTF-8 of all rows. gzip's own checksum and length prove the file whole.

This file travels with worker.py into images that have no simferry: it needs numpy alone.
"""

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAGIC = "simferry block 1"
NA_INTEGER = -(2**31)
NA_DOUBLE = np.array([0x7FF00000000007A2], dtype="<u8").view("<f8")[0]
_DTYPES: dict[str, np.dtype[Any]] = {"double": np.dtype("<f8"), "integer": np.dtype("<i4"), "logical": np.dtype("<i4")}


class DamagedBlock(Exception):
    """The bytes are not a whole block."""


@dataclass
class Column:
    """One column. kind: double, integer, logical or string. values: an array of that kind; for strings the byte lengths."""

    kind: str
    values: np.ndarray
    text: bytes = b""

    def strings(self) -> list[str | None]:
        out: list[str | None] = []
        start = 0
        for length in self.values.tolist():
            out.append(None if length < 0 else self.text[start : start + length].decode())
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
        return next(t for t in self.tables if t.name == name)


def strings(values: Any) -> Column:
    """A string column from texts and None."""
    encoded = [None if v is None else v.encode("utf-8", "surrogateescape") for v in values]
    lengths = np.array([-1 if v is None else len(v) for v in encoded], dtype="<i4")
    return Column("string", lengths, b"".join(v for v in encoded if v is not None))


def numbers(kind: str, values: Any) -> Column:
    """A double, integer or logical column from an array."""
    return Column(kind, np.ascontiguousarray(values, dtype=_DTYPES[kind]))


def encode(block: Block) -> bytes:
    header = [MAGIC, *(f"{key}: {_escape(value)}" for key, value in block.facts.items())]
    body = []
    for table in block.tables:
        header.append(f"table: {table.name} {table.rows}")
        for name, column in table.columns.items():
            header.append(f"{column.kind}: {_escape(name)}")
            body += [column.values.tobytes(), column.text]
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [squeeze.compress(("\n".join(header) + "\n\n").encode())]
    parts += [squeeze.compress(data) for data in body]
    return b"".join([*parts, squeeze.flush()])


def decode(data: bytes) -> Block:
    """Raises DamagedBlock when the bytes are cut short, changed, or something else."""
    expand = zlib.decompressobj(31)
    try:
        raw = expand.decompress(data)
    except zlib.error as error:
        raise DamagedBlock(str(error)) from None
    if not expand.eof:
        raise DamagedBlock("cut short")
    head, _, _ = raw.partition(b"\n\n")
    lines = head.decode().split("\n")
    if lines[0] != MAGIC:
        raise DamagedBlock(f"begins with {lines[0][:40]!r}, not {MAGIC!r}")
    at = len(head) + 2
    block = Block({}, [])
    for line in lines[1:]:
        key, _, value = line.partition(": ")
        if key == "table":
            name, _, rows = value.rpartition(" ")
            block.tables.append(Table(name, int(rows)))
        elif not block.tables:
            block.facts[key] = _unescape(value)
        else:
            table = block.tables[-1]
            dtype = _DTYPES.get(key, _DTYPES["integer"])
            values = np.frombuffer(raw, dtype, table.rows, at)
            at += values.nbytes
            text = b""
            if key == "string":
                size = int(values[values > 0].sum(dtype=np.int64))
                text = raw[at : at + size]
                at += size
            table.columns[_unescape(value)] = Column(key, values, text)
    if at != len(raw):
        raise DamagedBlock(f"{len(raw)} bytes where its header describes {at}")
    return block


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(text: str) -> str:
    return text if "\\" not in text else text.replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
