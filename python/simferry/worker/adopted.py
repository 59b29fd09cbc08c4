"""Generators that the code of a function seeded itself before the first replication, as in `rng = np.random.default_rng(42)` at the top
of a script. They would go on from one replication to the next, and draw the same numbers in each process. Adopted, they are reseeded
for each replication and task, as those without a seed are: from its stream and the state that their seed gave them. So are bit
generators, and seed sequences, of which replications spawn others.

hooks.py imports this module: it imports only what an interpreter has at its start.
"""

import gc
import sys
import warnings
from collections.abc import Iterable
from typing import Any

from . import streams


def generators(among: Iterable[Any] | None = None) -> list[Any]:
    """The generators of numpy and of `random` among some objects, or in this process. SystemRandom has no state, and those that make
    names of files and semaphores no numbers of a simulation.
    """
    kinds: list[Any] = [random.Random] if (random := sys.modules.get("random")) else []
    if hasattr(numpy := sys.modules.get("numpy.random"), "Generator"):  # otherwise it is being imported
        kinds += [getattr(numpy, name) for name in ("Generator", "RandomState", "BitGenerator", "SeedSequence")]
    for kind in kinds:  # it grows
        kinds += kind.__subclasses__()
    own = {kind for kind in kinds if kind.__name__ != "SystemRandom"} - {streams.sequence_known()}
    objects = gc.get_objects() if among is None else [*among]
    found = [one for one in objects if type(one) in own]
    held = {id(part) for one in [*found, *(one for one, _ in streams.made)] for part in _parts(one)}
    if of_names := getattr(sys.modules.get("tempfile"), "_RandomNameSequence", None):
        held |= {id(getattr(one, "_rng", None)) for one in objects if type(one) is of_names}
    return [one for one in found if id(one) not in held]


def _parts(generator: Any) -> list[Any]:
    """What is reseeded with a generator, or not used but to seed it. Generators of numpy spawn from their seed sequence."""
    if hasattr(generator, "bit_generator"):
        return [generator.bit_generator]
    if bits := getattr(generator, "_bit_generator", None):
        return [bits, getattr(bits, "seed_seq", None) or getattr(bits, "_seed_seq", None)]
    return []


def adopt(found: Iterable[Any], before: Iterable[Any] = ()) -> None:
    """Reseed generators from now on. Those of equal state stay equal. before: others, which are not adopted."""
    for one in _others(found, before):
        try:
            name = f"seeded {streams.derive(b'state', _text(streams.state_of(one))).hex()}"
            streams.reseed(one, 0)
        except Exception:  # a class of the user's that can't be seeded goes on as it is
            continue
        streams.remember(one, name)


def _others(found: Iterable[Any], known: Iterable[Any]) -> list[Any]:
    """Those that are not known, process-wide, or reseeded already."""
    wide = (getattr(sys.modules.get(n), v, None) for n, v in (("random", "_inst"), ("numpy.random.mtrand", "_rand")))
    ids = {id(one) for one in (*known, *wide, *(one for one, _ in streams.made))}
    return [one for one in found if id(one) not in ids]


class Left:
    """Generators that one replication makes and leaves to later ones. Their numbers are another process's numbers, or depend on what
    this process did before: a warning says so when a later replication draws from one.

    known: those that were there before the first replication.
    """

    def __init__(self, known: list[Any]) -> None:
        self._known = known
        self.replications, self.next = 0, 1
        self.watched: list[tuple[Any, str]] = []

    def look(self) -> None:
        """At the end of a replication, if some generators are watched or it is the next one to look after."""
        for at, (one, state) in enumerate(self.watched):
            if _text(streams.state_of(one)) != state:
                del self.watched[at]
                kind = type(one).__name__
                with warnings.catch_warnings():
                    warnings.simplefilter("always")
                    warnings.warn(LEFT.format(kind=f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"), stacklevel=1)
                break
        if self.replications == self.next:  # looking takes milliseconds
            self.next *= 16
            new = _others(generators(), self._known)[:MOST]
            self._known += new
            self.watched += [(one, _text(streams.state_of(one))) for one in new]


MOST = 16  # generators that are watched from one look on
LEFT = (
    "numbers depend on the number of workers, and may repeat: {kind} that an earlier replication made was used again. "
    "Make it outside of the function, or anew in each replication."
)


def _text(state: Any) -> str:
    if isinstance(state, dict):
        return str([(name, _text(state[name])) for name in sorted(state)])
    return str(state.tolist() if hasattr(state, "tolist") else state)
