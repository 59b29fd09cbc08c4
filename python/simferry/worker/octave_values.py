"""Values between Python and Octave or MATLAB: parameters as expressions, results from bytes (`encoded` in worker.m). Doubles keep all bits.

Octave's NA is a NaN of its own; it becomes R's NA, and back.
"""

import struct
from typing import Any

import numpy as np

from . import blocks
from .rows import Refused

_NA = 0x7FF840F440000000  # Octave's
_SIZES = {
    "double": "<f8",
    "single": "<f4",
    **{f"{u}int{n}": f"<{u[:1] or 'i'}{n // 8}" for u in ("", "u") for n in (8, 16, 32, 64)},
}
_PLAIN = frozenset(map(chr, range(32, 127)))


def literal(value: Any) -> str:
    """A parameter as an expression: exact, and a missing value as Octave's NA, which is a NaN in MATLAB."""
    if value is None:
        return f"hex2num('{_NA:016X}')"
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, str):
        if _PLAIN.issuperset(value):
            return "'" + value.replace("'", "''") + "'"
        return f"text_of_([{' '.join(map(str, value.encode('utf-8', 'surrogateescape')))}])"
    if isinstance(value, (int, np.integer)) and abs(int(value)) <= 2**53:
        return str(value)
    if isinstance(value, (int, float, np.number)):
        return f"hex2num('{struct.pack('>d', float(value)).hex()}')"
    parts = [literal(v) for v in value]
    if any(isinstance(v, str) for v in value):
        return "{{" + ", ".join(parts) + "}}"  # twice: a cell in a list of arguments
    return f"[{', '.join(parts)}]"


def exact(number: float) -> float:
    """A double from Octave, its NA as R's."""
    if number != number and struct.pack("<d", number) == struct.pack("<Q", _NA):
        return float(blocks.NA_DOUBLE)
    return number


def decoded(data: bytes) -> Any:
    """The value: None for [], a number, a text, an array of one dimension for a vector, a dict for a struct, a list for a cell array.

    A struct of columns of equal length is a structured array: a table. Raises Refused for what can't be kept.
    """
    return _Reader(data).value()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def count(self) -> int:
        return int(struct.unpack("<d", self.take(8))[0])

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8", "surrogateescape")

    def value(self) -> Any:
        return self.with_shape()[0]

    def with_shape(self) -> tuple[Any, list[int]]:
        kind = self.text()
        if kind == "complex":
            raise Refused("the simulation returned a complex number, which can't be kept: return real() and imag()")
        if kind.startswith("other "):
            raise Refused(
                f"the simulation returned a value of class {kind[6:]}, which can't be kept: return numbers, texts or a struct"
            )
        dims = [self.count() for _ in range(self.count())]
        size = int(np.prod(dims))
        if kind == "char":
            lines = [self.text() for _ in range(dims[0])]
            return (lines[0] if len(lines) == 1 else lines or ""), dims
        if kind == "cell":
            return shaped([self.value() for _ in range(size)], dims), dims
        if kind == "struct":
            return self.struct(size), dims
        return self.numbers(kind, dims, size), dims

    def numbers(self, kind: str, dims: list[int], size: int) -> Any:
        dtype = np.dtype("u1" if kind == "logical" else _SIZES[kind])
        array = np.frombuffer(self.take(size * dtype.itemsize), dtype).astype("?" if kind == "logical" else dtype)
        if kind in ("double", "single"):
            array = array.astype("<f8")
            bits = array.view("<u8")
            bits[bits == _NA] = blocks.NA_DOUBLE.view("<u8")
        if size <= 1:
            return array[0].item() if size else None
        return array if is_vector(dims) else array.reshape(dims, order="F")

    def struct(self, size: int) -> Any:
        names = [self.text() for _ in range(self.count())]
        records = []
        for _ in range(size):
            fields = [self.with_shape() for _ in names]
            values = [value for value, _ in fields]
            shapes = {tuple(shape) for _, shape in fields}
            shape = shapes.pop() if size == 1 and len(shapes) == 1 else (1,)
            if shape[0] > 1 and shape[1:] == (1,) and all(isinstance(v, (np.ndarray, list)) for v in values):
                return table_of(names, values)
            records.append(dict(zip(names, values, strict=True)))
        return records[0] if size == 1 else records


def is_vector(dims: list[int]) -> bool:
    return len(dims) == 2 and 1 in dims


def shaped(cells: list[Any], dims: list[int]) -> list[Any]:
    """A cell array: a list, or a list of rows."""
    if not cells or is_vector(dims):
        return cells
    return [cells[i :: dims[0]] for i in range(dims[0])]


def table_of(names: list[str], values: list[Any]) -> np.ndarray:
    columns = [v if isinstance(v, np.ndarray) else np.array(v, dtype=object) for v in values]
    out = np.empty(len(columns[0]), dtype=[(name, column.dtype) for name, column in zip(names, columns, strict=True)])
    for name, column in zip(names, columns, strict=True):
        out[name] = column
    return out
