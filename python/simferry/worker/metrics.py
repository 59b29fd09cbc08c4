"""Numbers that a program prints: a regular expression finds them in its log. Worker and driver use it, for scripts and for images."""

import contextlib
import csv
import io
import json
import re
from collections.abc import Mapping, Sequence

SERIES = "metrics.csv"  # artifact: metric, step, value
LAST = "/metrics"  # in a block beside the results files: the last value of each metric, as text. No file has this name
Series = Mapping[str, Sequence[str]]


def texts_of(expression: str, log: str) -> list[str]:
    """The values of a metric in the order of the log, as they were printed: the first group of each match, where it is a number."""
    out = []
    for line in log.splitlines():
        for match in re.finditer(expression, line):
            with contextlib.suppress(TypeError, ValueError):
                float(match[1])
                out.append(match[1].strip())
    return out


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
