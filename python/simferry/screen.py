"""Draws on a terminal: a progress bar, a status line, tables."""

import functools
import math
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .system.notebook import Live, in_notebook
from .system.terminal import shown, styled, unguarded, visible
from .words import counted

if TYPE_CHECKING:
    from .driver.progress import Progress


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[["Progress"], None]]:
    """A callback that shows replications done, rate, failures and time left: as a bar on a terminal, else a line every 10 seconds."""
    if not show:
        yield lambda _: None
    elif in_notebook():
        live = Live()
        yield lambda now: live.show(
            f"{now.done:,} of {counted(now.total, 'replication')}, {now.text}", now.done, now.total
        )
    elif _redraws():
        bars: list[Any] = []

        def update(now: "Progress") -> None:
            if not bars:  # only now, while a job works: loading it takes as long as a short job
                bars.append(_bar())
            bars[0].start()  # below what was printed before
            bars[0].update(bars[0].task_ids[0], total=now.total, completed=now.done, text=visible(now.text))

        try:
            yield update
        finally:
            for bar in bars:
                try:
                    bar.stop()
                except IndexError:  # Ctrl-C came while the bar was starting
                    bar.console.show_cursor()
    else:
        last = time.monotonic()

        def line(now: "Progress") -> None:
            nonlocal last
            if time.monotonic() - last > 10:
                last = time.monotonic()
                print(
                    f"{now.done:,} of {counted(now.total, 'replication')}, {now.text}",
                    file=sys.stderr,
                    flush=True,
                )

        yield line


def _bar() -> Any:
    """A bar of rich with one task."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(file=unguarded(sys.stderr))
    columns = (
        BarColumn(bar_width=30 if console.width >= 110 else 8),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    bar = Progress(*columns, console=console, transient=True)
    bar.add_task("", total=None, text="")
    return bar


@contextmanager
def shown_progress(on_progress: Callable[["Progress"], None] | None) -> Iterator[Callable[["Progress"], None]]:
    """The user's callback; without one, a progress bar where standard error is a terminal, and in a notebook."""
    if on_progress is not None:
        yield on_progress
        return
    with progress_bar(show=on_terminal() or in_notebook()) as bar:
        yield bar


@contextmanager
def last_line(show: bool) -> Iterator[Callable[[str], None]]:
    """A callback that shows the current step; on a terminal in one line, which is erased at the end."""
    if not show:
        yield lambda _: None
    elif not _redraws():
        yield lambda line: click.echo(f"  {line}", err=True)
    else:
        width = shutil.get_terminal_size().columns - 3
        terminal = unguarded(sys.stderr)
        try:
            yield lambda line: print(f"\r\033[K  {visible(line)[:width]}", end="", file=terminal, flush=True)
        finally:
            print("\r\033[K", end="", file=terminal, flush=True)


def _redraws() -> bool:
    """Whether standard error is a terminal that can draw a line anew. Emacs and some editors set TERM=dumb: theirs can't."""
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


MOST_ROWS, MOST_PARTS = 40, 3  # of a table, on a terminal


class Head(NamedTuple):
    """The first rows of a table's first columns, each an array; how many rows it has, and the names of all its columns.

    right: which columns are right-aligned; None: those of numbers. constant: names of the columns that have one value in all rows; None:
    as the rows say, where these are all. spare: names of columns that are left out first where there is no room.
    """

    columns: Sequence[Any]
    rows: int
    names: Sequence[Any]
    right: Sequence[bool] | None = None
    constant: Collection[str] | None = None
    spare: Sequence[str] = ()


def most_columns() -> int:
    """As many columns as a terminal may show: the narrowest takes three characters."""
    return max(2, MOST_PARTS * (shutil.get_terminal_size().columns // 3))


def show_table(frame: Any) -> None:
    """A pandas.DataFrame as columns of text: all of it, unless on a terminal, which shows its head."""
    if sys.stdout.isatty():
        first = [frame.iloc[:MOST_ROWS, i] for i in range(min(most_columns(), frame.shape[1]))]
        show_head(Head(first, len(frame), frame.columns))
    else:
        _print_columns([Column(str(name), frame.iloc[:, i]) for i, name in enumerate(frame.columns)])


def show_columns(columns: Mapping[str, Sequence[Any]]) -> None:
    """Lists of equal length as columns of text, as `show_table` shows them."""
    import numpy as np

    arrays = [np.array(values) for values in columns.values()]
    if sys.stdout.isatty():
        show_head(Head([one[:MOST_ROWS] for one in arrays], len(arrays[0]), list(columns)))
    else:
        _print_columns([Column(name, values) for name, values in zip(columns, arrays, strict=True)])


def show_head(head: Head) -> None:
    """The first rows of a table, on a terminal.

    On one that is too narrow, a column with the same value in all rows is shown once, above the table, and the other columns
    continue below, after the first column again. There are at most three such parts; a note says what was left out.
    """
    width, most = shutil.get_terminal_size().columns, most_columns()
    columns = [Column(str(name), values) for name, values in zip(head.names[:most], head.columns[:most], strict=True)]
    rows = len(columns[0].cells) if columns else 0
    for i, column in enumerate(columns):
        column.clip(max(20, width // 2))
        if head.right is not None:
            column.right = head.right[i]
    if total_width(columns) > width and rows > 1:
        constant = head.constant
        if constant is None:
            constant = [c.name for c in columns if head.rows == rows and len(set(c.cells)) == 1]
        same = [c for c in columns[1:] if c.name in constant]
        columns = [c for c in columns if c not in same]
        if same:
            everywhere = "in all rows: " + ", ".join(f"{c.name} {c.cells[0] or '(empty)'}" for c in same)
            click.echo(textwrap.fill(everywhere, width, subsequent_indent="  ") + "\n")
    spared = []
    for name in head.spare:
        if total_width(columns) > width and any(c.name == name for c in columns):
            columns = [c for c in columns if c.name != name]
            spared.append(name)
    first, rest = columns[:1], columns[1:]
    for part in range(MOST_PARTS):
        used, fitting = total_width(first), 0
        while fitting < len(rest) and (fitting == 0 or used + rest[fitting].width + 2 <= width):
            used += rest[fitting].width + 2
            fitting += 1
        _print_columns([*first, *rest[:fitting]], bold_names=True)
        rest = rest[fitting:]
        if not rest:
            break
        if part < MOST_PARTS - 1:
            click.echo()
    _say_what_is_left_out(head.rows - rows, [*spared, *head.names[max(0, min(most, len(head.names)) - len(rest)) :]])


def _print_columns(columns: list["Column"], bold_names: bool = False) -> None:
    lines = zip(*(column.lines() for column in columns), strict=True)
    for number, line in enumerate(lines):
        text = "  ".join(line).rstrip()
        click.echo(styled(text, sys.stdout, bold=True) if bold_names and number == 0 else text)


def _say_what_is_left_out(rows: int, names: Sequence[Any]) -> None:
    parts = [counted(rows, "more row")] if rows else []
    if len(names):
        which = ", ".join(map(str, names if len(names) <= 3 else [names[0], "…", names[-1]]))
        parts += [f"{counted(len(names), 'more column')}: {which}"]
    if parts:
        click.echo(f"... and {', and '.join(parts)} (-o FILE writes them all)")


class Column:
    """A column's name and cells as text, right-aligned if they are numbers."""

    def __init__(self, name: str, values: Any) -> None:
        self.name = shown(name, sys.stdout)
        texts = [cell(value) for value in values]
        if values.dtype.kind != "f":  # in a column of texts, pandas has NaN for none
            texts = [
                "" if isinstance(value, float) and math.isnan(value) else text
                for value, text in zip(values, texts, strict=True)
            ]
        self.cells = [shown(text, sys.stdout) for text in texts]  # escaped, as width counts what is shown
        self.right = values.dtype.kind in "ifub"

    def clip(self, width: int) -> None:
        self.cells = [text if len(text) <= width else f"{text[: width - 1]}…" for text in self.cells]
        vars(self).pop("width", None)

    @functools.cached_property
    def width(self) -> int:
        return max(map(_cells, [self.name, *self.cells]))

    def lines(self) -> list[str]:
        width = self.width
        texts = [self.name, *self.cells]
        return [" " * (width - _cells(t)) + t if self.right else t + " " * (width - _cells(t)) for t in texts]


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def total_width(columns: list[Column]) -> int:
    return sum(column.width + 2 for column in columns) - 2


def cell(value: Any) -> str:
    if value is None or type(value).__name__ == "NAType":
        return ""
    if type(value).__name__ == "ndarray" or isinstance(value, list):
        return f"[{', '.join(map(cell, value))}]"
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.6g}"
    return " ".join(str(value).split("\n"))
