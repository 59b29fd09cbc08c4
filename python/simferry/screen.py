"""What the terminal shows: a progress bar, tables, durations."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .driver import Progress


def duration(seconds: float) -> str:
    """Seconds as a person would say them: 0.4 s, 12 s, 3 min, 2 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


class Rate:
    """Replications per second, from what has appeared since the beginning."""

    def __init__(self) -> None:
        self.start: tuple[float, int] | None = None

    def per_second(self, done: int) -> float | None:
        now = time.monotonic()
        if self.start is None:
            self.start = (now, done)
        since, before = now - self.start[0], done - self.start[1]
        return before / since if since > 0.2 and before > 0 else None


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[Progress], None]]:
    """A callback that shows replications done, rate, failures and time left; on a terminal as a bar, else as a line at times."""
    rate = Rate()
    if not show:
        yield lambda _: None
    elif sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        columns = (BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("{task.fields[said]}"))
        with Bar(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=None, said="starting")

            def update(now: Progress) -> None:
                bar.update(task, total=now.total, completed=now.done, said=said(now, rate.per_second(now.done)))

            yield update
    else:
        last = time.monotonic()

        def line(now: Progress) -> None:
            nonlocal last
            per_second = rate.per_second(now.done)
            if time.monotonic() - last > 10:
                last = time.monotonic()
                print(
                    f"{now.done:,} of {now.total:,} replications, {said(now, per_second)}", file=sys.stderr, flush=True
                )

        yield line


def said(now: Progress, per_second: float | None) -> str:
    parts = [f"{now.failed:,} failed"]
    if per_second and not now.finished:
        parts += [f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s"]
        parts += [f"{duration((now.total - now.done) / per_second)} left"]
    return ", ".join(parts)


def show_table(frame: Any, most_rows: int = 40) -> None:
    """A pandas.DataFrame on the terminal, or as plain columns where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    plain = not sys.stdout.isatty()
    console = Console(width=max(200, 22 * len(frame.columns)) if plain else None)
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False)
    for name in frame.columns:
        table.add_column(
            Text(str(name)), justify="right" if frame[name].dtype.kind in "ifub" else "left", no_wrap=plain
        )
    for row in frame.head(most_rows).itertuples(index=False):
        table.add_row(*(Text(cell(value)) for value in row))
    console.print(table)
    if len(frame) > most_rows:
        console.print(f"... and {len(frame) - most_rows:,} more rows (-o FILE writes them all)")


def cell(value: Any) -> str:
    if value is None or type(value).__name__ == "NAType":
        return ""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.6g}"
    return str(value)
