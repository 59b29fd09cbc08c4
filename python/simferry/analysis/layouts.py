"""A table of measures as text, for a terminal and for papers: numbers with the digits that their standard errors support."""

import csv
import io
import math
from typing import Any

import pyarrow as pa

from .measure_table import MeasureTable


def digits(estimate: float, mcse: float) -> tuple[str, str]:
    """An estimate and its MCSE as text: the MCSE with two digits, the estimate with as many decimals."""
    if math.isnan(estimate):
        return "", ""
    if not math.isfinite(mcse) or mcse <= 1e-13 * abs(estimate):  # of numbers that differ by their rounding alone
        return f"{estimate:.4g}", "0" if math.isfinite(mcse) else ""
    places = 1 - math.floor(math.log10(mcse))
    if places < 0:
        return f"{round(estimate, places):.0f}", f"{round(mcse, places):.0f}"
    return f"{estimate:.{places}f}", f"{mcse:.{places}f}"


def in_layout(found: MeasureTable, layout: str) -> str:
    """The table as text. layout: table, csv (with all digits), latex or markdown."""
    if layout == "csv":
        return _csv(found)
    names, rows, right = cells(found)
    if layout == "latex":
        return _latex(names, rows, right)
    if layout == "markdown":
        return _markdown(names, rows, right)
    return _columns(names, rows, right)


def cells(found: MeasureTable) -> tuple[list[str], list[list[str]], list[bool]]:
    """Names of columns, rows of cells, and which columns are right-aligned: without nominal values where there are none."""
    frame = found.table.to_pydict()
    shown = [digits(*pair) for pair in zip(_of(frame, "estimate"), _of(frame, "mcse"), strict=True)]
    for i, name in enumerate(("estimate", "mcse")):
        frame[_named(frame, name)] = [pair[i] for pair in shown]
    names = list(frame)
    columns = [[_text(value) for value in frame[name]] for name in names]
    keep = [i for i, name in enumerate(names) if name != "nominal" or any(columns[i])]
    kept = [names[i] for i in keep]
    types = [found.table.schema.field(name).type for name in kept]
    right = [pa.types.is_floating(one) or pa.types.is_integer(one) for one in types]
    return kept, [list(row) for row in zip(*(columns[i] for i in keep), strict=True)], right


def constant(found: MeasureTable) -> list[str]:
    """The columns with one value in all rows."""
    return [name for name in found.table.column_names if len(found.table[name].unique()) < 2]


def _named(frame: dict[str, Any], name: str) -> str:
    return f"{name}_result" if f"{name}_result" in frame else name


def _of(frame: dict[str, Any], name: str) -> list[Any]:
    return list(frame[_named(frame, name)])


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split("\n"))


def _columns(names: list[str], rows: list[list[str]], right: list[bool]) -> str:
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = []
    for row in [names, *rows]:
        cells = [text.rjust(w) if r else text.ljust(w) for text, w, r in zip(row, widths, right, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def _markdown(names: list[str], rows: list[list[str]], right: list[bool]) -> str:
    rule = ["---:" if r else "---" for r in right]
    escaped = [[text.replace("|", "\\|") for text in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in [names, rule, *escaped])


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}


def _latex(names: list[str], rows: list[list[str]], right: list[bool]) -> str:
    def escaped(text: str) -> str:
        return "".join(_LATEX.get(c, c) for c in text)

    body = ["  " + " & ".join(map(escaped, row)) + r" \\" for row in rows]
    head = "  " + " & ".join(map(escaped, names)) + r" \\"
    kinds = "".join("r" if r else "l" for r in right)
    return "\n".join(
        [f"\\begin{{tabular}}{{{kinds}}}", r"  \hline", head, r"  \hline", *body, r"  \hline", r"\end{tabular}", ""]
    )


def _csv(found: MeasureTable) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(found.table.column_names)
    for row in zip(*found.table.to_pydict().values(), strict=True):
        writer.writerow(["" if v is None or v != v else repr(v) if isinstance(v, float) else _text(v) for v in row])
    return out.getvalue()
