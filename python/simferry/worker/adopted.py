"""Generators that the code of a function seeded itself before the first replication, as in `rng = np.random.default_rng(42)` at the top
of a script. They would go on from one replication to the next, and draw the same numbers in each process. Adopted, they are reseeded
for each replication and task, as those without a seed are: from its stream and the state that their seed gave them.

hooks.py imports this module: it imports only what an interpreter has at its start.
"""

import gc
import sys
from collections.abc import Iterable
from typing import Any

from . import streams


def generators(among: Iterable[Any] | None = None) -> list[Any]:
    """The generators of numpy and of `random` among some objects, or in this process. SystemRandom has no state."""
    kinds: list[Any] = [random.Random] if (random := sys.modules.get("random")) else []
    if hasattr(numpy := sys.modules.get("numpy.random"), "Generator"):  # otherwise it is being imported
        kinds += [numpy.Generator, numpy.RandomState]  # type: ignore[union-attr]
    for kind in kinds:  # it grows
        kinds += kind.__subclasses__()
    own = {kind for kind in kinds if kind.__name__ != "SystemRandom"}
    return [one for one in (gc.get_objects() if among is None else among) if type(one) in own]


def adopt(found: Iterable[Any], before: Iterable[Any] = ()) -> None:
    """Reseed generators from now on. Those of equal state stay equal. before: others, which are not adopted."""
    wide = (getattr(sys.modules.get(n), v, None) for n, v in (("random", "_inst"), ("numpy.random.mtrand", "_rand")))
    known = {id(one) for one in (*before, *wide, *(one for one, _ in streams.made))}
    for one in found:
        if id(one) in known:
            continue
        try:
            name = f"seeded {streams.derive(b'state', _text(streams.state_of(one))).hex()}"
            streams.reseed(one, 0)
        except Exception:  # a class of the user's that can't be seeded goes on as it is
            continue
        streams.remember(one, name)


def _text(state: Any) -> str:
    if isinstance(state, dict):
        return str([(name, _text(state[name])) for name in sorted(state)])
    return str(state.tolist() if hasattr(state, "tolist") else state)
