"""The parts of the page: sections, tables, figures of which the reader chooses one. Whatever comes from the user is escaped here."""

import base64
import hashlib
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence

from .looks import SCRIPT, STYLE
from .svg import escaped

MOST_ROWS = 2000  # of a table in the page
SEPARATOR = "\x1e"  # between packed pieces; no text that is escaped has it


def document(title: str, head: str, sections: Iterable[tuple[str, str]]) -> str:
    """The whole page. head: HTML below the title. sections: headings with their HTML; those without HTML are left out."""
    there = [(f"s{i}", name, body) for i, (name, body) in enumerate(sections) if body]
    allowed = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'; img-src data:; base-uri 'none'"
    )
    links = "".join(f'<a href="#{mark}">{escaped(name)}</a>' for mark, name, _ in there)
    bodies = "".join(f'<section id="{mark}"><h2>{escaped(name)}</h2>{body}</section>\n' for mark, name, body in there)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        f'<meta name="viewport" content="width=device-width"><title>{escaped(title)}</title><style>{STYLE}</style></head>\n'
        f"<body><h1>{escaped(title)}</h1>{head}<nav>{links}</nav>\n{bodies}<script>{SCRIPT}</script></body></html>\n"
    )


def words(text: object) -> str:
    """A text of the user's, with its lines."""
    return f'<div class="words">{escaped(text)}</div>'


def note(text: object) -> str:
    return f'<p class="note">{escaped(text)}</p>'


def code(text: object) -> str:
    return f"<pre>{escaped(text)}</pre>"


def details(summary: str, body: str) -> str:
    return f"<details><summary>{escaped(summary)}</summary>{body}</details>"


def facts(rows: Mapping[str, object]) -> str:
    """Names and values; empty values are left out."""
    lines = [f"<tr><th>{escaped(n)}</th><td>{escaped(v)}</td></tr>" for n, v in rows.items() if v not in (None, "")]
    return f"<table>{''.join(lines)}</table>"


def table(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    numeric: Collection[int] = (),
    keys: Collection[int] = (),
    titles: Mapping[tuple[int, int], str] | None = None,
    many: int | None = None,
) -> str:
    """A table that can be sorted and filtered. numeric: columns of numbers; keys: columns by whose values rows are chosen. titles: of
    cells, by row and column, shown when the mouse is on them. many: rows that there are in all, where not all are given."""
    titles = titles or {}
    heads = ""
    for i, name in enumerate(names):
        kind = f"{' class=n' if i in numeric else ''}{' data-key' if i in keys else ''}"
        heads += f"<th{kind}><button>{escaped(name).replace('_', '_<wbr>')}</button></th>"
    lines = []
    for r, row in enumerate(rows[:MOST_ROWS]):
        cells = []
        for i, value in enumerate(row):
            title = f' title="{escaped(titles[r, i])}"' if (r, i) in titles else ""
            cells.append(f"<td{'' if i in numeric else ' class=t'}{title}>{escaped(value)}")
        lines.append(f"<tr>{''.join(cells)}")
    shown, many = min(len(rows), MOST_ROWS), len(rows) if many is None else many
    left = note(f"The first {shown:,} of {many:,} rows.") if shown < many else ""
    return (
        f'<div class="tools" hidden><input type="search" placeholder="filter" aria-label="filter"><output>{shown} rows</output></div>'
        f'<div class="wide"><table class="data"><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>{left}'
    )


def chooser(label: str, choices: Iterable[tuple[str, str]]) -> str:
    """One of several pieces of HTML at a time. The first is in the page as it is, the others are packed until they are chosen."""
    names, bodies = [], []
    for name, body in choices:
        names.append(f"<option>{escaped(name)}</option>")
        bodies.append(body)
    if not names:
        return ""
    first, *others = bodies
    packed = zlib.compress(SEPARATOR.join(others).encode(), 9)
    rest = f"<template>{base64.b64encode(packed).decode()}</template>" if others else ""
    select = f'<div class="tools" hidden><label>{escaped(label)} <select>{"".join(names)}</select></label></div>'
    return (
        f'<div class="chooser">{select}<p class="only">{names[0][8:-9]}</p><div class="view">{first}</div>{rest}</div>'
    )


def figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escaped(caption)}</figcaption></figure>"
