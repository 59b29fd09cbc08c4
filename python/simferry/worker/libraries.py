"""Seeds libraries with process-wide generators of their own: PyTorch's CPU generator, and numba's in compiled functions.

By default both take a seed from the system in each process. Once they are loaded, they are seeded together with np.random, each from
a stream of its own. A seed that the simulation sets replaces this one.
"""

import ctypes
import hashlib
from typing import Any

from . import streams


class Torch:
    """PyTorch's CPU generator. Its whole state is set: seeds of 32 bits would coincide by chance in 100,000 replications."""

    name, of_thread = "torch", False

    def __init__(self, torch: Any) -> None:
        self.torch, self.generator = torch, torch.default_generator
        # the seed (64 bits), two flags, the position in the state, 624 words of 64 bits with 32 in use, and normal draws
        self.bytes = bytearray(torch.Generator().get_state().tolist())
        self.state_of_bytes = torch.frombuffer(self.bytes, dtype=torch.uint8)
        halves = memoryview(self.bytes).cast("I")
        self.first_seed, self.words = halves[:2], halves[6 : 6 + 2 * 624 : 2]
        original = torch.manual_seed

        def manual_seed(seed: Any) -> Any:
            streams.report_seed("torch.manual_seed", seed)
            return original(seed)

        streams.imitate(manual_seed, original, "torch.random")
        torch.manual_seed = torch.random.manual_seed = manual_seed

    def seed(self, key: bytes) -> None:
        words = memoryview(hashlib.shake_128(key).digest(4 * 626)).cast("I")
        self.first_seed[:], self.words[:] = words[:2], words[2:]
        self.generator.set_state(self.state_of_bytes)

    def state(self) -> bytes:
        state = self.generator.get_state()
        return ctypes.string_at(state.data_ptr(), state.numel())

    def set_state(self, state: bytes) -> None:
        self.generator.set_state(self.torch.frombuffer(bytearray(state), dtype=self.torch.uint8))


class Numba:
    """numba's two Mersenne twisters in each thread: for `np.random` and for `random` in compiled functions."""

    name, of_thread = "numba", True
    size = 2520  # bytes of a state: position, 624 words, whether a second normal draw is stored, that draw, whether it is seeded

    def __init__(self, helperlib: Any) -> None:
        self.rnd_seed = helperlib.rnd_seed
        self.pointers = (helperlib.rnd_get_np_state_ptr, helperlib.rnd_get_py_state_ptr)

    def seed(self, key: bytes) -> None:
        for pointer, own in zip(self.pointers, (key, key[::-1]), strict=True):
            self.rnd_seed(pointer(), own)

    def state(self) -> list[bytes]:
        return [ctypes.string_at(pointer(), self.size) for pointer in self.pointers]

    def set_state(self, state: list[bytes]) -> None:
        for pointer, own in zip(self.pointers, state, strict=True):
            ctypes.memmove(pointer(), own, self.size)
