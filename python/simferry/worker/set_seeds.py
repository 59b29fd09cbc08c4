"""Seeds that a replication's own code sets, in its main process: what is written down so that equal ones are found."""

from typing import Any

_MOST = 10_000  # seeds of a condition that are compared


class SetSeeds:
    """rows: (condition, replication, seed) of a condition's first seed in this process, and of the first that came twice."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, str]] = []
        self.condition = 0
        self.known: dict[tuple[str, str], int] = {}
        self.twice = False

    def add(self, condition: int, replication: int, function: str, seed: Any) -> None:
        if condition != self.condition:
            self.condition, self.known, self.twice = condition, {}, False
        shown = f"{seed}"[:100]
        before = self.known.get((function, shown))
        if before is None:
            if len(self.known) < _MOST:
                self.known[function, shown] = replication
            if len(self.known) == 1:
                self.rows.append((condition, replication, shown))
        elif before != replication and not self.twice:
            self.twice = True
            self.rows += [(condition, before, shown), (condition, replication, shown)]
