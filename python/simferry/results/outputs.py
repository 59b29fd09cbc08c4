"""Reads results files of whole scripts and commands: CSV, JSON, .rds, .RData, or bare numbers, by the file's name."""

import json
import math
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from ..sweep.template import has_wildcards
from ..worker import blocks
from ..worker.forms import ListCell, column_of
from ..worker.metrics import LAST
from ..worker.rows import Groups, Refused, add_rows, as_rows, kinds_apart, results_table
from .contents import R_FORMS, READ, as_text, looks_like, unpacked
from .delimited import Quoted, read_delimited

_MISSING = ("", "NA")
_LOGICALS = ("TRUE", "FALSE", "True", "False", "true", "false")
_NOT_FINITE = {"NA": None, "NaN": math.nan, "Inf": math.inf, "-Inf": -math.inf}
_QUOTED = re.compile(r'"[^"]*"(?:[,;\t ]"[^"]*")*')
_PACKED = (".gz", ".bz2", ".xz")
Rows = dict[str, list[Any]]
_EXACT = 2**53  # doubles hold all whole numbers up to this one
# the forms of cells: texts, JSON's values, R's values
_TEXT, _JSON, _R = _FORMS = "text", "json", "r"
Place = tuple[int, ...]  # of columns that are there together: condition, replication, form, and their number there


class Outputs:
    """The results files of replications, read as tables as functions' results have them.

    pattern: their name as the user gave it, perhaps with wildcards, which give the rows a column `file`.
    """

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        # of each column over all files: its type must not depend on the blocks
        self._kinds: dict[tuple[str, str], set[str]] = {}
        # where columns come first: their order must not depend on the blocks either
        self._first: dict[tuple[str, tuple[str, ...]], Place] = {}

    def read(self, part: blocks.Table) -> tuple[dict[str, Groups], list[tuple[int, int, str]]]:
        """The rows in a block's files, by the form of their cells; and (condition, replication, reason) of files that can't be read.

        part: a table of condition, replication, and name and content of a results file (or only its text).
        """
        unreadable = []
        groups: dict[str, Groups] = {_TEXT: {}, _JSON: {}, _R: {}}
        for condition, replication, files in _files(part, self.pattern):
            try:
                found = _rows_of_files(files, self.pattern)
            except ValueError as error:
                unreadable.append((condition, replication, str(error)))
                continue
            for number, (form, rows) in enumerate(found):
                if any(rows.values()):
                    add_rows(groups[form], condition, replication, rows)
                    place, group = (condition, replication, _FORMS.index(form), number), (form, tuple(rows))
                    self._first[group] = min(place, self._first.get(group, place))
        for form, some in groups.items():
            for names, (_, _, columns) in some.items():
                for label, column in zip(names, columns, strict=True):
                    self._kinds.setdefault((form, label), set()).update(map(_kind, column))
        return groups, unreadable

    def tables(self, groups: dict[str, Groups]) -> Iterator[tuple[blocks.Table, Place]]:
        """Rows that were read, once all files were, and the first place of their columns."""
        for form, some in groups.items():
            for names, (cs, rs, columns) in some.items():
                kinds = [self._kinds[form, name] for name in names]
                typed = [_typed(column, kind, form) for column, kind in zip(columns, kinds, strict=True)]
                for c, r, parts in [(cs, rs, typed)] if form == _TEXT else kinds_apart(cs, rs, typed):
                    made = results_table(c, r, {n: column_of(part) for n, part in zip(names, parts, strict=True)})
                    yield made, self._first[form, names]


def _files(part: blocks.Table, name: str) -> Iterator[tuple[int, int, list[tuple[str, bytes]]]]:
    """Condition, replication, and the names and contents of the results files."""
    columns = part.columns
    ids = [columns[c].values.tolist() for c in ("condition", "replication")]
    if "text" in columns:  # of earlier workers
        names, contents = [name] * part.rows, [(text or "").encode() for text in columns["text"].strings()]
    else:
        names = [text or "" for text in columns["name"].strings()]
        contents = [content or b"" for content in columns["content"].raws()]
    for (condition, replication), some in groupby(zip(*ids, names, contents, strict=True), key=lambda row: row[:2]):
        yield condition, replication, [(row[2], row[3]) for row in some]


def _rows_of_files(files: list[tuple[str, bytes]], pattern: str) -> list[tuple[str, Rows]]:
    last = next((json.loads(content) for name, content in files if name == LAST), None)
    files = [file for file in files if file[0] != LAST]
    if last is not None and not files:
        return [(_TEXT, {name: [text or ""] for name, text in last.items()})]
    if len(files) > 1 and not has_wildcards(pattern):
        raise ValueError(f"{' and '.join(n for n, _ in files)} are both {pattern}: one of them is too many")
    out = []
    for name, content in files:
        try:
            form, rows = read_file(content, name)
        except ValueError as error:
            raise ValueError(f"{name} can't be read: {error}") from None
        if has_wildcards(pattern) and rows:
            label, number = "file", 0
            while label in rows:
                number += 1
                label = f"file_{number}"
            rows = {label: [name] * len(next(iter(rows.values()))), **rows}
        out.append((form, with_metrics(form, rows, last or {})))
    return out


def with_metrics(form: str, rows: Rows, last: dict[str, str | None]) -> Rows:
    """The rows of a results file, and in each the last values of metrics, as texts. A metric whose name the file has gets another one."""
    count, out = len(next(iter(rows.values()), [])), dict(rows)
    for name, text in last.items():
        value = (text or "") if form == _TEXT else float(text) if text else None
        while name in out:
            name += "_metric"
        out[name] = [value] * count
    return out


def read_output(content: str | bytes, name: str) -> Rows:
    """The columns of one results file. Raises ValueError with the reason where it can't be read."""
    return read_file(content.encode() if isinstance(content, str) else content, name)[1]


def read_typed(content: bytes, name: str) -> list[dict[str, Any]]:
    """The rows of one results file, each column of the type that fits all of its cells. Raises ValueError with the reason."""
    try:
        form, rows = read_file(content, name)
    except ValueError as error:
        raise ValueError(f"{name} can't be read: {error}") from None
    columns = {label: _typed(column, set(map(_kind, column)), form) for label, column in rows.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def read_file(content: bytes, name: str) -> tuple[str, Rows]:
    """The form of a results file's cells, and its columns. Raises ValueError."""
    try:
        return _read_file(content, name)
    except Refused as error:  # as where a function had returned it
        raise ValueError(str(error).replace("the simulation returned", "it holds")) from None


def _read_file(content: bytes, name: str) -> tuple[str, Rows]:
    base = name.lower()
    for ending in _PACKED:
        base = base.removesuffix(ending)
    kind = base.rpartition(".")[2] if "." in base else ""
    data = unpacked(content)
    if data.startswith(R_FORMS):
        from .r_files import read_r  # loads pandas

        return _R, read_r(data)
    if kind in ("rds", "rdata", "rda"):
        raise ValueError(f"it looks like {looks_like(data)}, not like what saveRDS() or save() writes. {READ}")
    text = as_text(data).removeprefix("\ufeff")
    looks = looks_like(data)
    if looks[:4] not in ("text", "JSON") and data.strip():
        no_text = "it is not UTF-8: " if looks in ("UTF-16", "a binary file") else ""
        raise ValueError(f"{no_text}it looks like {looks}. {READ}")
    if kind in ("json", "jsonl", "ndjson"):
        return _JSON, _read_json(text, looks)
    if kind in ("csv", "tsv"):
        if looks == "JSON" and _is_json(text):
            raise ValueError(f"it looks like JSON. {READ}")
        return _TEXT, _read_table(text, "\t" if kind == "tsv" else ",")
    return _read_unnamed(text, looks)


def _loaded(text: str) -> Any:
    """The value of JSON, or a list of those of JSON lines."""
    try:
        return json.loads(text)
    except ValueError:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(_is_json(line) for line in lines):
            raise
        return [json.loads(line) for line in lines]


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def _read_json(text: str, looks: str) -> Rows:
    try:
        value = _loaded(text)
    except ValueError as error:
        more = "" if looks == "JSON" else f": it looks like {looks}. {READ}"
        raise ValueError(f"it is not JSON ({error}){more}") from None
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        if len({len(v) for v in value.values()}) > 1:
            raise ValueError("its columns have different lengths")
        value = [dict(zip(value, row, strict=True)) for row in zip(*value.values(), strict=True)]
    rows = as_rows(value)
    if rows is None:
        raise ValueError("it is neither a number, nor an object of plain values, nor a list of those")
    return rows


def _read_table(text: str, separator: str) -> Rows:
    lines = read_delimited(text, _is_value, separator)
    if not lines:
        return {}
    names, rows = lines[0], lines[1:]
    if _are_values(names) and not (rows and _has_quoted_names(text)):
        names, rows = [f"value_{i + 1}" if len(names) > 1 else "value" for i in range(len(names))], lines
    elif not rows and any(_number(cell) is not None for cell in names):
        raise ValueError(f"its only line, {separator.join(names)[:40]!r}, could be a header or values. Write a header")
    if rows and len(names) == len(rows[0]) - 1:  # R's write.table leaves row names out of the header
        names = ["row_name", *names]
    for i, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"row {i + 1} has {len(row)} cells where the header has {len(names)}")
    names = [n or "row_name" for n in names]
    if twice := [n for n in names if names.count(n) > 1]:
        raise ValueError(f"it has {names.count(twice[0])} columns named {twice[0]!r}")
    return {n: [row[j] for row in rows] for j, n in enumerate(names)}


def _read_unnamed(text: str, looks: str) -> tuple[str, Rows]:
    """A file whose name does not say what it is, such as .txt: numbers, or else JSON, or a table with a header."""
    values = text.split()
    no_number = next((v for v in values if v != "NA" and _number(v) is None), None)
    if no_number is None:
        return _TEXT, {f"value_{i + 1}" if len(values) > 1 else "value": [v] for i, v in enumerate(values)}
    if looks == "JSON":
        return _JSON, _read_json(text, looks)
    try:
        if _has_header(read_delimited(text, _is_value, ",")):
            return _TEXT, _read_table(text, ",")
        why = "it has no header and rows of equal length"
    except ValueError as error:
        why = str(error)
    raise ValueError(f"{no_number[:40]!r} is not a number, and it is no table: {why}. It looks like {looks}. {READ}")


def _has_header(lines: list[list[str]]) -> bool:
    """Whether rows are a table under a header, and not a text whose lines can be cut alike."""
    if len(lines) < 2:
        return False
    names, rows = lines[0], lines[1:]
    if {len(row) for row in rows} - {len(names), len(names) + 1} or len({len(row) for row in rows}) > 1:
        return False
    if any(name != name.strip() or (_number(name) is not None and not isinstance(name, Quoted)) for name in names):
        return False
    return any(all(_is_value(row[j]) for row in rows) for j in range(len(rows[0])))


def _are_values(first: list[str]) -> bool:
    """Whether a file's first line holds numbers, so that it is no header. 0, 1, 2, ... is a header: pandas writes it."""
    numbered = len(first) > 1 and first == [str(i) for i in range(len(first))]
    are_numbers = [_number(cell) is not None for cell in first]
    plain = all(
        is_number or cell == "NA" or cell in _LOGICALS for is_number, cell in zip(are_numbers, first, strict=True)
    )
    return not numbered and plain and any(are_numbers)


def _has_quoted_names(text: str) -> bool:
    """Whether all cells of the first line are in quotes, and not all of the second: R writes the names of columns so."""
    first, second = [line for line in text.splitlines() if line.strip()][:2]
    return _QUOTED.fullmatch(first.strip()) is not None and _QUOTED.fullmatch(second.strip()) is None


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
    if value is None or (isinstance(value, str) and value in _MISSING):
        return "missing"
    if not isinstance(value, str):
        return "logical" if isinstance(value, bool) else "number"
    if value in _NOT_FINITE:
        return "not finite"
    if value in _LOGICALS:
        return "logical text"
    if _number(value) is None:
        return "text"
    if not value.lstrip("+-").isdigit():
        return "number text"
    return "long text" if len(value) > 15 and abs(int(value)) > _EXACT else "whole text"


def _typed(column: list[Any], kinds: set[str], form: str) -> list[Any]:
    """A column's cells in the type that fits all of them; NA and empty cells are None.

    JSON has its own types, but no NA, NaN and Inf: R's jsonlite writes those as texts among the numbers.
    """
    if form == _R:
        return column
    kinds = kinds - {"missing"}
    if form == _JSON:
        column = [ListCell(_typed(list(v), set(map(_kind, v)), form)) if type(v) is ListCell else v for v in column]
        if kinds == {"number", "not finite"} or kinds == {"number"}:
            return [_NOT_FINITE.get(v) if isinstance(v, str) else v for v in column]
        return column
    if kinds == {"logical text"}:
        return [None if v in _MISSING else v.lower() == "true" for v in column]
    if "long text" in kinds and kinds <= {"whole text", "long text"}:
        return [None if v in _MISSING else int(v) for v in column]
    if kinds <= {"whole text", "long text", "number text", "not finite"}:
        return [None if v in _MISSING else float(v) for v in column]
    return [None if v == "NA" else v for v in column]
