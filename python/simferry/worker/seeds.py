"""Seeds of scripts and commands. The replications of a condition all have different seeds.

The number of a replication is permuted by a Feistel network (Luby & Rackoff 1988, 10.1137/0217022) over 32 bits, with eight
rounds. The key of each round is below 2^31 - 1 and depends on the condition. Products are below 2^50, so R's doubles hold them
exactly: seeds.R computes the same numbers.
"""

from collections.abc import Sequence

PRIME = 2**31 - 1


def permuted(number: int, keys: Sequence[int], word: int) -> int:
    """The permuted number, below 2^32. Each `word` gives another permutation."""
    high, low = divmod(number, 2**16)
    for key in keys:
        high, low = low, high ^ (key * (1 + low + 2**16 * word) % PRIME >> 15)
    return high << 16 | low


def seed_of(replication: int, keys: Sequence[int]) -> int:
    """SIMFERRY_SEED, below 2^31. Repeating the permutation until the number is below 2^31 permutes these numbers (two steps on average)."""
    seed = permuted(replication, keys, 0)
    while seed >= 2**31:
        seed = permuted(seed, keys, 0)
    return seed


def seeds_of_ranks(replication: int, keys: Sequence[int], ranks: int) -> list[int]:
    """The seeds of the processes of one replication; the first has the replication's own. Below 2^31 / ranks no two of a condition
    are the same, whichever replications these are."""
    return [seed_of((replication + rank * (2**31 // ranks)) % 2**31, keys) for rank in range(ranks)]


def seed_hex_of(replication: int, keys: Sequence[int]) -> str:
    """SIMFERRY_SEED_HEX: 128 bits, as 32 hexadecimal digits."""
    return "".join(f"{permuted(replication, keys, word):08x}" for word in (1, 2, 3, 4))
