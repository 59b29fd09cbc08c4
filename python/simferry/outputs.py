"""Results files: what whole scripts and commands wrote, as columns. CSV, JSON, or bare numbers, by the file's name."""

import csv
import io
import json
import math
from typing import Any

from .worker import blocks, worker


def output_columns(
    parts: list[tuple[int, blocks.Table]], name: str
) -> tuple[list[tuple[int, blocks.Table]], list[tuple[int, int, str]]]:
    """Tables like those that functions' results have, and (condition, replication, reason) of the files that can't be read.

    parts: tables of condition, replication and the text of a results file, each with the number of its block.
    """
    tables, unreadable = [], []
    for block, part in parts:
        ids = (part.columns[c].values.tolist() for c in ("condition", "replication"))
        groups: dict[tuple[str, ...], tuple[list[int], list[int], list[list[Any]]]] = {}
        for condition, replication, text in zip(*ids, part.columns["text"].strings(), strict=True):
            try:
                rows = read_output(text or "", name)
            except ValueError as error:
                unreadable.append((condition, replication, f"{name} can't be read: {error}"))
                continue
            if rows:
                cs, rs, columns = groups.setdefault(tuple(rows), ([], [], [[] for _ in rows]))
                n = len(next(iter(rows.values())))
                cs += [condition] * n
                rs += [replication] * n
                for column, more in zip(columns, rows.values(), strict=True):
                    column += more
        for names, (cs, rs, columns) in groups.items():
            made = {n: worker.column_of(_typed(c)) for n, c in zip(names, columns, strict=True)}
            tables.append((block, worker.results_table(cs, rs, made)))
    return tables, unreadable


def read_output(text: str, name: str) -> dict[str, list[Any]]:
    """Columns of one results file. Raises ValueError, with what is wrong, where it can't be read."""
    kind = name.rpartition(".")[2].lower()
    if kind == "json":
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f"it is not JSON ({error})") from None
        if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
            value = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
        rows = worker.as_rows(value)
        if rows is None:
            raise ValueError("it is neither a number, nor an object of plain values, nor a list of those")
        return rows
    if kind in ("csv", "tsv"):
        lines = [row for row in csv.reader(io.StringIO(text), delimiter="\t" if kind == "tsv" else ",") if row]
        if not lines:
            return {}
        names, rows_ = lines[0], lines[1:]
        if not rows_ and all(_number(cell) is not None for cell in names):  # numbers without a header
            names, rows_ = [f"value_{i + 1}" if len(names) > 1 else "value" for i in range(len(names))], [names]
        if len(names) == len(rows_[0]) - 1 if rows_ else False:  # R's write.table leaves the row names' header out
            names = ["row_name", *names]
        for i, row in enumerate(rows_):
            if len(row) != len(names):
                raise ValueError(f"row {i + 1} has {len(row)} cells where the header has {len(names)}")
        names = [n or "row_name" for n in names]
        return {n: [row[j] for row in rows_] for j, n in enumerate(names)}
    values = text.split()
    numbers = [_number(v) for v in values]
    for value, number in zip(values, numbers, strict=True):
        if number is None:
            raise ValueError(f"{value[:40]!r} is not a number")
    return {f"value_{i + 1}" if len(values) > 1 else "value": [v] for i, v in enumerate(values)}


def _number(text: str) -> float | None:
    if text in ("NA", ""):
        return math.nan
    try:
        return float(text)
    except ValueError:
        return None


def _typed(column: list[Any]) -> list[Any]:
    """Texts of a CSV column as what they all can be: logicals, numbers or strings; NA and empty cells as None."""
    if not all(isinstance(v, str) for v in column):
        return column
    given = [v for v in column if v not in ("", "NA")]
    if given and all(v in ("TRUE", "FALSE", "True", "False", "true", "false") for v in given):
        return [None if v in ("", "NA") else v.lower() == "true" for v in column]
    if given and all(_number(v) is not None for v in given):
        return [None if v in ("", "NA") else float(v) for v in column]
    return [None if v == "NA" else v for v in column]
