"""Durations, US dollars, counts, sizes and lists of names as text."""

from collections.abc import Iterable


def duration(seconds: float) -> str:
    """Seconds as text: 0.4 s, 12 s, 3 min, 2 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def dollars(cost: float) -> str:
    """US dollars as text: $1.25, less than $0.01."""
    return "less than $0.01" if 0 < cost < 0.01 else f"${cost:.2f}"


def counted(number: int, what: str) -> str:
    """A number and what it counts, with a plural s: 1 job, 1,200 jobs."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def are(number: int) -> str:
    """The verb after a number of things."""
    return "is" if number == 1 else "are"


def joined(names: Iterable[str], last: str = "or") -> str:
    """Names with a word before the last one: a, b or c."""
    *first, end = names
    return f"{', '.join(first)} {last} {end}" if first else end


def size(count: float) -> str:
    """Bytes as text: 12 MB, 3.4 GB, 1.2 TB."""
    for unit, name in ((1e12, "TB"), (1e9, "GB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{max(count / 1e6, 0.1 if count else 0):.{1 if count < 1e7 else 0}f} MB"
