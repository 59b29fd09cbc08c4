"""Job files: the whole input of a worker, in one block file (see worker/blocks.py).

facts        which run, plan and job; the kind of simulation; cores and limits
stretches    condition, first replication, count, and for R the generator's state at the first replication
conditions   id, 128-bit key (four integers); of whole scripts and commands the keys of their seeds and the rendered arguments;
             the environment variables (env_NAME); the 31-bit seed to which workers of version 1 add the replication; and the patterns
             of results files' names
parameters   the design's columns, a row for each of `conditions`; lists have a form, list or array, see worker/blocks.py
metrics      where there are some: name, and value, the regular expression
variables    name and value of the environment variables that all conditions share, which are set before the simulation is loaded

Do not remove a table or column: a run is continued by the worker in its code folder, which may be of an earlier version.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from ..sweep.lists import is_list, unlisted
from ..worker import blocks

_NO_JOB = {
    "run": "", "plan": "", "job": "", "attempt": 1, "language": "", "kind": "", "function": "", "script": "",
    "objects": "", "results_file": "", "workers": 1, "cores": 1, "jobs": 1, "replication_timeout": 0,
    "longest_block": 1e9, "on_error": "continue", "output": "", "private_mount": "", "chunked": "", "keep_files": "",
    "copies": "", "own_code": "", "seed": "", "folder": "", "module": "", "import_from": "", "loaded_from": "",
    "ranks": "", "each_host": "", "mpi_options": "", "secret": "",
}  # fmt: skip
_STRETCHES = ("condition", "first", "count", *(f"state_{i}" for i in range(1, 7)))
_CONDITIONS = ("condition", "seed", *(f"key_{i}" for i in range(1, 5)))


def encode(
    facts: Mapping[str, Any],
    stretches: Mapping[str, np.ndarray] | None = None,
    conditions: Mapping[str, np.ndarray] | None = None,
    arguments: list[list[str]] | None = None,
    parameters: pa.Table | None = None,
    patterns: list[str] | None = None,
    variables: Mapping[str, list[str]] | None = None,
    constants: Mapping[str, str] | None = None,
    types: Mapping[str, str] | None = None,
    metrics: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of a job file. Arguments that are left out give a job that runs nothing, as in checks."""
    nothing = np.empty(0, dtype=np.int32)
    first = {name: blocks.numbers("integer", (stretches or {}).get(name, nothing)) for name in _STRETCHES}
    second = {name: nothing for name in _CONDITIONS} | dict(conditions or {})
    second = {name: blocks.numbers("integer", values) for name, values in second.items()}
    for i, column in enumerate(arguments or []):
        second[f"argument_{i + 1}"] = blocks.strings(column)
    if patterns:
        second["results_pattern"] = blocks.strings(patterns)
    second |= {f"env_{name}": blocks.strings(column) for name, column in (variables or {}).items()}
    fourth = {"name": blocks.strings(list(constants or {})), "value": blocks.strings(list((constants or {}).values()))}
    third = (
        {
            name: column_of(parameters[name].combine_chunks(), (types or {}).get(name, ""))
            for name in parameters.column_names
        }
        if parameters
        else {}
    )
    tables = [("stretches", first), ("conditions", second), ("parameters", third), ("variables", fourth)]
    rows = [len(c["condition"].values) for c in (first, second)]
    rows += [rows[1], len(constants or {})]
    if metrics:
        tables.append(
            ("metrics", {"name": blocks.strings(list(metrics)), "value": blocks.strings(list(metrics.values()))})
        )
        rows.append(len(metrics))
    return blocks.encode(
        blocks.Block(
            {key: str(value) for key, value in {**_NO_JOB, **facts}.items()},
            [blocks.Table(name, n, columns) for (name, columns), n in zip(tables, rows, strict=True)],
        )
    )


def facts_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """The facts about a simulation. spec: as in run.json."""
    facts = {name: spec[name] for name in ("language", "kind", "function", "script", "objects", "results_file")}
    facts |= {name: spec.get(name, "") for name in ("folder", "module", "loaded_from")}
    if mpi := spec.get("mpi"):
        facts |= {"ranks": str(mpi["ranks"]), "mpi_options": "\n".join(mpi["options"])}
    return {**facts, "each_host": str(spec.get("each_host", "")), "import_from": "\n".join(spec.get("import_from", ()))}


def column_of(array: pa.Array, kind: str = "") -> blocks.Column:
    """A design's column in the block format, its nulls as NA. kind: its type in the design."""
    if is_list(array.type):
        lengths, elements = unlisted(array)
        column = blocks.lists(lengths, column_of(elements))
        column.form = column.form.replace("list", "array") if kind.endswith("array") else column.form
        return column
    if pa.types.is_string(array.type):
        return blocks.strings(array.to_pylist())
    kind = "double" if pa.types.is_floating(array.type) else "logical" if pa.types.is_boolean(array.type) else "integer"
    if not len(array):
        return blocks.numbers(kind, [])
    validity, stored = array.buffers()  # array.to_numpy() would load pandas
    at = slice(array.offset, array.offset + len(array))
    if kind == "logical":
        values = _bits(stored)[at].astype("<i4")
    else:
        width = np.dtype(array.type.to_pandas_dtype())
        values = np.frombuffer(stored, width)[at].astype("<f8" if kind == "double" else "<i4")
    if array.null_count:
        values[_bits(validity)[at] == 0] = blocks.NA_DOUBLE if kind == "double" else blocks.NA_INTEGER
    return blocks.numbers(kind, values)


def _bits(packed: pa.Buffer) -> np.ndarray:
    return np.unpackbits(np.frombuffer(packed, np.uint8), bitorder="little")
