"""Random-number streams: which numbers a replication draws depends on seed, condition and replication alone.

R simulations draw from L'Ecuyer's MRG32k3a, the generator that R calls "L'Ecuyer-CMRG" (L'Ecuyer, Simard, Chen & Kelton
2002, Operations Research 50(6), 10.1287/opre.50.6.1073.358). A stream is 2^127 draws from the next, a substream 2^76.
A jump multiplies the two halves of the state by a power of the recurrence's matrix, modulo m1 and m2. The powers
come from tables, so that a million jumps take a few numpy operations.

Python simulations draw from numpy's Philox: its key is a hash of seed and condition, its counter's top word the replication.
"""

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from ..errors import Note

# By language and kind: the version of everything that decides the numbers (this file, job files, the worker). Raise it when
# numbers can change. Results of different versions are never mixed; a run keeps its version, with the worker in its code folder.
VERSIONS = {
    ("r", "function"): 2,  # foreach loops too
    ("r", "script"): 2,
    ("python", "function"): 2,
    ("python", "script"): 2,
    ("octave", "function"): 1,
    ("octave", "script"): 1,
    ("command", "command"): 2,
    ("image", "image"): 2,
}
KIND = 10407  # .Random.seed[1] for L'Ecuyer-CMRG, normals by inversion, sample() by rejection

_M1, _M2 = 4294967087, 4294944443
_A1 = np.array([[0, 1, 0], [0, 0, 1], [-810728 % _M1, 1403580, 0]], dtype=np.uint64)
_A2 = np.array([[0, 1, 0], [0, 0, 1], [-1370589 % _M2, 0, 527612]], dtype=np.uint64)
_STREAM, _SUBSTREAM = 127, 76  # log2 of the distance between neighbours


def version_of(simulation: Mapping[str, Any]) -> int:
    """The version of the streams of a new run. simulation: its language and kind."""
    return VERSIONS[simulation["language"], simulation["kind"]]


def note_other_version(own: Any, simulation: Mapping[str, Any], run: str) -> None:
    """Warns with a Note if a run's streams have another version than a new run's. own: its version. simulation: as in its record."""
    now = version_of(simulation)
    if own != now:
        warnings.warn(
            Note(
                f"run {run} draws random numbers by version {own} of simferry's rules, and keeps it; "
                f"a new run would use version {now}"
            ),
            stacklevel=3,
        )


def digests(seed: int, canonical: Iterable[str]) -> np.ndarray:
    """SHA-256 of seed and canonical condition, for keyed streams: uint8 array (conditions, 32)."""
    prefix = f"{seed}\n".encode()
    joined = bytearray()
    for text in canonical:
        joined += hashlib.sha256(prefix + text.encode()).digest()
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32)


def stream_numbers(canonical: Iterable[str]) -> np.ndarray:
    """The stream of each condition: the first 8 bytes (big endian, 63 bits) of SHA-256 of its canonical form, as uint64."""
    joined = bytearray()
    for text in canonical:
        joined += hashlib.sha256(text.encode()).digest()[:8]
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64) & np.uint64(2**63 - 1)


def initial_state(seed: int) -> np.ndarray:
    """The six integers that `RNGkind("L'Ecuyer-CMRG"); set.seed(seed)` leaves in R (RNG.c: RNG_Init), as uint64."""
    word = seed & 0xFFFFFFFF
    for _ in range(50):
        word = (69069 * word + 1) & 0xFFFFFFFF
    state = []
    for _ in range(6):
        word = (69069 * word + 1) & 0xFFFFFFFF
        while word >= _M2:
            word = (69069 * word + 1) & 0xFFFFFFFF
        state.append(word)
    return np.array(state, dtype=np.uint64)


def _times(a: np.ndarray, b: np.ndarray, modulus: int) -> np.ndarray:
    """Product of (stacks of) matrices of residues below 2^32: each product fits uint64, so reduce before adding."""
    m = np.uint64(modulus)
    products: np.ndarray = (a[..., :, :, None] * b[..., None, :, :]) % m
    return np.asarray(products.sum(axis=-2) % m)


@cache
def _tables(distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of A^(2^distance) for both halves: arrays (8, 256, 3, 3), entry [i, b] being the power b * 256^i."""
    tables = []
    for matrix, modulus in ((_A1, _M1), (_A2, _M2)):
        base = matrix
        for _ in range(distance):
            base = _times(base, base, modulus)
        table = np.empty((8, 256, 3, 3), dtype=np.uint64)
        for i in range(8):
            table[i, 0] = np.eye(3, dtype=np.uint64)
            known = 1
            while known < 256:  # base is A^(2^distance * 256^i * known)
                table[i, known : 2 * known] = _times(table[i, :known], base, modulus)
                base = _times(base, base, modulus)
                known *= 2
        tables.append(table)
    return tables[0], tables[1]


def _fold(numbers: np.ndarray, short: np.uint64) -> None:
    """Makes numbers smaller that stay the same modulo 2^32 - short: far faster than a division."""
    high = numbers >> np.uint64(32)
    high *= short
    numbers &= np.uint64(2**32 - 1)
    numbers += high


def _jump(states: np.ndarray, counts: np.ndarray, distance: int) -> np.ndarray:
    """Advance each state (n, 6) by its count (n, up to 2^64 - 1) times 2^distance draws."""
    out = np.array(np.broadcast_to(states, (len(counts), 6)), dtype=np.uint64)
    for half, (table, modulus) in enumerate(zip(_tables(distance), (_M1, _M2), strict=True)):
        m, short = np.uint64(modulus), np.uint64(2**32 - modulus)
        for first in range(0, len(counts), 4096):  # what fits the processor's cache
            count = counts[first : first + 4096]
            part = out[first : first + 4096, 3 * half : 3 * half + 3]
            for i in range(8):
                byte = (count >> np.uint64(8 * i)) & np.uint64(255)
                if byte.any():
                    terms = table[i][byte]
                    terms *= part[:, None, :]
                    _fold(terms, short)
                    total = terms[:, :, 0] + terms[:, :, 1] + terms[:, :, 2]  # below 2^49
                    _fold(total, short)  # below 2^33
                    _fold(total, short)  # below 2^32
                    np.subtract(total, m, out=part, where=total >= m)
                    np.copyto(part, total, where=total < m)
    return out


def states(
    start: np.ndarray, streams: np.ndarray | Sequence[int], substreams: np.ndarray | Sequence[int]
) -> np.ndarray:
    """Generator states: `start` advanced by so many streams and then substreams.

    start: the six integers of `initial_state`. streams, substreams: n counts below 2^64.
    Returns an int32 array (n, 6), the signed integers that follow the kind in R's .Random.seed.
    """
    stream_starts = _jump(start, np.asarray(streams, dtype=np.uint64), _STREAM)
    substream_starts = _jump(stream_starts, np.asarray(substreams, dtype=np.uint64), _SUBSTREAM)
    return substream_starts.astype(np.uint32).view(np.int32)
