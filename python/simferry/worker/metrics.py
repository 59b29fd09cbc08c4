"""Numbers that a program prints: a regular expression finds them in its log. Worker and driver use it, for scripts and for images."""

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence

SERIES = "metrics.csv"  # artifact: metric, step, value
LAST = "/metrics"  # in a block beside the results files: the last value of each metric, as text. No file has this name
Series = Mapping[str, Sequence[str]]


def series_of(metrics: Mapping[str, str], lines: Iterable[str]) -> dict[str, list[str]]:
    """The values of metrics, by name, in the order of a log's lines and as they were printed: the first group of each match of the
    metric's expression, where it is a number."""
    out: dict[str, list[str]] = {name: [] for name in metrics}
    for line in lines:
        for name, expression in metrics.items():
            for match in re.finditer(expression, line):
                with contextlib.suppress(TypeError, ValueError):
                    float(match[1])
                    out[name].append(match[1].strip())
    return out


def texts_of(expression: str, log: str) -> list[str]:
    """The same of one metric, and a whole log."""
    return series_of({"": expression}, log.splitlines())[""]


def as_csv(series: Series) -> bytes:
    """The content of the artifact. series: the values of each metric, as texts."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("metric", "step", "value"))
    for name, values in series.items():
        writer.writerows((name, step, value) for step, value in enumerate(values, 1))
    return out.getvalue().encode()


def last_of(series: Series) -> bytes:
    """The content of LAST: JSON, null for a metric without a value."""
    return json.dumps({name: values[-1] if values else None for name, values in series.items()}).encode()
