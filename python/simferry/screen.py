"""What the terminal shows: a progress bar, tables, durations."""

import math
import shutil
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from .backends.base import ENDED
from .driver.drive import Progress
from .terminal import shown, styled, unguarded, visible


def duration(seconds: float) -> str:
    """Seconds as a person would say them: 0.4 s, 12 s, 3 min, 2 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[Progress], None]]:
    """A callback that shows replications done, rate, failures and time left; on a terminal as a bar, else as a line at times."""
    if not show:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(file=unguarded(sys.stderr))
        columns = (
            BarColumn(bar_width=30 if console.width >= 110 else 8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}", markup=False),
        )
        bar = Bar(*columns, console=console, transient=True)
        task = bar.add_task("", total=None, said="")

        def update(now: Progress) -> None:
            bar.start()  # now, below all that was printed before
            bar.update(task, total=now.total, completed=now.done, said=visible(said(now)))

        try:
            yield update
        finally:
            try:
                bar.stop()
            except IndexError:  # Ctrl-C came while it was starting, and rich finds only half of it
                console.show_cursor()
    else:
        last = time.monotonic()

        def line(now: Progress) -> None:
            nonlocal last
            if time.monotonic() - last > 10:
                last = time.monotonic()
                print(f"{now.done:,} of {now.total:,} replications, {said(now)}", file=sys.stderr, flush=True)

        yield line


@contextmanager
def last_line(show: bool) -> Iterator[Callable[[str], None]]:
    """A callback that shows what is being done: on a terminal the last line only, and none when all is done."""
    if not show:
        yield lambda _: None
    elif not sys.stderr.isatty():
        yield lambda line: click.echo(f"  {line}", err=True)
    else:
        width = shutil.get_terminal_size().columns - 3
        terminal = unguarded(sys.stderr)
        try:
            yield lambda line: print(f"\r\033[K  {visible(line)[:width]}", end="", file=terminal, flush=True)
        finally:
            print("\r\033[K", end="", file=terminal, flush=True)


def on_terminal() -> bool:
    """Whether somebody sees what is written to standard error as it comes."""
    return sys.stderr is not None and sys.stderr.isatty()


def pace(now: Progress) -> list[str]:
    """Replications per second, and the time left, as far as they are known."""
    if now.per_second is None or now.seconds_left is None:
        return []
    each = f"{now.per_second:,.0f}/s" if now.per_second >= 10 else f"{now.per_second:.2g}/s"
    return [each, f"{duration(now.seconds_left)} left"]


def said(now: Progress) -> str:
    parts = [f"{now.failed:,} failed", *pace(now)]
    if now.dollars is not None:
        parts += [f"jobs: {jobs_said(now)}"]
    if now.note:
        parts += [f"waiting for {now.note}"]
    return ", ".join(parts)


def dollars(cost: float) -> str:
    """US dollars, as a person would say them: $1.25, less than $0.01."""
    return "less than $0.01" if 0 < cost < 0.01 else f"${cost:.2f}"


def jobs_said(now: Progress) -> str:
    """How many jobs are in each state, and what they have cost."""
    counts = Counter(now.jobs.values())
    parts = [f"{counts[state]} {state}" for state in ("pending", "running", *ENDED) if counts[state]]
    cost = "" if now.dollars is None or now.dollars != now.dollars else f", {dollars(now.dollars)} so far"
    return f"{', '.join(parts) or 'none yet'}{cost}"


def show_table(frame: Any, most_rows: int = 40) -> None:
    """A pandas.DataFrame as columns of text.

    On a terminal that is too narrow, columns that hold one value in all rows are named once, and the others continue below,
    beside the first column again.
    """
    rows = frame.head(most_rows)
    columns = [Column(str(name), rows.iloc[:, i]) for i, name in enumerate(frame.columns)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
    for column in columns:
        column.clip(max(20, width // 2))
    if total_width(columns) > width and len(rows) > 1:
        same = [c for c in columns[1:] if len(frame) == len(rows) and len(set(c.cells)) == 1]
        columns = [c for c in columns if c not in same]
        if same:
            everywhere = "in all rows: " + ", ".join(f"{c.name} {c.cells[0] or '(empty)'}" for c in same)
            click.echo(textwrap.fill(everywhere, width, subsequent_indent="  ") + "\n")
    first, rest = columns[:1], columns[1:]
    while True:
        fitting = rest[:1]
        while len(fitting) < len(rest) and total_width([*first, *rest[: len(fitting) + 1]]) <= width:
            fitting = rest[: len(fitting) + 1]
        rest = rest[len(fitting) :]
        lines = zip(*(column.lines() for column in [*first, *fitting]), strict=True)
        for number, line in enumerate(lines):
            text = "  ".join(line).rstrip()
            click.echo(text if number else styled(text, sys.stdout, bold=True))
        if not rest:
            break
        click.echo()
    if len(frame) > most_rows:
        click.echo(f"... and {len(frame) - most_rows:,} more rows (-o FILE writes them all)")


class Column:
    """A column's name and cells as text, right-aligned if they are numbers."""

    def __init__(self, name: str, values: Any) -> None:
        self.name = shown(name, sys.stdout)
        self.cells = [shown(cell(value), sys.stdout) for value in values]  # as wide as it is shown
        self.right = values.dtype.kind in "ifub"

    def clip(self, width: int) -> None:
        self.cells = [text if len(text) <= width else f"{text[: width - 1]}…" for text in self.cells]

    @property
    def width(self) -> int:
        from rich.cells import cell_len

        return max(map(cell_len, [self.name, *self.cells]))

    def lines(self) -> list[str]:
        from rich.cells import cell_len

        width = self.width
        texts = [self.name, *self.cells]
        return [" " * (width - cell_len(t)) + t if self.right else t + " " * (width - cell_len(t)) for t in texts]


def total_width(columns: list[Column]) -> int:
    return sum(column.width + 2 for column in columns) - 2


def cell(value: Any) -> str:
    if value is None or type(value).__name__ == "NAType":
        return ""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.6g}"
    return " ".join(str(value).split("\n"))
