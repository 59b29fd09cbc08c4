"""The block format: tables of a few column types in one gzip member. Workers write blocks.

After decompression: a text header, an empty line, then the columns one after the other, little endian.

    simferry block 1
    interpreter: R 4.2.2               facts, `key: value`; backslash and newline escaped
    table: results 1000                a table of 1,000 rows, then its columns
    integer: condition
    double: mean

double is 8 bytes (R's NA is the NaN with low word 1954); integer and logical are int32 (-2^31 is NA); string is an int32
byte length for each row (-1 is NA), then the UTF-8 of all rows; raw is the same with any bytes. gzip's
checksum and length show whether the file is complete.

A column may stand for more than its kind says: FORMS lists the forms. They are written as a table of their own, `forms`, with a row
for each column that has a form (its table, counted from 1, its name, its form), and one for each level of a factor.

This file is copied with the worker into images without simferry: it needs only numpy.
"""

import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

MAGIC = "simferry block 1"
NA_INTEGER = -(2**31)
NA_DOUBLE = np.array([0x7FF00000000007A2], dtype="<u8").view("<f8")[0]
_STEP, _FIRST, _PART, _LONGEST_HEADER = 1 << 20, 1 << 19, 1 << 22, 1 << 26  # bytes
_TABLE = re.compile("^(table: (?:.* )?)([0-9]+)$", re.M)  # its name, a space, and its number of rows
_DTYPES: dict[str, np.dtype[Any]] = {"double": np.dtype("<f8"), "integer": np.dtype("<i4"), "logical": np.dtype("<i4")}
# What a column stands for, and its kind. date: days since 1970; time: seconds since then, and `time ZONE`; seconds: a duration;
# long: the digits of a 64-bit integer; `list KIND`: the bytes of a column of that kind, for strings after their number;
# `array KIND`: the same, of a parameter that Python gets as an array.
FORMS = {
    "factor": "string", "ordered": "string", "date": "double", "time": "double", "seconds": "double", "long": "string",
    "list": "raw", "array": "raw",
}  # fmt: skip


class DamagedBlock(Exception):
    """The bytes are not a complete block."""


@dataclass
class Column:
    """One column. kind: double, integer, logical, string or raw. values: an array of that kind; for string and raw, byte lengths.

    form: what it stands for, see FORMS; mostly empty. levels: of a factor.
    """

    kind: str
    values: np.ndarray
    text: bytes = b""
    form: str = ""
    levels: tuple[str, ...] = ()

    def of(self, values: np.ndarray, text: bytes = b"") -> "Column":
        """A column of the same kind and form. There may be thousands: dataclasses.replace() takes ten times as long."""
        return Column(self.kind, values, text, self.form, self.levels)

    def raws(self) -> list[bytes | None]:
        """The contents of a raw column."""
        ends = np.cumsum(np.maximum(self.values, 0), dtype=np.int64).tolist()
        return [None if n < 0 else self.text[end - n : end] for end, n in zip(ends, self.values.tolist(), strict=True)]

    @property
    def is_list(self) -> bool:
        return self.form.startswith(("list ", "array "))

    def strings(self) -> list[str | None]:
        """The texts of a string column. Bytes that are not UTF-8 become \\x and two hexadecimal digits."""
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
        """The first table with this name. Raises DamagedBlock if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise DamagedBlock(f"it has no table {name!r}")


def strings(values: Any) -> Column:
    """A string column from texts and None."""
    encoded = [None if v is None else _utf8(v) for v in values]
    lengths = np.array([-1 if v is None else len(v) for v in encoded], dtype="<i4")
    return Column("string", lengths, b"".join(v for v in encoded if v is not None))


def raws(values: list[bytes | None]) -> Column:
    """A raw column from bytes and None."""
    lengths = [-1 if v is None else len(v) for v in values]
    return Column("raw", np.array(lengths, dtype="<i4"), b"".join(v for v in values if v is not None))


def lists(lengths: Any, elements: Column) -> Column:
    """A column of lists. lengths: of each, -1 where it is missing. elements: of all lists, of any kind but raw."""
    lengths = np.asarray(lengths, dtype=np.int64)
    if elements.kind != "string":
        size = _DTYPES[elements.kind].itemsize
        sizes = np.where(lengths < 0, -1, lengths * size).astype("<i4")
        return Column("raw", sizes, elements.values.tobytes(), f"list {elements.kind}")
    cells: list[bytes | None] = []
    at = begin = 0
    for n in lengths.tolist():
        sizes = elements.values[at : at + max(n, 0)]
        end = begin + int(np.maximum(sizes, 0).sum())
        cells.append(None if n < 0 else np.int32(n).tobytes() + sizes.tobytes() + elements.text[begin:end])
        at, begin = at + max(n, 0), end
    out = raws(cells)
    out.form = "list string"
    return out


def unlisted(column: Column) -> tuple[np.ndarray, Column]:
    """The lengths of lists (-1 where one is missing), and their elements. Raises ValueError if its bytes are no lists."""
    kind, sizes = column.form.partition(" ")[2], column.values
    if kind != "string":
        dtype = _DTYPES[kind]
        if (np.where(sizes < 0, 0, sizes) % dtype.itemsize).any():
            raise ValueError(f"a list's bytes are no {kind}s")
        return np.where(sizes < 0, -1, sizes // dtype.itemsize), Column(kind, np.frombuffer(column.text, dtype))
    lengths, parts, texts = [], [np.empty(0, dtype="<i4")], []
    for cell in column.raws():
        n = -1 if cell is None else int(np.frombuffer(cell, "<i4", 1)[0])
        lengths.append(n)
        if cell is not None:
            parts.append(np.frombuffer(cell, "<i4", n, 4))
            texts.append(cell[4 + 4 * n :])
            if n < 0 or np.maximum(parts[-1], 0).sum(dtype=np.int64) != len(texts[-1]):
                raise ValueError("a list's bytes are no strings")
    return np.array(lengths, dtype=np.int64), Column("string", np.concatenate(parts), b"".join(texts))


def numbers(kind: str, values: Any) -> Column:
    """A double, integer or logical column from an array."""
    return Column(kind, np.ascontiguousarray(values, dtype=_DTYPES[kind]))


def as_text(value: Any) -> str:
    """A value of a text column, as R writes it, with all its digits."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if value != value else "Inf" if value > 0 else "-Inf"
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    try:
        return str(value)
    except ValueError:  # Python limits the digits of integers that it writes
        return hex(value)


def encode(block: Block) -> bytes:
    return b"".join(pieces(block))


def pieces(block: Block) -> Iterator[bytes]:
    """The bytes of a block, one piece after the other: a column of a gigabyte is not copied as a whole."""
    header = [MAGIC, *(f"{key}: {_escape(value)}" for key, value in block.facts.items())]
    body: list[Any] = []
    for table in [*block.tables, *_forms(block.tables)]:
        header.append(f"table: {table.name} {table.rows}")
        for name, column in table.columns.items():
            header.append(f"{column.kind}: {_escape(name)}")
            body += [column.values.view("u1"), column.text]
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    yield squeeze.compress(("\n".join(header) + "\n\n").encode(errors="backslashreplace"))
    for data in body:
        for at in range(0, len(data), _PART):
            yield squeeze.compress(memoryview(data)[at : at + _PART])
    yield squeeze.flush()


def _forms(tables: list[Table]) -> list[Table]:
    """The table of the forms of these tables' columns; none if no column has one."""
    rows = [
        (number, name, column.form, level)
        for number, table in enumerate(tables, 1)
        for name, column in table.columns.items()
        if column.form
        for level in (None, *column.levels)
    ]
    if not rows:
        return []
    at, *texts = zip(*rows, strict=True)
    named = zip(("column", "form", "level"), map(strings, texts), strict=True)
    return [Table("forms", len(rows), {"table": numbers("integer", at), **dict(named)})]


def _with_forms(tables: list[Table]) -> list[Table]:
    """The tables without that of the forms, which their columns get. Raises DamagedBlock if a column can't have its form."""
    levels: dict[int, list[str]] = {}  # by the identity of their column
    for forms in [table for table in tables if table.name == "forms"]:
        tables.remove(forms)
        try:
            at = forms.columns["table"].values.tolist()
            texts = [forms.columns[name].strings() for name in ("column", "form", "level")]
        except KeyError as missing:
            raise DamagedBlock(f"its table 'forms' has no column {missing}") from None
        for number, name, form, level in zip(at, *texts, strict=True):
            column = tables[number - 1].columns.get(name or "") if 1 <= number <= len(tables) else None
            of, _, kind = (form or "").partition(" ")
            is_known = of not in ("list", "array") or kind in (*_DTYPES, "string")
            if column is None or not is_known or FORMS.get(of) != column.kind:
                raise DamagedBlock(f"its column {name!r} can't have the form {form!r}")
            column.form = form or ""
            if level is not None:
                levels.setdefault(id(column), []).append(level)
    for table in tables if levels else ():
        for column in table.columns.values():
            column.levels = tuple(levels.get(id(column), ()))
    return tables


def decode(data: bytes) -> Block:
    """Raises DamagedBlock if the bytes are incomplete or changed, or do not agree with their header.

    Uses no more memory than the header declares.
    """
    try:
        return _decoded(_Unpacked(data))
    except (zlib.error, ValueError, OverflowError) as error:
        raise DamagedBlock(str(error)) from None


class _Unpacked:
    """The content of a gzip member, decompressed only as far as needed."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = memoryview(data), 0
        self.expand = zlib.decompressobj(31)
        self.ahead = memoryview(b"")  # decompressed, and not returned yet

    def some(self, most: int) -> bytes | memoryview:
        """At most so many bytes; none at the end of a complete member."""
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
        """The text before the first empty line."""
        head, end, magic = bytearray(), -1, MAGIC.encode()
        while end < 0:
            more = self.some(_FIRST)  # many blocks are no larger
            head += more
            if head[: len(magic)] != magic[: len(head)]:
                raise DamagedBlock(f"begins with {_first_words(head)!r}, not {MAGIC!r}")
            if not more or len(head) > _LONGEST_HEADER:
                raise DamagedBlock("its header has no end")
            end = head.find(b"\n\n", max(0, len(head) - len(more) - 1))
        self.ahead = memoryview(head)[end + 2 :]
        return bytes(head[:end])

    def take(self, size: int, columns: int = 1) -> bytearray:
        """The bytes of so many columns of this size. Memory is used only for bytes that exist, whatever the header declares."""
        whole = size * columns
        if whole <= len(self.ahead):
            ready, self.ahead = self.ahead[:whole], self.ahead[whole:]
            return bytearray(ready)  # so that nothing keeps the rest of the block
        out = bytearray()
        while (left := whole - len(out)) > 0:
            if not (more := self.some(min(left, _PART))):
                raise DamagedBlock(f"{len(out) % size} bytes of a column where its header describes {size}")
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
    header, rows = content.header().decode(), []

    def counted(line: re.Match[str]) -> str:
        rows.append(int(line[2]))
        return line[1]

    layout = _layout if len(header) < _FIRST else _layout.__wrapped__  # they are kept
    facts, declared = layout(_TABLE.sub(counted, header))
    block = Block(dict(facts), [])
    for (table_name, columns), many in zip(declared, rows, strict=True):
        table = Table(table_name, many)
        block.tables.append(table)
        for kind, names in columns:
            for name, column in zip(names, _columns(content, kind, many, len(names)), strict=True):
                while name in table.columns:  # equal names: no column is lost
                    name += "_result"
                table.columns[name] = column
    content.end()
    return Block(block.facts, _with_forms(block.tables))


@lru_cache(maxsize=16)
def _layout(header: str) -> tuple[dict[str, str], list[tuple[str, list[tuple[str, list[str]]]]]]:
    """The facts and the tables of a header without numbers of rows, which most blocks of a run share: names of columns, by kind."""
    lines = header.split("\n")
    if lines[0] != MAGIC:
        raise DamagedBlock(f"begins with {lines[0][:40]!r}, not {MAGIC!r}")
    facts: dict[str, str] = {}
    declared: list[tuple[str, list[tuple[str, list[str]]]]] = []
    for line in lines[1:]:
        key, _, value = line.partition(": ")
        if key == "table":
            name, _, rows = value.rpartition(" ")
            if rows:
                raise DamagedBlock(f"table {name!r} has {rows[:40]!r} rows")
            declared.append((name, []))
        elif not declared:
            facts[key] = _unescape(value)
        elif key not in ("string", "raw") and key not in _DTYPES:
            raise DamagedBlock(f"a column of kind {key[:40]!r}")
        else:
            columns = declared[-1][1]
            if not columns or columns[-1][0] != key:
                columns.append((key, []))
            columns[-1][1].append(_unescape(value))
    return facts, declared


def _columns(content: _Unpacked, kind: str, rows: int, count: int) -> list[Column]:
    """So many columns of one kind. Those of numbers are read together: a table may have thousands, of a row each."""
    if kind in ("string", "raw"):
        return [_of_bytes(content, kind, rows) for _ in range(count)]
    dtype = _DTYPES[kind]
    size = rows * dtype.itemsize
    at_once = max(1, _PART // max(1, size))
    if count > at_once:
        return [c for i in range(0, count, at_once) for c in _columns(content, kind, rows, min(at_once, count - i))]
    return [Column(kind, v) for v in np.frombuffer(content.take(size, count), dtype).reshape(count, rows)]


def _of_bytes(content: _Unpacked, kind: str, rows: int) -> Column:
    lengths = np.frombuffer(content.take(rows * 4), _DTYPES["integer"])
    return Column(kind, lengths, bytes(content.take(int(lengths[lengths > 0].sum(dtype=np.int64)))))


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _unescape(text: str) -> str:
    return text if "\\" not in text else re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], text)


def _utf8(text: str) -> bytes:
    """The text in UTF-8. Bytes that were not UTF-8 (surrogateescape) become the same bytes again; other lone surrogates \\u and digits."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
