"""Reads delimited text files: finds the separator and the decimal mark. A file that can be read in two ways is refused.

Commas separate columns, unless only semicolons, tabs or spaces give rows of equal length. Then a comma is a decimal mark, as in
files of R's write.csv2() and of spreadsheets in many countries.
"""

import csv
import io
import re
from collections.abc import Callable

_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")  # 0,25
_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")  # 1,234 and 1,234.5
_POINT_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d+")  # 1.234,5
_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_FOR_EXCEL = re.compile(r"\A\"?sep=[,;\t]\"?\r?\n")  # a line that tells it the separator
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "spaces"}


class Quoted(str):
    """A cell that was in quotes."""


def read_delimited(text: str, is_value: Callable[[str], bool], separator: str = ",") -> list[list[str]]:
    """The rows of a file, including the header; numbers have decimal points.

    separator: the one that the file's name implies. is_value: whether a cell is a number, a logical or a missing value.
    Raises ValueError with the reason where the file can't be read.
    """
    if "\0" in text or text.startswith(("\xff\xfe", "\xfe\xff")):
        raise ValueError("it is not UTF-8 (UTF-16?)")
    text = _FOR_EXCEL.sub("", text.removeprefix("\xef\xbb\xbf"))
    try:
        usual = [row for row in csv.reader(io.StringIO(text), delimiter=separator) if row]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    if separator == "," and ";" not in text and "\t" not in text and _fit(usual) == "whole":
        return usual  # nearly every file
    if not usual:
        return []
    found, rows = _separated(text, separator, usual, is_value)
    return rows if found == "," else _with_points(rows, found)


def _separated(
    text: str, usual_separator: str, usual: list[list[str]], is_value: Callable[[str], bool]
) -> tuple[str, list[list[str]]]:
    """The separator that gives rows of equal length, and the rows."""
    ways = {s: _cells(text, s) for s in _NAMES if s in text}
    spaced = ways.pop(" ", None)
    for fit in ("whole", "row names"):
        fitting = {s: rows for s, rows in ways.items() if _fit(rows) == fit}
        if len(fitting) > 1:  # prefer one whose cells hold no other separator
            fitting = {s: rows for s, rows in fitting.items() if not _holds_others(rows, s)} or fitting
        if fit == "row names" and spaced is not None and _are_spaced(spaced, is_value):
            fitting = {" ": spaced}
        if len(fitting) > 1:
            raise ValueError(f"{' or '.join(_NAMES[s] for s in fitting)} could separate its columns")
        for found, rows in fitting.items():
            numbered = found == " " and len(rows) > 2 and _are_numbered(rows)
            if _fit(rows) == "row names" and found in ", " and not numbered:
                _one_number_or_two(rows, found)
            return found, rows
    return usual_separator, usual


def _are_spaced(rows: list[list[str]], is_value: Callable[[str], bool]) -> bool:
    """Whether spaces separate columns and are not parts of texts: names are in quotes, all cells are values, or the rows' names are
    their numbers, as R's print() and write.table(quote = FALSE) write them."""
    if not _fit(rows):
        return False
    if _are_numbered(rows):
        return True
    names, *rest = rows
    values = [cell for row in rest for cell in row[len(row) - len(names) :]]
    return any(isinstance(cell, Quoted) for cell in names) or all(is_value(c) or _COMMA.fullmatch(c) for c in values)


def _are_numbered(rows: list[list[str]]) -> bool:
    """Whether the header lacks a name for the first cells, and these are 1, 2, 3, ..."""
    return _fit(rows) == "row names" and [row[0] for row in rows[1:]] == [str(i) for i in range(1, len(rows))]


def _fit(rows: list[list[str]]) -> str:
    """Whether rows are as long as the header ("whole"), one cell longer ("row names", which R leaves out of the header), or neither
    ("")."""
    if not rows:
        return ""
    width = len(rows[0])
    widths = {len(row) for row in rows[1:]}
    if width > 1 and widths <= {width}:
        return "whole"
    return "row names" if widths == {width + 1} else ""


def _holds_others(rows: list[list[str]], separator: str) -> bool:
    others = [s for s in (",", ";", "\t") if s != separator]
    return any(
        other in cell and not (other == "," and _COMMA.fullmatch(cell))
        for row in rows
        for cell in row
        if not isinstance(cell, Quoted)
        for other in others
    )


def _one_number_or_two(rows: list[list[str]], separator: str) -> None:
    """Raises ValueError where a row's name and its first number could be one number: 0,25 or 1 234."""
    second = r"\d+(?:[eE][+-]?\d+)?" if separator == "," else r"\d{3}(?:[.,]\d+)?"
    for row in rows[1:]:
        parts = zip(row[:2], (r"[+-]?\d+", second), strict=True)
        if all(not isinstance(cell, Quoted) and re.fullmatch(like, cell) for cell, like in parts):
            raise ValueError(
                f"{separator.join(row[:2])!r} could be one number or two: the header has one name fewer than the row has cells. "
                "Write decimal points, and a name for each column"
            )


def _cells(text: str, separator: str) -> list[list[str]]:
    """The rows as csv.reader reads them, with cells in quotes as `Quoted`. Several spaces count as one separator."""
    mark = re.escape(separator)
    cell = re.compile(
        rf'(?:"((?:[^"]|"")*)"|((?:[^"{mark}\r\n][^{mark}\r\n]*)?))({mark}{"+" if separator == " " else ""}|\r?\n|\r|\Z)'
    )
    rows: list[list[str]] = []
    row: list[str] = []
    at = 0
    while at < len(text):
        match = cell.match(text, at)
        if match is None:  # text after a closing quote
            return []
        quoted, plain, end = match.groups()
        if not (separator == " " and plain == "" and (not row or end[:1] != " ")):  # spaces that begin or end a line
            row.append(Quoted(quoted.replace('""', '"')) if quoted is not None else plain)
        at = match.end()
        if end[:1] != separator:
            if row != [""]:
                rows.append(row)
            row = []
    if row:  # the last line ended with a separator
        rows.append([*row, ""])
    return [row for row in rows if row]


def _with_points(rows: list[list[str]], separator: str) -> list[list[str]]:
    """The rows with decimal commas changed to points, and without commas between thousands."""
    plain = [cell for row in rows for cell in row if not isinstance(cell, Quoted)]
    if len(plain) == 0 or not any(not isinstance(c, Quoted) for row in rows[1:] or rows for c in row):
        plain = [cell for row in rows for cell in row]  # where all cells are in quotes, quotes mean nothing
    informative = set(plain)
    commas = [cell for cell in informative if "," in cell]
    decimal = [c for c in commas if _POINT_GROUPS.fullmatch(c) or (_COMMA.fullmatch(c) and not _GROUPS.fullmatch(c))]
    thousands = [c for c in commas if _GROUPS.fullmatch(c) and ("." in c or c.count(",") > 1)]
    either = [c for c in commas if _GROUPS.fullmatch(c) and c not in thousands]
    if not (decimal or thousands or either):
        return rows
    points = [c for c in informative if _POINT.fullmatch(c)]
    if decimal and (thousands or points):
        raise ValueError(f"it has decimal commas, as in {decimal[0]!r}, and points, as in {(thousands + points)[0]!r}")
    if either and not thousands and (points or (not decimal and separator != ";")):
        raise ValueError(
            f"the comma in {either[0]!r} could be a decimal mark or separate thousands. Write decimal points"
        )
    if thousands:
        made = {c: c.replace(",", "") for c in [*thousands, *either]}
    else:
        made = {c: c.replace(".", "").replace(",", ".") for c in [*decimal, *either]}
    all_plain = len(plain) == sum(map(len, rows))
    return [[made.get(c, c) if all_plain or not isinstance(c, Quoted) else c for c in row] for row in rows]
