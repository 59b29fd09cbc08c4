"""Notebooks: tables in HTML, and a display that is updated in place."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from .terminal import visible


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, whose displays can be updated."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ == "ZMQInteractiveShell"


def facts(title: str, rows: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """A table of names and values in HTML. Values that are None or empty are left out."""
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    lines = [
        f'<tr><th style="text-align:left">{_shown(name)}</th><td style="text-align:left">{_shown(value)}</td></tr>'
        for name, value in pairs
        if value not in (None, "")
    ]
    return f"<div><b>{_shown(title)}</b><table>{''.join(lines)}</table></div>"


def _shown(value: Any) -> str:
    text = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    from html import escape

    return escape(visible(text))


class Live:
    """Shows progress in the output of a cell, in place. A frontend without HTML shows the text."""

    def __init__(self) -> None:
        self._display: Any = None

    def show(self, text: str, done: int, total: int) -> None:
        bar = f'<progress value="{done}" max="{max(total, 1)}" style="width:20em"></progress> {_shown(text)}'
        shown = {"text/plain": visible(text), "text/html": bar}
        if self._display is None:
            self._display = sys.modules["IPython"].display.display(shown, raw=True, display_id=True)
        else:
            self._display.update(shown, raw=True)
