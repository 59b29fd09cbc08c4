"""Seeds that the code of a replication sets in its main process, recorded so that equal seeds are found."""

from typing import Any

_MOST = 10_000  # seeds of a condition that are compared


class SetSeeds:
    """rows: (condition, replication, seed) of the first seed of a condition in this process, and of the first repeated seed."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, str]] = []
        self.condition = 0
        self.known: dict[tuple[str, str], int] = {}
        self.twice = False

    def forget(self, replications: set[tuple[int, int]]) -> None:
        """Forget replications, as (condition, replication), that are run again."""
        self.rows = [row for row in self.rows if row[:2] not in replications]
        self.condition = 0

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
