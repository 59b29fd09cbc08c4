"""Reads results files of whole scripts and commands: CSV, JSON, or bare numbers, by the file's name."""

import json
import math
from typing import Any

from ..worker import blocks
from ..worker.rows import Groups, add_rows, as_rows, column_of, results_table
from .delimited import read_delimited

_MISSING = ("", "NA")
_LOGICALS = ("TRUE", "FALSE", "True", "False", "true", "false")
_NOT_FINITE = {"NA": None, "NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}


def output_columns(
    parts: list[tuple[int, blocks.Table]], name: str
) -> tuple[list[tuple[int, blocks.Table]], list[tuple[int, int, int, str]]]:
    """Tables as functions' results have them, and (block, condition, replication, reason) of files that can't be read.

    parts: tables of condition, replication and the text of a results file, each with the number of its block.
    """
    read: list[tuple[int, Groups]] = []
    unreadable = []
    kinds: dict[str, set[str]] = {}  # of each column over all files: its type must not depend on the blocks
    for block, part in parts:
        ids = (part.columns[c].values.tolist() for c in ("condition", "replication"))
        groups: Groups = {}
        for condition, replication, text in zip(*ids, part.columns["text"].strings(), strict=True):
            try:
                rows = read_output(text or "", name)
            except ValueError as error:
                unreadable.append((block, condition, replication, f"{name} can't be read: {error}"))
                continue
            if rows:
                add_rows(groups, condition, replication, rows)
        for names, (_, _, columns) in groups.items():
            for label, column in zip(names, columns, strict=True):
                kinds.setdefault(label, set()).update(map(_kind, column))
        read.append((block, groups))
    tables = []
    is_json = name.lower().endswith(".json")
    for block, groups in read:
        for names, (cs, rs, columns) in groups.items():
            made = {n: column_of(_typed(c, kinds[n], is_json)) for n, c in zip(names, columns, strict=True)}
            tables.append((block, results_table(cs, rs, made)))
    return tables, unreadable


def read_output(text: str, name: str) -> dict[str, list[Any]]:
    """The columns of one results file. Raises ValueError with the reason where it can't be read."""
    text = text.removeprefix("\ufeff")
    kind = name.rpartition(".")[2].lower()
    if kind == "json":
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"it is not JSON ({error})") from None
        if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
            if len({len(v) for v in value.values()}) > 1:
                raise ValueError("its columns have different lengths")
            value = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
        rows = as_rows(value)
        if rows is None:
            raise ValueError("it is neither a number, nor an object of plain values, nor a list of those")
        return rows
    if kind in ("csv", "tsv"):
        lines = read_delimited(text, _is_value, "\t" if kind == "tsv" else ",")
        if not lines:
            return {}
        names, rows_ = lines[0], lines[1:]
        if _are_values(names):
            names, rows_ = [f"value_{i + 1}" if len(names) > 1 else "value" for i in range(len(names))], lines
        if rows_ and len(names) == len(rows_[0]) - 1:  # R's write.table leaves row names out of the header
            names = ["row_name", *names]
        for i, row in enumerate(rows_):
            if len(row) != len(names):
                raise ValueError(f"row {i + 1} has {len(row)} cells where the header has {len(names)}")
        names = [n or "row_name" for n in names]
        if twice := [n for n in names if names.count(n) > 1]:
            raise ValueError(f"it has {names.count(twice[0])} columns named {twice[0]!r}")
        return {n: [row[j] for row in rows_] for j, n in enumerate(names)}
    values = text.split()
    for value in values:
        if value != "NA" and _number(value) is None:
            raise ValueError(f"{value[:40]!r} is not a number")
    return {f"value_{i + 1}" if len(values) > 1 else "value": [v] for i, v in enumerate(values)}


def _are_values(first: list[str]) -> bool:
    """Whether a file's first line holds numbers, so that it is no header. 0, 1, 2, ... is a header: pandas writes it."""
    numbered = len(first) > 1 and first == [str(i) for i in range(len(first))]
    return not numbered and all(_number(cell) is not None for cell in first)


def _is_value(cell: str) -> bool:
    return cell in _MISSING or cell in _LOGICALS or _number(cell) is not None


def _number(text: str) -> float | None:
    if "_" in text or not text.isascii():  # float() accepts these
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _kind(value: Any) -> str:
    """What a cell can be read as."""
    if value is None or value in _MISSING:
        return "missing"
    if not isinstance(value, str):
        return "logical" if isinstance(value, bool) else "number"
    if value in _NOT_FINITE:
        return "not finite"
    if value in _LOGICALS:
        return "logical text"
    return "text" if _number(value) is None else "number text"


def _typed(column: list[Any], kinds: set[str], is_json: bool) -> list[Any]:
    """A column's cells in the type that fits all of them; NA and empty cells are None.

    JSON has its own types, but no NA, NaN and Inf: R's jsonlite writes those as texts among the numbers.
    """
    kinds = kinds - {"missing"}
    if is_json:
        if kinds == {"number", "not finite"} or kinds == {"number"}:
            return [_NOT_FINITE.get(v) if isinstance(v, str) else v for v in column]
        return column
    if kinds == {"logical text"}:
        return [None if v in _MISSING else v.lower() == "true" for v in column]
    if kinds <= {"number text", "not finite"}:
        return [None if v in _MISSING else float(v) for v in column]
    return [None if v == "NA" else v for v in column]
