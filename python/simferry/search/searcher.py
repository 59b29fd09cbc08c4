"""What an optimiser and a root finder are to the code that computes the points which they ask for."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Searcher(Protocol):
    """Asks for points, and is told what they gave, in any order: many points may be pending.

    It is a pure function of its arguments (with the seed) and of the ordered log of `asked` and `tell`: the same log gives the same
    next point, bit for bit. So a driver that was killed makes a new searcher, replays the log (`asked` for each point that was asked,
    `tell` for each that was told), and goes on. Random numbers of the n-th point come from a generator with the seed (seed, n).
    """

    def ask(self) -> dict[str, Any] | None:
        """The next point, which counts as asked from then on; it may be one that was asked before, for more replications.

        None: there is nothing to ask now. Either `over` says why, or the searcher waits until a pending point is told. It never
        waits while nothing is pending. An ask that gives None changes nothing.
        """

    def asked(self, point: Mapping[str, Any]) -> None:
        """Count a point as asked, without computing which one would be: for a log that is replayed.

        point: as `ask` gave it, also after it was stored and read again (1 and 1.0 are the same number).
        """

    def tell(self, point: Mapping[str, Any], mean: float, mcse: float, replications: int, failed: bool) -> None:
        """What a point gave: it replaces what was told of it before, and ends one of its pending evaluations.

        mean: the objective of all replications that the point has so far. mcse: its Monte Carlo standard error, in the same unit;
        0 if the objective has no noise, NaN if it is unknown. replications: how many there are so far. failed: True if there is no
        objective, because too many replications failed or did not end in time; mean and mcse are then not looked at.
        """

    @property
    def over(self) -> str:
        """Why it ends, as a sentence's part such as "60 evaluations"; empty while it goes on. What is pending is told nevertheless."""
