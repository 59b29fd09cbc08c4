"""Seeds of whole scripts and commands: numbers that no two replications of a condition share.

A replication's number is permuted by a Feistel network (Luby & Rackoff 1988, 10.1137/0217022) over 32 bits: eight rounds,
each with a key below 2^31 - 1 of the condition's own. No product exceeds 2^50, so that R's doubles hold it: seeds.R gives
the same.
"""

from collections.abc import Sequence

PRIME = 2**31 - 1


def permuted(number: int, keys: Sequence[int], word: int) -> int:
    """Another number below 2^32; each `word` is another permutation."""
    high, low = divmod(number, 2**16)
    for key in keys:
        high, low = low, high ^ (key * (1 + low + 2**16 * word) % PRIME >> 15)
    return high << 16 | low


def seed_of(replication: int, keys: Sequence[int]) -> int:
    """SIMFERRY_SEED. A number below 2^31 comes back to one below 2^31, in two steps on average: a permutation of them."""
    seed = permuted(replication, keys, 0)
    while seed >= 2**31:
        seed = permuted(seed, keys, 0)
    return seed


def seed_hex_of(replication: int, keys: Sequence[int]) -> str:
    """SIMFERRY_SEED_HEX: 128 bits, as 32 hexadecimal digits."""
    return "".join(f"{permuted(replication, keys, word):08x}" for word in (1, 2, 3, 4))
