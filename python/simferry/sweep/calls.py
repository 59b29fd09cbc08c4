"""Designs and arguments as Python calls, for a repr: what is short is shown whole, and can be pasted."""

import keyword
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from .lists import encoded
from .parameters import as_python, same_bits

FEW = 10  # values of a parameter that are all shown
SHORT = 80  # characters of a constant, or of a text in a design, that are all shown


def design_call(
    columns: Mapping[str, pa.Array], types: Mapping[str, str], rows: int, objects: Mapping[str, Mapping[str, Any]]
) -> str:
    """A design as sf.grid(...) where it is a grid, else as sf.zipped(...).

    Of a parameter with more than ten values the first three and the number of values are shown.
    """
    values = _grid_values(columns, rows)
    function = "zipped" if values is None else "grid"
    shown = {name: _values(array, objects.get(name)) for name, array in (columns if values is None else values).items()}
    # types that the values do not show
    declared = {
        name: kind
        for name, kind in types.items()
        if "integer" in kind or "array" in kind or (kind != "number" and columns[name].null_count == rows)
    }
    if all(name.isidentifier() and not keyword.iskeyword(name) and name != "types" for name in shown):
        arguments = [f"{name}={text}" for name, text in shown.items()]
    else:
        arguments = [f"{{{', '.join(f'{name!r}: {text}' for name, text in shown.items())}}}"]
    return f"sf.{function}({', '.join([*arguments, *named({'types': declared} if declared else {})])})"


def named(arguments: Mapping[str, Any]) -> list[str]:
    """name=value, as Python code, of each argument."""
    return [f"{name}={literal(value)}" for name, value in arguments.items()]


def literal(value: Any) -> str:
    """A value as Python code: a path as text, a function by its name, an object with a long repr by its class."""
    if isinstance(value, (str, Path)):
        return repr(str(value))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{literal(key)}: {literal(one)}' for key, one in value.items())}}}"
    if type(value) in (list, tuple):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    text = repr(value)
    return text if len(text) <= SHORT and "\n" not in text else f"<{type(value).__name__}>"


def _grid_values(columns: Mapping[str, pa.Array], rows: int) -> dict[str, pa.Array] | None:
    """The values of each parameter, where the design is every combination of them and the last varies fastest."""
    unique = {name: encoded(array)[1] for name, array in columns.items()}
    if math.prod(map(len, unique.values())) != rows:
        return None
    repeats = rows
    for name, values in unique.items():
        repeats //= len(values)
        of_grid = values.take(pa.array(np.arange(rows) // repeats % len(values)))
        if not same_bits(pa.chunked_array([of_grid]), pa.chunked_array([columns[name]])):
            return None
    return unique


def _values(array: pa.Array, objects: Mapping[str, Any] | None = None) -> str:
    """objects: what the values are names of."""
    few = len(array) <= FEW
    given = array[: FEW if few else 3].to_pylist()
    shown = [_value(v) if objects is None or v is None else literal(objects[v]) for v in given]
    return f"[{', '.join(shown)}{'' if few else f', ... ({len(array):,} values)'}]"


def _value(value: Any) -> str:
    """As a user would write it: 20 for 20.0."""
    if isinstance(value, str) and len(value) > SHORT:
        return f"{value[: SHORT // 2]!r}... ({len(value):,} characters)"
    if isinstance(value, list):
        few = value if len(value) <= FEW else value[:3]
        return f"[{', '.join(map(_value, few))}{'' if len(value) <= FEW else f', ... ({len(value):,} values)'}]"
    negative_zero = isinstance(value, float) and value == 0 and math.copysign(1, value) < 0
    return literal(value if negative_zero else as_python(value))
