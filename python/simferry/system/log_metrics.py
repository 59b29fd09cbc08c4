"""Finds the metrics in a log in a process of its own: an expression may take for ever on a line of text, as (a+)+b does, and a process
that matches it can't be interrupted by its threads."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SECONDS = 10.0  # for a metric; and as much for each 20 MB of the log
_WORKER = Path(__file__).parents[1] / "worker"
_PROGRAM = """
import json, re, sys
sys.path.append(sys.argv[1])
from metrics import texts_of
given = json.load(sys.stdin)
for name, expression in given["metrics"].items():
    try:
        values = texts_of(expression, given["log"])
    except (re.error, IndexError):  # none of Python's, or one without a group
        values = []
    print(json.dumps([name, values]), flush=True)
"""


def series_within(metrics: Mapping[str, str], log: str, seconds: float = SECONDS) -> dict[str, list[str] | None]:
    """The values of metrics in a log, as `texts_of` of the worker has them; None where that takes too long.

    metrics: the regular expression of each by its name. seconds: that one may take.
    """
    found: dict[str, list[str] | None] = {}
    while left := {name: text for name, text in metrics.items() if name not in found}:
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(_WORKER)]
        given = json.dumps({"metrics": left, "log": log}).encode()
        limit = seconds * len(left) * (1 + len(log) / 2e7)
        try:
            printed = subprocess.run(command, input=given, stdout=subprocess.PIPE, timeout=limit, check=True).stdout
        except subprocess.TimeoutExpired as error:
            printed = error.stdout or b""
        found |= dict(json.loads(line) for line in printed.splitlines(keepends=True) if line.endswith(b"\n"))
        if slow := next((name for name in left if name not in found), None):
            found[slow] = None
    return {name: found[name] for name in metrics}
