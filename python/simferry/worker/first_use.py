"""Seeds `random` and `np.random` at their first use in a replication. This costs no time if they are not used.

Seeding them takes 20 microseconds, more than many simulations; calls that pass through here take a tenth of a microsecond more.
"""

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from . import streams

_NAMES = ("random", "getrandbits", "seed", "getstate", "setstate")


class RandomAtFirstUse:
    """Python's own generator. Until its first use it has another class, which overrides the few methods that all others call.

    seed: seeds it from a stream.
    """

    def __init__(self, seed: Callable[[streams.Stream], None]) -> None:
        inst: random.Random = random._inst
        self.inst, self.seed = inst, seed
        settled = self.settled = type(inst)

        class Unseeded(settled):  # type: ignore[misc,valid-type]
            def random(self) -> float:
                first_use()
                return inst.random()

            def getrandbits(self, k: int) -> int:
                first_use()
                return inst.getrandbits(k)

            def getstate(self) -> Any:
                first_use()
                return inst.getstate()

            def seed(self, *args: Any, **kwargs: Any) -> None:
                inst.__class__ = settled
                inst.seed(*args, **kwargs)

            def setstate(self, state: Any) -> None:
                inst.__class__ = settled
                inst.setstate(state)

        def first_use() -> None:
            # once: functions such as random.choices keep a method, and call it again
            if (stream := streams.wide) and inst.__class__ is Unseeded:
                seed(stream)

        self.unseeded = Unseeded
        # the module's functions are bound methods; these are the ones that call no others
        self.before = {name: getattr(random, name) for name in _NAMES}
        original = self.before["seed"]
        for name in _NAMES:
            setattr(random, name, self.late(name))

        def seed_again(a: Any = None, version: int = 2) -> None:
            inst.__class__ = settled
            if a is None:
                original(a, version)
            else:
                streams.report_seed("random", a)
                inst.seed(a, version)

        streams.imitate(seed_again, original, "random")
        random.seed = seed_again

    def late(self, name: str) -> Any:
        inst = self.inst

        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(inst, name)(*args, **kwargs)

        if name == "random":

            def call() -> float:  # type: ignore[misc]
                return inst.random()

        streams.imitate(call, self.before[name], "random")
        return call

    def was_used(self) -> bool:
        return self.inst.__class__ is not self.unseeded

    def renew(self) -> None:
        inst = self.inst
        if inst.__class__ is not self.unseeded:
            inst.__class__ = self.unseeded
            inst.gauss_next = None  # type: ignore[attr-defined]  # the stored second draw of a pair

    def remove(self) -> None:
        self.inst.__class__ = self.settled
        for name, function in self.before.items():
            setattr(random, name, function)


class NumpyAtFirstUse:
    """np.random. Its functions all take the lock of its bit generator, which is this object until `remove`.

    Compiled code (scipy.stats.random_table, nchypergeom_wallenius) asks the bit generator for a pointer to its state, takes no lock,
    and may keep the pointer: from then on np.random is seeded before each replication, and the bit generator stays the same.

    seed: seeds it from a stream.
    """

    def __init__(self, seed: Callable[[streams.Stream], None]) -> None:
        self.seed, self.unseeded = seed, False
        hook, base = self, np.random.MT19937

        class MT19937(base):  # type: ignore[misc,valid-type]
            def __reduce__(self) -> Any:
                plain = base(0)
                plain.state = self.state
                return plain.__reduce__()

        settled = MT19937

        class Waiting(settled):  # type: ignore[misc,valid-type]
            @property
            def lock(self) -> Any:
                return hook

            @property
            def state(self) -> Any:
                if hook.unseeded:
                    hook.first_use()
                return base.state.__get__(self)

            @state.setter
            def state(self, value: Any) -> None:
                hook.unseeded = False
                base.state.__set__(self, value)  # type: ignore[attr-defined]

            def random_raw(self, *args: Any, **kwargs: Any) -> Any:
                if hook.unseeded:
                    hook.first_use()
                return super().random_raw(*args, **kwargs)

        def pointer(name: str) -> property:
            def get(self: Any) -> Any:
                hook.is_shared = True
                if hook.unseeded:
                    hook.first_use()
                return getattr(base, name).__get__(self)

            return property(get)

        for name in ("capsule", "cffi", "ctypes"):
            setattr(Waiting, name, pointer(name))
        Waiting.__name__ = settled.__name__  # numpy writes it into states
        self.settled = settled
        self.bits = Waiting(0)
        self.bits.state = np.random.mtrand._rand._bit_generator.state
        self.lock = base.lock.__get__(self.bits)  # type: ignore[attr-defined]
        np.random.mtrand.set_bit_generator(self.bits)
        self.is_shared = False  # whether a pointer to its state was asked for, besides np.random's own

    def __enter__(self) -> Any:
        if self.unseeded:
            self.first_use()
        return self.lock.__enter__()

    def __exit__(self, *args: Any) -> Any:
        return self.lock.__exit__(*args)

    def first_use(self) -> None:
        self.unseeded = False
        if stream := streams.wide:
            self.seed(stream)

    def was_used(self) -> bool:
        return not self.unseeded

    def renew(self) -> None:
        self.unseeded = True
        if self.is_shared:
            self.first_use()

    def remove(self) -> None:
        """Its bit generator stays the same object; np.random takes its own lock again."""
        self.unseeded = False
        self.bits.__class__ = self.settled
        if self.is_in_place():
            np.random.mtrand.set_bit_generator(self.bits)

    def is_in_place(self) -> bool:
        """Whether np.random draws from its bit generator: a script may set another."""
        return np.random.mtrand._rand._bit_generator is self.bits

    def is_alone(self) -> bool:
        """Whether nothing but np.random refers to the bit generator."""
        return self.is_in_place() and sys.getrefcount(self.bits) <= 3
